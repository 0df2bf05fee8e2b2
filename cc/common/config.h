#ifndef TF_HPS_CC_COMMON_CONFIG_H_
#define TF_HPS_CC_COMMON_CONFIG_H_

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cc/common/default_rows.h"
#include "nlohmann/json.hpp"

namespace tf_hps {

// hps.json, format version 1. docs/configuration.md is its reference.
//
//   {
//     "format_version": 1,
//     "deployment": "ratings",
//     "memory":  {"capacity_bytes": 8000000000, "eviction": "lru", "preload": true},
//     "rocksdb": {"path": "../assets.extra/hps", "read_only": true},
//     "tables": {
//       "movie_id": {"generation": "5f0c...", "embedding_dim": 64, "row_format": "float32",
//                    "default_row": "zeros", "out_of_range": "default_row",
//                    "memory": {"capacity_rows": 100000}}
//     }
//   }
//
// A top-level section per store backend says that the deployment has this tier; a table may
// override its options one by one. Sections and fields are registered by the backends; everything
// else is an error that lists what is known.
//
// Effective values: hps.json < the file named in TF_HPS_CONFIG (same form, any part of it) <
// TF_HPS_<SECTION>_<FIELD> in the environment (e.g. TF_HPS_MEMORY_CAPACITY_BYTES; for all tables).
// A null takes a tier, or what a lower layer said about a field, away.
inline constexpr int kConfigFormatVersion = 1;

enum class FieldType { kBool, kInt, kNumber, kString, kPath, kSecret, kDefaultRow };

// One option of a section: a row in a table beside the struct it fills.
struct ConfigField {
  std::string name;
  FieldType type;
  nlohmann::json default_value;  // null: none
  std::string help;              // one line, with the unit
  // Not empty: the strings that are allowed.
  std::vector<std::string> choices = {};
  // kInt, kNumber: smallest allowed. NaN and infinities never are.
  double minimum = 0;
  double maximum = std::numeric_limits<double>::infinity();
};
// A kSecret field `password` exists as `password_file` and `password_env` only; a literal is
// refused. A kPath field is relative to the folder of the file that names it.

// A tier, whose options a table may override, or something that all tables of a deployment share:
// there a table may only say null, that it does without.
enum class ConfigSectionOf { kTier, kDeployment };

// Called at static initialization by each backend.
void RegisterConfigSection(const std::string& section, std::vector<ConfigField> fields,
                           ConfigSectionOf kind = ConfigSectionOf::kTier);

enum class OutOfRange {
  kDefaultRow,  // every id without a row gets the default row
  kError,  // ids outside [0, vocabulary_size) fail the lookup, as tf.nn.embedding_lookup on a CPU
  kWrapNegatives,  // ids in [-vocabulary_size, 0) count from the end, others outside fail, as Keras
};

// What a table that follows a stream keeps at most (docs/updates.md, "Bounded growth").
struct GrowthBounds {
  int64_t max_rows = 0;  // 0: no bound
  int64_t ttl_s = 0;     // since a row's last update; 0: rows stay
  // A full table takes no new ids, instead of letting go of the rows updated longest ago.
  bool rejects = false;

  bool any() const { return max_rows > 0 || ttl_s > 0; }
  bool operator==(const GrowthBounds& other) const {
    return max_rows == other.max_rows && ttl_s == other.ttl_s && rejects == other.rejects;
  }
};

struct TableConfig {
  std::string name;
  std::string generation;     // empty: the store's newest of this name
  int64_t embedding_dim = 0;  // 0: as the store says
  std::string row_format;     // empty: as the store says, else float32
  // "zeros", [e0, e1, ...], {"id": 7}, or {"id": 7, "buckets": 3, "by": "fingerprint"} for the rows
  // of 7, 8 and 9.
  nlohmann::json default_row = "zeros";
  OutOfRange out_of_range = OutOfRange::kDefaultRow;
  int64_t vocabulary_size = 0;  // needed by kError and kWrapNegatives
  GrowthBounds bounds;
  int64_t miss_deadline_us = 0;  // 0: lookups wait as long as the stores take
  // Effective options of each section the deployment has: every field of it, defaults filled in,
  // paths absolute.
  std::map<std::string, nlohmann::json> sections;

  // Those that default_row names.
  DefaultBuckets default_buckets() const;
};

struct DeploymentConfig {
  std::string path;  // of hps.json
  std::string deployment;
  std::map<std::string, TableConfig> tables;
};

// Reads `path` and what overrides it. InvalidArgument names the file, what came and what is known;
// NotFound a file that is not there.
absl::StatusOr<DeploymentConfig> LoadConfig(const std::string& path);
// The same checks on a text without a file; relative paths are relative to `folder`. For exports.
absl::StatusOr<DeploymentConfig> ParseConfig(const std::string& text, const std::string& folder);

// The fields that are known, with type, default and help, those of each registered section too:
// {"format_version", "fields": [...], "sections": {"memory": [...]}, "table_fields": [...]}.
nlohmann::json ConfigSchema();

// The effective values with their origins, for `tf-hps config`: a list of
// {"name": "memory.capacity_bytes", "value": ..., "origin": "hps.json" | "default" | "TF_HPS_CONFIG
// (path)" | "TF_HPS_MEMORY_CAPACITY_BYTES"}, table overrides as "tables.movie_id.memory...".
// Secrets and credentials in URLs are masked.
absl::StatusOr<nlohmann::json> ExplainConfig(const std::string& path);

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_CONFIG_H_
