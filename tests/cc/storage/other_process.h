#ifndef TF_HPS_TESTS_CC_STORAGE_OTHER_PROCESS_H_
#define TF_HPS_TESTS_CC_STORAGE_OTHER_PROCESS_H_

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "gtest/gtest.h"

namespace tf_hps {

// Runs one test of this program elsewhere, on the store at `path`. It says one byte when it is
// ready, and goes on when its standard input ends.
class OtherProcess {
 public:
  OtherProcess(const std::string& test, const std::string& path) {
    int to_child[2], from_child[2];
    if (pipe2(to_child, O_CLOEXEC) != 0 || pipe2(from_child, O_CLOEXEC) != 0) std::abort();
    const std::string filter = "--gtest_filter=*.DISABLED_" + test;
    setenv("TF_HPS_TEST_STORE", path.c_str(), 1);
    child_ = fork();
    if (child_ == 0) {
      dup2(to_child[0], 0);
      dup2(from_child[1], 3);
      execl("/proc/self/exe", "test", filter.c_str(), "--gtest_also_run_disabled_tests", nullptr);
      _exit(127);
    }
    close(to_child[0]);
    close(from_child[1]);
    to_child_ = to_child[1];
    char byte = 0;
    ready_ = read(from_child[0], &byte, 1) == 1;
    close(from_child[0]);
  }
  ~OtherProcess() {
    if (to_child_ >= 0) Finish();
  }

  bool ready() const { return ready_; }
  pid_t pid() const { return child_; }
  // Lets it go on to its end; whether its test passed.
  bool Finish() {
    close(to_child_);
    to_child_ = -1;
    int status = 0;
    waitpid(child_, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  // As a crash would.
  void Kill() {
    kill(child_, SIGKILL);
    Finish();
  }

 private:
  pid_t child_;
  int to_child_;
  bool ready_;
};

inline std::string StorePath() { return std::getenv("TF_HPS_TEST_STORE"); }

inline void SayReadyAndWait() {
  ASSERT_EQ(write(3, "r", 1), 1);
  char byte;
  while (read(0, &byte, 1) > 0) {
  }
}

}  // namespace tf_hps

#endif  // TF_HPS_TESTS_CC_STORAGE_OTHER_PROCESS_H_
