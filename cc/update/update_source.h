#ifndef TF_HPS_CC_UPDATE_UPDATE_SOURCE_H_
#define TF_HPS_CC_UPDATE_UPDATE_SOURCE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tf_hps {

// A stream of commits that trainers write and servers read, each from where it stands. One thread
// at a time.
class UpdateSource {
 public:
  struct Commit {
    std::string position;  // what the next commit comes after
    std::string frames;    // see ReadUpdateFrame; not looked at yet
  };

  virtual ~UpdateSource() = default;

  // The first commit after `position` (the stream's first, where that is empty), or nothing: there
  // is none yet. May wait a moment for one. DataLoss when commits after `position` are gone, or the
  // stream ends before it, so that whoever goes on would miss some; InvalidArgument for a position
  // that is none of this kind of source.
  //
  // Who asks has applied what comes before `position`, for good: the source may let it go.
  virtual absl::StatusOr<std::optional<Commit>> After(const std::string& position) = 0;

  // The position of the newest commit; empty before the first. What a full load of today's rows
  // goes on from.
  virtual absl::StatusOr<std::string> Newest() = 0;

  // How many commits there are after `position`.
  virtual absl::StatusOr<int64_t> CommitsAfter(const std::string& position) = 0;
};

// Segment files in a folder (docs/formats.md). NotFound when it does not exist.
absl::StatusOr<std::unique_ptr<UpdateSource>> OpenDirectorySource(const std::string& folder);

}  // namespace tf_hps

#endif  // TF_HPS_CC_UPDATE_UPDATE_SOURCE_H_
