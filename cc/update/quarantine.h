#ifndef TF_HPS_CC_UPDATE_QUARANTINE_H_
#define TF_HPS_CC_UPDATE_QUARANTINE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "cc/update/update_source.h"

namespace tf_hps {

// Commits that were not applied, or not whole, on the disk: `<position>.hpsu` as it came, and
// `<position>.json` with the reason. One thread at a time.
class Quarantine {
 public:
  // An empty folder's name: nothing is kept. The folder is made with the first commit.
  Quarantine(std::string folder, int64_t max_bytes)
      : folder_(std::move(folder)), max_bytes_(max_bytes) {}

  // Not to be able to keep one is an error, and no reason to stop.
  absl::Status Keep(const UpdateSource::Commit& commit, absl::string_view reason);

 private:
  absl::Status Prepare();

  const std::string folder_;
  const int64_t max_bytes_;
  bool prepared_ = false;
  int64_t bytes_ = 0;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_UPDATE_QUARANTINE_H_
