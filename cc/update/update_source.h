#ifndef TF_HPS_CC_UPDATE_UPDATE_SOURCE_H_
#define TF_HPS_CC_UPDATE_UPDATE_SOURCE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cc/common/config.h"
#include "nlohmann/json.hpp"

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

  // Whether `a` comes before `b`; the empty position comes before all. Does not ask the stream, and
  // any thread may call it.
  virtual bool IsBefore(const std::string& a, const std::string& b) const { return a < b; }
};

// One kind of source. A backend is a .cc with everything in an anonymous namespace that ends in
//   const bool registered = RegisterUpdateSource({...});
struct UpdateSourceBackend {
  std::string kind;                 // what `updates.source` says
  std::vector<ConfigField> fields;  // that the section "updates" has for this kind alone
  // `options` is the section, with every field of it.
  absl::StatusOr<std::unique_ptr<UpdateSource>> (*open)(const nlohmann::json& options);
};

// Also registers the section "updates": the fields of all sources, and those common to them.
bool RegisterUpdateSource(UpdateSourceBackend backend);

absl::StatusOr<std::unique_ptr<UpdateSource>> OpenUpdateSource(const nlohmann::json& options);

// Segment files in a folder (docs/formats.md). NotFound when it does not exist.
absl::StatusOr<std::unique_ptr<UpdateSource>> OpenDirectorySource(const std::string& folder);

}  // namespace tf_hps

#endif  // TF_HPS_CC_UPDATE_UPDATE_SOURCE_H_
