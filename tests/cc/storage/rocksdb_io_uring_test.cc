// Containers forbid io_uring (the default seccomp profile of Docker). RocksDB as it is linked here
// does not ask for it: reads and writes go on in a process that any of its calls would end. Where a
// RocksDB with liburing is linked instead, the test says so.

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>

#include "gtest/gtest.h"
#include "tests/cc/storage/rocksdb_fixture.h"
#include "tests/cc/storage/temp_dir.h"

namespace tf_hps {
namespace {

constexpr int kNoFilter = 3;
constexpr int kFailed = 4;

// io_uring_setup, io_uring_enter and io_uring_register have these numbers on every machine.
void EndAtIoUring() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 425, 0, 2),
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 427, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter = {sizeof(program) / sizeof(program[0]), program};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
    std::_Exit(kNoFilter);
  }
}

[[noreturn]] void WriteAndRead(const std::string& path) {
  EndAtIoUring();
  constexpr int kRows = 2000;
  std::vector<Key> keys;
  std::vector<Row> rows;
  for (int i = 0; i < kRows; ++i) {
    keys.push_back(i);
    rows.push_back(RowOf(i));
  }
  for (const bool read_only : {kReadWrite, kReadOnly}) {  // the second one reads from files
    auto store = OpenTable(path, read_only, "live-0");
    if (!store.ok()) std::_Exit(kFailed);
    if (!read_only && !Insert(**store, keys, rows).ok()) std::_Exit(kFailed);
    Batch batch(keys);
    Pending pending = Pending::All(kRows);
    if (!(*store)->Find(keys, batch.sink, &pending).ok()) std::_Exit(kFailed);
    if (!pending.empty() || batch.rows != rows) std::_Exit(kFailed);
  }
  std::_Exit(0);
}

TEST(RocksdbIoUringTest, StoresDoWithoutIt) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // RocksDB's threads are not in a fork
  const TempDir dir;
  EXPECT_EXIT(WriteAndRead(dir / "store"), ::testing::ExitedWithCode(0), "")
      << "killed: this RocksDB is linked with liburing, which docs/operations.md says it is not; "
      << kNoFilter << ": no seccomp here; " << kFailed << ": rows are not as written";
}

TEST(RocksdbIoUringTest, ACallWouldEndTheProcess) {
  const auto call = [] {
    EndAtIoUring();
    syscall(425, 1, nullptr);
    std::_Exit(0);
  };
  EXPECT_EXIT(call(), ::testing::KilledBySignal(SIGSYS), "");
}

}  // namespace
}  // namespace tf_hps
