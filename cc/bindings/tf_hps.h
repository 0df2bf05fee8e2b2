#ifndef TF_HPS_CC_BINDINGS_TF_HPS_H_
#define TF_HPS_CC_BINDINGS_TF_HPS_H_

#include <stddef.h>
#include <stdint.h>

// The op library's one door besides TensorFlow's registrations: plain C, so that the Python
// bindings (and other languages') see the process's tables whatever C++ ABI they are built with.
// Thread-safe. Functions that can fail return null on success, else a message "CODE: text" to be
// freed with tf_hps_free. Strings that are handed out are freed with tf_hps_free too.

#ifdef __cplusplus
extern "C" {
#endif

#define TF_HPS_API __attribute__((visibility("default")))

typedef struct tf_hps_table tf_hps_table;
typedef struct tf_hps_scanner tf_hps_scanner;

TF_HPS_API void tf_hps_free(void* p);

// Opens, or attaches to, a table of the hps.json at config_path.
TF_HPS_API char* tf_hps_table_open(const char* config_path, const char* name, tf_hps_table** table);
TF_HPS_API void tf_hps_table_close(tf_hps_table* table);
// {"deployment", "name", "generation", "embedding_dim", "row_format", "row_bytes"}
TF_HPS_API char* tf_hps_table_spec(const tf_hps_table* table, char** json);
// rows: n * embedding_dim float32, default rows for unknown keys, as the op does it.
TF_HPS_API char* tf_hps_table_lookup(tf_hps_table* table, const int64_t* keys, size_t n,
                                     float* rows);
// rows: n * row_bytes as stored, found: n bytes.
TF_HPS_API char* tf_hps_table_find(tf_hps_table* table, const int64_t* keys, size_t n,
                                   uint8_t* rows, uint8_t* found);
TF_HPS_API char* tf_hps_table_insert(tf_hps_table* table, const int64_t* keys, size_t n,
                                     const uint8_t* rows);
TF_HPS_API char* tf_hps_table_erase(tf_hps_table* table, const int64_t* keys, size_t n);
TF_HPS_API char* tf_hps_table_stats(tf_hps_table* table, char** json);
// Up to n keys that are asked for most, the hottest first; *found says how many.
TF_HPS_API char* tf_hps_table_hot_keys(tf_hps_table* table, size_t n, int64_t* keys, size_t* found);
// Reads again what memory and devices hold of a store that was changed from outside.
TF_HPS_API char* tf_hps_table_refresh(tf_hps_table* table);
// {"table", "key", "generation", "tiers": [{"kind", "state", "row"}]}, and for a table that follows
// a stream "position" and "time_us" of the last commit it has.
TF_HPS_API char* tf_hps_table_inspect(const tf_hps_table* table, int64_t key, char** json);
TF_HPS_API char* tf_hps_table_wait_for_preload(tf_hps_table* table);
TF_HPS_API char* tf_hps_table_wait_for_promotions(tf_hps_table* table);

// Until the table has the updates of its stream up to `position`.
TF_HPS_API char* tf_hps_table_wait_until(tf_hps_table* table, const char* position,
                                         int64_t timeout_ms);

TF_HPS_API char* tf_hps_scanner_open(tf_hps_table* table, int64_t first, int64_t last,
                                     tf_hps_scanner** scanner);
// Up to max_rows rows; *n is 0 at the end. keys and rows have room for max_rows.
TF_HPS_API char* tf_hps_scanner_next(tf_hps_scanner* scanner, size_t max_rows, int64_t* keys,
                                     uint8_t* rows, size_t* n);
TF_HPS_API void tf_hps_scanner_close(tf_hps_scanner* scanner);

// Effective configuration of an hps.json, each value with its origin, secrets masked.
TF_HPS_API char* tf_hps_explain_config(const char* config_path, char** json);
// The newest commit's position in the stream that the tables of an hps.json follow; empty before
// the first commit. A null string where they follow none.
TF_HPS_API char* tf_hps_newest_position(const char* config_path, char** position);
// Checks the text of an hps.json whose relative paths start at folder.
TF_HPS_API char* tf_hps_check_config(const char* text, const char* folder);
// Sections and fields that are known, with types, defaults and help, for docs and --help.
TF_HPS_API char* tf_hps_config_schema(char** json);

// Decodes n stored rows to float32 and encodes float32 rows, e.g. "int8".
TF_HPS_API char* tf_hps_decode_rows(const char* row_format, int64_t embedding_dim,
                                    const uint8_t* rows, size_t n, float* elements);
TF_HPS_API char* tf_hps_encode_rows(const char* row_format, int64_t embedding_dim,
                                    const float* elements, size_t n, uint8_t* rows);

// RocksDB paths this process has open, a JSON list of {"path", "read_only"}: nobody else in the
// process may open them for writing.
TF_HPS_API char* tf_hps_open_stores(char** json);
// A consistent copy of an open RocksDB store at `target` (hard links where the disk allows it).
TF_HPS_API char* tf_hps_store_checkpoint(const char* path, const char* target);

// TensorFlow's monitoring registry, the tables' metrics among it, in Prometheus' text format as TF
// Serving prints it.
TF_HPS_API char* tf_hps_metrics(char** text);

// What this library was built with: {"version", "tensorflow", "cpu_isa", "rocksdb"}.
TF_HPS_API char* tf_hps_build_info(char** json);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TF_HPS_CC_BINDINGS_TF_HPS_H_
