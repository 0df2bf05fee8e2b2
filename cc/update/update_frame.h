#ifndef TF_HPS_CC_UPDATE_UPDATE_FRAME_H_
#define TF_HPS_CC_UPDATE_UPDATE_FRAME_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "cc/common/key.h"

namespace tf_hps {

// One message of a stream of updates (docs/formats.md, "Update frames").
struct UpdateFrame {
  enum class Kind { kRows, kErase, kCommit };

  Kind kind = Kind::kCommit;
  std::string deployment;
  std::string publisher;
  int64_t sequence = 0;  // in the publisher's frames
  int64_t time_us = 0;   // since 1970, on the publisher's clock

  // Of rows and erases.
  std::string table;
  std::string generation;
  std::vector<Key> keys;

  // Of rows.
  int64_t embedding_dim = 0;
  std::vector<float> rows;  // keys.size() * embedding_dim

  // Of commits.
  int64_t frames = 0;   // before this one, in this commit
  int64_t commits = 0;  // of the publisher before this one
};

// Reads the frame at the front of *bytes and takes it off. DataLoss when it is no whole frame, or a
// damaged one: the message says what is wrong at which byte of `where`, and *bytes stays.
// Unimplemented for a format version of the future.
absl::StatusOr<UpdateFrame> ReadUpdateFrame(absl::Span<const uint8_t>* bytes,
                                            absl::string_view where);

}  // namespace tf_hps

#endif  // TF_HPS_CC_UPDATE_UPDATE_FRAME_H_
