#include "cc/common/config_value.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cc/common/config_names.h"
#include "cc/common/paths.h"

namespace tf_hps {
namespace {

using nlohmann::json;

constexpr double kInt64End = 9223372036854775808.0;  // 2^63

// 16777216, not 16777216.0.
std::string Plain(double bound) {
  const bool whole = bound == std::floor(bound) && std::abs(bound) < kInt64End;
  return whole ? absl::StrCat(static_cast<int64_t>(bound)) : json(bound).dump();
}

// "is a whole number from 1 to 16777216": what the field takes, for a message.
std::string Wanted(const ConfigField& field) {
  if (!field.choices.empty()) return absl::StrCat("is one of ", absl::StrJoin(field.choices, ", "));
  std::string wanted;
  switch (field.type) {
    case FieldType::kBool:
      return "is true or false";
    case FieldType::kString:
      return "is a text";
    case FieldType::kPath:
      return "is a path";
    case FieldType::kSecret:
      return "is the name of an environment variable that holds the secret, and does not begin "
             "with "
             "TF_HPS_";
    case FieldType::kDefaultRow:
      return "is \"zeros\", a list of finite float32 numbers, {\"id\": n} or {\"id\": n, "
             "\"buckets\": 1 to 1048576, \"by\": \"floormod\", \"fingerprint\" or "
             "\"decimal_fingerprint\"}";
    case FieldType::kInt:
      wanted = "is a whole number";
      break;
    case FieldType::kNumber:
      wanted = "is a finite number";
      break;
  }
  if (std::isfinite(field.minimum)) absl::StrAppend(&wanted, " from ", Plain(field.minimum));
  if (std::isfinite(field.maximum)) absl::StrAppend(&wanted, " to ", Plain(field.maximum));
  if (!std::isfinite(field.maximum) && std::isfinite(field.minimum)) {
    absl::StrAppend(&wanted, " on");
  }
  return wanted;
}

bool InRange(const ConfigField& field, double value) {
  return std::isfinite(value) && value >= field.minimum && value <= field.maximum;
}

// Turns *value into an int64 where it is a whole number that fits.
bool ToInt64(json* value) {
  if (value->is_number_float()) {
    const double number = value->get<double>();
    if (!(number >= -kInt64End && number < kInt64End) || number != std::floor(number)) return false;
    *value = static_cast<int64_t>(number);
  } else if (value->is_number_unsigned()) {
    const uint64_t number = value->get<uint64_t>();
    if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return false;
    *value = static_cast<int64_t>(number);
  }
  return value->is_number_integer();
}

// Their rows are in memory, three times decoded.
constexpr int64_t kMaxDefaultBuckets = 1 << 20;

bool IsDefaultRow(json* value) {
  if (value->is_string()) return *value == "zeros";
  if (value->is_object()) {
    const auto id = value->find("id");
    if (id == value->end() || !ToInt64(&*id)) return false;
    if (value->size() == 1) return true;
    const auto buckets = value->find("buckets"), by = value->find("by");
    return value->size() == 3 && buckets != value->end() && by != value->end() &&
           ToInt64(&*buckets) && *buckets >= 1 && *buckets <= kMaxDefaultBuckets &&
           id->get<int64_t>() <= std::numeric_limits<int64_t>::max() - kMaxDefaultBuckets &&
           (*by == "floormod" || *by == "fingerprint" || *by == "decimal_fingerprint");
  }
  return value->is_array() && !value->empty() &&
         std::all_of(value->begin(), value->end(), [](const json& element) {
           return element.is_number() &&
                  std::abs(element.get<double>()) <= std::numeric_limits<float>::max();
         });
}

bool Takes(const ConfigField& field, json* value) {
  switch (field.type) {
    case FieldType::kBool:
      return value->is_boolean();
    case FieldType::kInt:
      return ToInt64(value) && InRange(field, value->get<double>());
    case FieldType::kNumber:
      return value->is_number() && InRange(field, value->get<double>());
    case FieldType::kDefaultRow:
      return IsDefaultRow(value);
    case FieldType::kString:
    case FieldType::kPath:
    case FieldType::kSecret:
      break;
  }
  if (!value->is_string()) return false;
  const std::string& text = value->get_ref<const std::string&>();
  if (!IsCleanText(text)) return false;
  if (field.type == FieldType::kPath) return !text.empty();
  if (field.type == FieldType::kSecret) {
    return IsVariableName(text) && !absl::StartsWith(text, "TF_HPS_");
  }
  return field.choices.empty() ||
         std::find(field.choices.begin(), field.choices.end(), text) != field.choices.end();
}

}  // namespace

absl::StatusOr<json> CheckConfigValue(const ConfigField& field, json value,
                                      const std::string& folder, const std::string& where) {
  if (!Takes(field, &value)) {
    // What came for a secret may be the secret.
    return absl::InvalidArgumentError(absl::StrCat(
        where, " ", Wanted(field), ". Received: ",
        field.type == FieldType::kSecret ? "something else, not shown" : Received(value)));
  }
  if (field.type == FieldType::kPath) {
    const std::string& path = value.get_ref<const std::string&>();
    std::string absolute = AbsolutePath(path, folder);
    if (!IsCleanText(absolute)) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, " leads to a folder whose name is not UTF-8: ", Quoted(absolute)));
    }
    value = std::move(absolute);
  }
  return value;
}

json ConfigValueFromText(const ConfigField& field, const std::string& text) {
  const std::string lower = absl::AsciiStrToLower(text);
  if (field.type == FieldType::kBool) {
    if (lower == "1" || lower == "true") return true;
    if (lower == "0" || lower == "false") return false;
  } else if (field.type == FieldType::kInt || field.type == FieldType::kNumber) {
    const json number = json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (number.is_number()) return number;
  }
  return text;
}

std::string Received(const json& value) {
  if (value.is_string()) return Quoted(value.get_ref<const std::string&>());
  if (value.is_array()) return absl::StrCat("a list of ", value.size());
  if (value.is_object()) return absl::StrCat("an object of ", value.size());
  return value.dump();
}

}  // namespace tf_hps
