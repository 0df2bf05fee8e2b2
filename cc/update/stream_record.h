#ifndef TF_HPS_CC_UPDATE_STREAM_RECORD_H_
#define TF_HPS_CC_UPDATE_STREAM_RECORD_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cc/update/update_commit.h"

namespace tf_hps {

// How far rows have come in a stream. Kept with the rows (docs/formats.md), so that after the end
// of a process, whenever it came, each commit counts once.
struct StreamRecord {
  // More publishers than are at work at a time: each has a new id when it starts.
  static constexpr size_t kMaxPublishers = 64;

  struct Publisher {
    std::string id;
    int64_t next_sequence = 0;
  };

  std::string position;  // of the last commit
  int64_t time_us = 0;   // when it was committed, on its publisher's clock
  // Where it was begun; empty: at the stream's first commit.
  std::string start;
  std::vector<Publisher> publishers;  // the one heard last at the end

  enum class Arrival {
    kNew,
    kRepeated,  // by a publisher that did not hear that it had arrived
    kAfterGap,  // commits of its publisher before it never came
  };
  // Moves on over a commit that is applied, or passed over. A commit that repeats a part of what
  // came before counts as new: its publisher tried again with more in it, and rows are rows.
  Arrival Advance(const UpdateCommit& commit);

  std::string ToJson() const;
  static absl::StatusOr<StreamRecord> Parse(const std::string& text);
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_UPDATE_STREAM_RECORD_H_
