#ifndef TF_HPS_CC_COMMON_PATHS_H_
#define TF_HPS_CC_COMMON_PATHS_H_

#include <string>

namespace tf_hps {

// Paths of the configuration: of files here, or with a scheme (cc/common/remote_files.h).

// The folder that a file is in.
std::string FolderOf(const std::string& path);

// One spelling a place, whatever links and ".." lead there: a store is opened once per process. A
// relative path starts at `folder`, which may have a scheme. What has one itself is left as it is.
std::string AbsolutePath(const std::string& path, const std::string& folder);

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_PATHS_H_
