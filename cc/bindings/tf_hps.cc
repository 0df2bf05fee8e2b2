#include "cc/bindings/tf_hps.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "cc/common/config.h"
#include "cc/common/exceptions.h"
#include "cc/common/row_codec.h"
#include "cc/hierarchy/table_handle.h"
#include "cc/hierarchy/table_registry.h"
#include "cc/kernels/prometheus_page.h"
#include "cc/storage/rocksdb_databases.h"
#include "cc/update/update_batch.h"
#include "cc/update/update_source.h"
#include "nlohmann/json.hpp"
#include "rocksdb/version.h"

struct tf_hps_table {
  std::shared_ptr<tf_hps::TableHandle> table;
};

struct tf_hps_scanner {
  std::shared_ptr<tf_hps::TableHandle> table;  // held: the scanner reads its stores
  std::unique_ptr<tf_hps::RowScanner> scanner;
  tf_hps::RowBlock block;
};

namespace tf_hps {
namespace {

// What the caller frees with tf_hps_free; null when memory is out, which stands for OK in a
// message: there is nothing better left to say then.
char* NewString(const std::string& text) {
  char* const copy = static_cast<char*>(std::malloc(text.size() + 1));
  if (copy != nullptr) std::memcpy(copy, text.c_str(), text.size() + 1);
  return copy;
}

template <typename Work>
char* Run(Work&& work) {
  const absl::Status status = CatchExceptions(std::forward<Work>(work));
  return status.ok() ? nullptr
                     : NewString(status.ToString(absl::StatusToStringMode::kWithNoExtraData));
}

absl::Status HandOut(const nlohmann::json& value, char** json) {
  // Replaced, not thrown: a path may be any bytes.
  *json = NewString(value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  return *json == nullptr ? absl::ResourceExhaustedError("out of memory") : absl::OkStatus();
}

absl::Status CheckCount(const EmbeddingTable& table, size_t n) {
  if (n <= std::numeric_limits<uint32_t>::max()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(table.spec().Described(), ": at most ",
                                                 std::numeric_limits<uint32_t>::max(),
                                                 " keys at a time. Received: ", n));
}

absl::Status Lookup(const TableHandle& table, const int64_t* keys, size_t n, float* rows) {
  if (absl::Status status = CheckCount(table.table(), n); !status.ok()) return status;
  const RowSink sink = table.SinkFor(ElementType::kFloat32, rows);
  if (!table.ChecksRange()) return table.table().Find({keys, n}, sink);
  std::vector<Key> checked(keys, keys + n);
  if (absl::Status status = table.CheckRange(absl::MakeSpan(checked)); !status.ok()) return status;
  return table.table().Find(checked, sink);
}

absl::Status FindRaw(const EmbeddingTable& table, const int64_t* keys, size_t n, uint8_t* rows,
                     uint8_t* found) {
  if (absl::Status status = CheckCount(table, n); !status.ok()) return status;
  static_assert(sizeof(bool) == 1);
  return table.FindRaw({keys, n}, rows, reinterpret_cast<bool*>(found));
}

absl::Status Next(tf_hps_scanner* scanner, size_t max_rows, int64_t* keys, uint8_t* rows,
                  size_t* n) {
  *n = 0;
  RowBlock& block = scanner->block;
  if (absl::Status status = scanner->scanner->Next(max_rows, &block); !status.ok()) return status;
  std::copy(block.keys.begin(), block.keys.end(), keys);
  std::copy(block.rows.begin(), block.rows.end(), rows);
  *n = block.size();
  return absl::OkStatus();
}

nlohmann::json Describe(const TableSpec& spec) {
  return {{"deployment", spec.deployment},
          {"name", spec.name},
          {"generation", spec.generation},
          {"embedding_dim", spec.embedding_dim},
          {"row_format", RowFormatName(spec.row_format)},
          {"row_bytes", spec.row_bytes()}};
}

absl::StatusOr<RowFormat> FormatOf(const char* row_format, int64_t embedding_dim) {
  if (embedding_dim < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("`embedding_dim` is at least 1. Received: ", embedding_dim));
  }
  return ParseRowFormat(row_format);
}

}  // namespace
}  // namespace tf_hps

using namespace tf_hps;  // NOLINT: what follows stands outside every namespace

void tf_hps_free(void* p) { std::free(p); }

char* tf_hps_table_open(const char* config_path, const char* name, tf_hps_table** table) {
  return Run([&] {
    auto opened = TableRegistry::Get().Open(config_path, name);
    if (opened.ok()) *table = new tf_hps_table{*std::move(opened)};
    return opened.status();
  });
}

void tf_hps_table_close(tf_hps_table* table) { delete table; }

char* tf_hps_table_spec(const tf_hps_table* table, char** json) {
  return Run([&] { return HandOut(Describe(table->table->spec()), json); });
}

char* tf_hps_table_lookup(tf_hps_table* table, const int64_t* keys, size_t n, float* rows) {
  return Run([&] { return Lookup(*table->table, keys, n, rows); });
}

char* tf_hps_table_find(tf_hps_table* table, const int64_t* keys, size_t n, uint8_t* rows,
                        uint8_t* found) {
  return Run([&] { return FindRaw(table->table->table(), keys, n, rows, found); });
}

char* tf_hps_table_insert(tf_hps_table* table, const int64_t* keys, size_t n, const uint8_t* rows) {
  return Run([&] {
    return table->table->table().Apply(
        {{keys, n}, RowsView(rows, table->table->spec().row_bytes()), {}});
  });
}

char* tf_hps_table_erase(tf_hps_table* table, const int64_t* keys, size_t n) {
  return Run([&] {
    return table->table->table().Apply(
        {{}, RowsView(nullptr, table->table->spec().row_bytes()), {keys, n}});
  });
}

char* tf_hps_table_stats(tf_hps_table* table, char** json) {
  return Run([&] { return HandOut(table->table->Stats(), json); });
}

char* tf_hps_table_inspect(const tf_hps_table* table, int64_t key, char** json) {
  return Run([&] { return HandOut(table->table->Inspect(key), json); });
}

char* tf_hps_table_hot_keys(tf_hps_table* table, size_t n, int64_t* keys, size_t* found) {
  return Run([&] {
    const std::vector<Key> hot = table->table->table().HotKeys(n);
    std::copy(hot.begin(), hot.end(), keys);
    *found = hot.size();
    return absl::OkStatus();
  });
}

char* tf_hps_table_refresh(tf_hps_table* table) {
  return Run([&] { return table->table->table().Refresh(); });
}

char* tf_hps_table_wait_for_preload(tf_hps_table* table) {
  return Run([&] { return table->table->table().WaitForPreload(); });
}

char* tf_hps_table_wait_for_promotions(tf_hps_table* table) {
  return Run([&] {
    table->table->table().WaitForPromotions();
    return absl::OkStatus();
  });
}

char* tf_hps_table_wait_until(tf_hps_table* table, const char* position, int64_t timeout_ms) {
  return Run(
      [&] { return table->table->WaitUntil(position, std::chrono::milliseconds(timeout_ms)); });
}

char* tf_hps_scanner_open(tf_hps_table* table, int64_t first, int64_t last,
                          tf_hps_scanner** scanner) {
  return Run([&] {
    auto opened = table->table->table().NewScanner(first, last);
    if (opened.ok()) *scanner = new tf_hps_scanner{table->table, *std::move(opened), {}};
    return opened.status();
  });
}

char* tf_hps_scanner_next(tf_hps_scanner* scanner, size_t max_rows, int64_t* keys, uint8_t* rows,
                          size_t* n) {
  return Run([&] { return Next(scanner, max_rows, keys, rows, n); });
}

// The scanner ends before the table that it reads.
void tf_hps_scanner_close(tf_hps_scanner* scanner) {
  if (scanner != nullptr) scanner->scanner.reset();
  delete scanner;
}

char* tf_hps_explain_config(const char* config_path, char** json) {
  return Run([&] {
    auto explained = ExplainConfig(config_path);
    return explained.ok() ? HandOut(*explained, json) : explained.status();
  });
}

char* tf_hps_newest_position(const char* config_path, char** position) {
  return Run([&] {
    *position = nullptr;
    auto config = LoadConfig(config_path);
    if (!config.ok()) return config.status();
    for (const auto& [name, table] : config->tables) {
      const auto section = table.sections.find("updates");
      if (section == table.sections.end()) continue;
      auto source = OpenUpdateSource(section->second);
      if (!source.ok()) return source.status();
      auto newest = (*source)->Newest();
      if (!newest.ok()) return newest.status();
      *position = NewString(*newest);
      return *position == nullptr ? absl::ResourceExhaustedError("out of memory")
                                  : absl::OkStatus();
    }
    return absl::OkStatus();
  });
}

char* tf_hps_check_config(const char* text, const char* folder) {
  return Run([&] { return ParseConfig(text, folder).status(); });
}

char* tf_hps_config_schema(char** json) {
  return Run([&] { return HandOut(ConfigSchema(), json); });
}

char* tf_hps_decode_rows(const char* row_format, int64_t embedding_dim, const uint8_t* rows,
                         size_t n, float* elements) {
  return Run([&] {
    auto format = FormatOf(row_format, embedding_dim);
    if (!format.ok()) return format.status();
    const DecodeRow decode = SelectDecodeRow(*format, ElementType::kFloat32, SelectedCpuIsa());
    for (size_t i = 0; i < n; ++i) {
      decode(rows + i * RowBytes(*format, embedding_dim),
             reinterpret_cast<uint8_t*>(elements + i * embedding_dim), embedding_dim);
    }
    return absl::OkStatus();
  });
}

char* tf_hps_encode_rows(const char* row_format, int64_t embedding_dim, const float* elements,
                         size_t n, uint8_t* rows) {
  return Run([&] {
    auto format = FormatOf(row_format, embedding_dim);
    if (!format.ok()) return format.status();
    const EncodeRow encode = SelectEncodeRow(ElementType::kFloat32, *format);
    for (size_t i = 0; i < n; ++i) {
      encode(reinterpret_cast<const uint8_t*>(elements + i * embedding_dim),
             rows + i * RowBytes(*format, embedding_dim), embedding_dim);
    }
    return absl::OkStatus();
  });
}

char* tf_hps_open_stores(char** json) {
  return Run([&] {
    nlohmann::json open = nlohmann::json::array();
    for (const OpenRocksdbDatabase& database : OpenRocksdbDatabases()) {
      open.push_back({{"path", database.path}, {"read_only", database.read_only}});
    }
    return HandOut(open, json);
  });
}

char* tf_hps_store_checkpoint(const char* path, const char* target) {
  return Run([&] {
    auto database = FindOpenRocksdb(path);
    return database.ok() ? (*database)->Checkpoint(target) : database.status();
  });
}

char* tf_hps_metrics(char** text) {
  return Run([&] {
    *text = NewString(PrometheusPage());
    return *text == nullptr ? absl::ResourceExhaustedError("out of memory") : absl::OkStatus();
  });
}

char* tf_hps_build_info(char** json) {
  return Run([&] {
    return HandOut(
        {{"version", TF_HPS_VERSION},
         {"tensorflow", TF_HPS_TENSORFLOW_VERSION},
         {"cpu_isa", CpuIsaName(SelectedCpuIsa())},
         {"rocksdb", absl::StrCat(ROCKSDB_MAJOR, ".", ROCKSDB_MINOR, ".", ROCKSDB_PATCH)}},
        json);
  });
}
