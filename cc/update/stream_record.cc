#include "cc/update/stream_record.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace tf_hps {

StreamRecord::Arrival StreamRecord::Advance(const UpdateCommit& commit) {
  position = commit.position;
  const auto known =
      std::find_if(publishers.begin(), publishers.end(),
                   [&](const Publisher& publisher) { return publisher.id == commit.publisher; });
  if (known == publishers.end()) {
    time_us = commit.time_us;
    if (publishers.size() == kMaxPublishers) publishers.erase(publishers.begin());
    publishers.push_back({commit.publisher, commit.next_sequence});
    // Who began in the middle of a stream meets publishers in the middle of their work.
    return commit.first_sequence == 0 || !start.empty() ? Arrival::kNew : Arrival::kAfterGap;
  }
  if (commit.next_sequence <= known->next_sequence) return Arrival::kRepeated;
  const bool gap = commit.first_sequence > known->next_sequence;
  time_us = commit.time_us;
  known->next_sequence = commit.next_sequence;
  std::rotate(known, known + 1, publishers.end());
  return gap ? Arrival::kAfterGap : Arrival::kNew;
}

std::string StreamRecord::ToJson() const {
  nlohmann::json json = {{"position", position}, {"time_us", time_us}, {"start", start}};
  nlohmann::json& list = json["publishers"] = nlohmann::json::array();
  for (const Publisher& publisher : publishers)
    list.push_back({publisher.id, publisher.next_sequence});
  return json.dump();
}

absl::StatusOr<StreamRecord> StreamRecord::Parse(const std::string& text) {
  const auto wrong = [&] {
    return absl::DataLossError(absl::StrCat("a stream's record is damaged: ", text.substr(0, 200)));
  };
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("position") || !json["position"].is_string() ||
      !json.contains("start") || !json["start"].is_string() || !json.contains("time_us") ||
      !json["time_us"].is_number_integer() || !json.contains("publishers") ||
      !json["publishers"].is_array()) {
    return wrong();
  }
  StreamRecord record;
  json["position"].get_to(record.position);
  json["start"].get_to(record.start);
  json["time_us"].get_to(record.time_us);
  for (const nlohmann::json& publisher : json["publishers"]) {
    if (!publisher.is_array() || publisher.size() != 2 || !publisher[0].is_string() ||
        !publisher[1].is_number_integer()) {
      return wrong();
    }
    record.publishers.push_back({publisher[0].get<std::string>(), publisher[1].get<int64_t>()});
  }
  return record;
}

}  // namespace tf_hps
