#include "cc/storage/rocksdb_table_record.h"

#include <ctime>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cc/storage/rocksdb_status.h"
#include "nlohmann/json.hpp"

namespace tf_hps {
namespace {

std::string NowInUtc() {
  const std::time_t now = std::time(nullptr);
  std::tm utc;
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

std::string Describe(const RocksdbTableRecord& record) {
  return absl::StrCat(record.name, " (generation ", record.generation, ", embedding_dim ",
                      record.embedding_dim, ", ", RowFormatName(record.row_format), ")");
}

}  // namespace

std::string RocksdbTableRecord::TableKey() const {
  return absl::StrCat(kRocksdbTablePrefix, name, "/", generation);
}

std::string RocksdbTableRecord::ModifiedKey() const {
  return absl::StrCat("tf_hps/modified/", name, "/", generation);
}

std::string RocksdbTableRecord::StreamKey() const {
  return absl::StrCat("tf_hps/stream/", name, "/", generation);
}

std::string RocksdbTableRecord::GrowthKey() const {
  return absl::StrCat("tf_hps/growth/", name, "/", generation);
}

std::string RocksdbTableRecord::AgesFamily() const {
  return absl::StrCat(kRocksdbAgesPrefix, name, "/", generation);
}

std::string RocksdbTableRecord::ToJson() const {
  nlohmann::json json = {{"column_family", column_family},
                         {"embedding_dim", embedding_dim},
                         {"row_format", std::string(RowFormatName(row_format))},
                         {"rows", rows},
                         {"sequence", sequence},
                         {"created", NowInUtc()}};
  if (over.has_value()) json["over"] = *over;
  return json.dump();
}

absl::StatusOr<RocksdbTableRecord> ParseRocksdbTableRecord(absl::string_view key,
                                                           absl::string_view value) {
  const auto wrong = [&](absl::string_view what) {
    return absl::DataLossError(
        absl::StrCat("the record \"", key, "\" is damaged: ", what, " in: ", value.substr(0, 200)));
  };
  RocksdbTableRecord record;
  const absl::string_view identity = key.substr(kRocksdbTablePrefix.size());
  const size_t slash = identity.rfind('/');
  if (slash == absl::string_view::npos) return wrong("no generation");
  record.name = std::string(identity.substr(0, slash));
  record.generation = std::string(identity.substr(slash + 1));

  const nlohmann::json json = nlohmann::json::parse(value.begin(), value.end(), nullptr, false);
  if (!json.is_object()) return wrong("no JSON object");
  for (const char* field : {"embedding_dim", "rows", "sequence"}) {
    if (!json.contains(field) || !json[field].is_number_integer() || json[field] < 0) {
      return wrong(absl::StrCat("no \"", field, "\""));
    }
  }
  for (const char* field : {"column_family", "row_format"}) {
    if (!json.contains(field) || !json[field].is_string()) {
      return wrong(absl::StrCat("no \"", field, "\""));
    }
  }
  json["column_family"].get_to(record.column_family);
  json["embedding_dim"].get_to(record.embedding_dim);
  json["rows"].get_to(record.rows);
  json["sequence"].get_to(record.sequence);
  const auto min_key = json.find("min_key");
  const auto max_key = json.find("max_key");
  if (record.rows > 0 && min_key != json.end() && max_key != json.end()) {
    if (!min_key->is_number_integer() || !max_key->is_number_integer()) {
      return wrong("\"min_key\" or \"max_key\" is no integer");
    }
    record.ends = {min_key->get<Key>(), max_key->get<Key>()};
  }
  for (const auto& [field, text] :
       {std::pair{"over", &record.over}, std::pair{"base", &record.base}}) {
    const auto it = json.find(field);
    if (it == json.end()) continue;
    if (!it->is_string()) return wrong(absl::StrCat("\"", field, "\" is no text"));
    *text = it->get<std::string>();
  }
  if (record.embedding_dim == 0) return wrong("embedding_dim 0");
  const absl::StatusOr<RowFormat> format = ParseRowFormat(json["row_format"].get<std::string>());
  if (!format.ok()) return wrong(format.status().message());
  record.row_format = *format;
  return record;
}

absl::StatusOr<RocksdbTableRecord> SelectRocksdbTable(
    absl::string_view path, const std::vector<RocksdbTableRecord>& records, absl::string_view name,
    absl::string_view generation) {
  const RocksdbTableRecord* selected = nullptr;
  for (const RocksdbTableRecord& record : records) {
    if (record.name != name || (!generation.empty() && record.generation != generation)) continue;
    if (selected == nullptr || record.sequence > selected->sequence) selected = &record;
  }
  if (selected != nullptr) return *selected;
  const std::string known = absl::StrJoin(
      records, ", ", [](std::string* out, const auto& record) { *out += Describe(record); });
  return absl::NotFoundError(
      absl::StrCat(RocksdbStoreName(path), " has no table \"", name, "\"",
                   generation.empty() ? "" : absl::StrCat(" of generation ", generation), ". ",
                   known.empty() ? "It has no tables." : absl::StrCat("It has: ", known)));
}

}  // namespace tf_hps
