#include "cc/storage/reader_gate.h"

#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace tf_hps {
namespace {

TEST(ReaderGateTest, AWriterWaitsForTheReadersThatWereThere) {
  ReaderGate gate;
  std::atomic<bool> waited{false};
  auto reader = std::make_unique<ReaderGate::Reader>(&gate);
  std::thread writer([&] {
    gate.WaitForReaders();
    waited = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(waited);
  reader.reset();
  writer.join();
  EXPECT_TRUE(waited);
}

// Each value dies as soon as its last reader may have left: AddressSanitizer and ThreadSanitizer
// see a reader that was missed.
TEST(ReaderGateTest, NoReaderIsLeftWithAValueThatWasReplaced) {
  ReaderGate gate;
  std::atomic<const std::vector<int>*> value{new std::vector<int>(100, 0)};
  std::atomic<bool> over{false};
  std::vector<std::thread> readers;
  for (int t = 0; t < 3; ++t) {
    readers.emplace_back([&] {
      while (!over) {
        const ReaderGate::Reader reader(&gate);
        const std::vector<int>& seen = *value.load();
        ASSERT_EQ(seen.front(), seen.back());
      }
    });
  }
  for (int i = 1; i < 300; ++i) {
    const std::vector<int>* const old = value.exchange(new std::vector<int>(100, i));
    gate.WaitForReaders();
    delete old;
  }
  over = true;
  for (std::thread& reader : readers) reader.join();
  delete value.load();
}

}  // namespace
}  // namespace tf_hps
