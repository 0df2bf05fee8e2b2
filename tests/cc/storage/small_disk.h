#ifndef TF_HPS_TESTS_CC_STORAGE_SMALL_DISK_H_
#define TF_HPS_TESTS_CC_STORAGE_SMALL_DISK_H_

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <string>

#include "gtest/gtest.h"

namespace tf_hps {

// A file system of 300 MB for this process alone; false where nobody may mount one.
inline bool MountSmallDisk(const std::string& path) {
  const bool namespaced =
      geteuid() == 0 ? unshare(CLONE_NEWNS) == 0 : unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
  return namespaced && mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         mount("tmpfs", path.c_str(), "tmpfs", 0, "size=300m") == 0;
}

inline void FillDisk(const std::string& path) {
  std::ofstream file(path, std::ios::binary);
  const std::string block(1 << 16, 'x');
  while (file.write(block.data(), block.size()).flush()) {
  }
}

inline constexpr int kNoSmallDisk = 77;

// What became of `body` in a child process, where a small disk is at `path`: 0, or 1 where a test
// failed, or kNoSmallDisk where nobody may mount one, or the number of a signal less 1000.
inline int OnSmallDisk(const std::string& path, const std::function<void()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    if (!MountSmallDisk(path)) _exit(kNoSmallDisk);
    body();
    _exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status) - 1000;
}

}  // namespace tf_hps

#endif  // TF_HPS_TESTS_CC_STORAGE_SMALL_DISK_H_
