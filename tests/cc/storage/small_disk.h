#ifndef TF_HPS_TESTS_CC_STORAGE_SMALL_DISK_H_
#define TF_HPS_TESTS_CC_STORAGE_SMALL_DISK_H_

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
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

// What became of `body` in another process, where a small disk is at `path`: 0, or 1 where a test
// failed, or kNoSmallDisk where nobody may mount one, or the number of a signal less 1000. That
// process begins the running test anew: one that is forked alone has none of RocksDB's threads.
inline int OnSmallDisk(const std::string& path, const std::function<void()>& body) {
  constexpr char kIsTheOther[] = "TF_HPS_TEST_ON_SMALL_DISK";
  if (getenv(kIsTheOther) != nullptr) {
    if (!MountSmallDisk(path)) _exit(kNoSmallDisk);
    body();
    umount2(path.c_str(), MNT_DETACH);
    rmdir(path.c_str());
    _exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  const ::testing::TestInfo& test = *::testing::UnitTest::GetInstance()->current_test_info();
  const std::string filter =
      std::string("--gtest_filter=") + test.test_suite_name() + "." + test.name();
  const pid_t child = fork();
  if (child == 0) {
    setenv(kIsTheOther, "1", 1);
    execl("/proc/self/exe", "on_small_disk", filter.c_str(), nullptr);
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status) - 1000;
}

}  // namespace tf_hps

#endif  // TF_HPS_TESTS_CC_STORAGE_SMALL_DISK_H_
