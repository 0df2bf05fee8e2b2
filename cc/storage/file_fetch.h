#ifndef TF_HPS_CC_STORAGE_FILE_FETCH_H_
#define TF_HPS_CC_STORAGE_FILE_FETCH_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cc/storage/store_manifest.h"

namespace tf_hps {

struct FetchOptions {
  size_t threads = 8;                    // files at a time
  size_t range_bytes = size_t{4} << 20;  // of one read
  std::chrono::milliseconds log_every{5000};
  std::chrono::milliseconds pause{200};  // before another attempt, times the attempts so far
};

// Brings files from the folder `url` into `folder`. A file appears under its name when its bytes
// and its checksum are what they should be and it is on the disk; until then it is NAME.partial,
// which another process may go on with. DataLoss names a file that came short, long or altered,
// twice. Several at a time; the log says how far it is.
absl::Status FetchFiles(const std::string& url, std::vector<StoreFile> files,
                        const std::string& folder, const FetchOptions& options);

// What FetchFiles still has to bring of a file.
int64_t BytesToFetch(const StoreFile& file, const std::string& folder);

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_FILE_FETCH_H_
