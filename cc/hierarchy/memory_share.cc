#include "cc/hierarchy/memory_share.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>

#include "absl/log/log.h"
#include "cc/common/thread_priority.h"

namespace tf_hps {
namespace {

// A piece is in memory twice for a moment, and each costs the others a pass over their keys.
constexpr int kPieces = 8;
// A tier with room for every row has not counted what it was asked for: it does so for a while
// first, as long as its size is worth it.
constexpr std::chrono::microseconds kCountingPerRow(1);
constexpr std::chrono::microseconds kLongestCounting(2'000'000);

void Limit(EmbeddingTable* table, int64_t rows) {
  if (absl::Status status = table->LimitMemory(rows); !status.ok()) {
    LOG(WARNING) << table->spec().Described() << " keeps its memory: " << status;
  }
}

void LetCount(const std::vector<std::shared_ptr<EmbeddingTable>>& tables) {
  auto until = std::chrono::steady_clock::time_point::min();
  for (const auto& table : tables) {
    const auto wanted =
        std::min<std::chrono::microseconds>(kCountingPerRow * table->spec().rows, kLongestCounting);
    until = std::max(until, table->CountUses() + wanted);
  }
  std::this_thread::sleep_until(until);
}

void HandOver(EmbeddingTable* table, const std::vector<std::shared_ptr<EmbeddingTable>>& others) {
  LetCount(others);
  const auto busiest =
      *std::max_element(others.begin(), others.end(),
                        [](const auto& a, const auto& b) { return a->lookups() < b->lookups(); });
  const size_t open = others.size() + 1;
  const int64_t share = table->MemoryShare(open);
  const std::vector<Key> keys = busiest->HotKeys(static_cast<size_t>(share));
  for (int piece = 1; piece <= kPieces; ++piece) {
    for (const auto& other : others) {
      const int64_t before = other->MemoryShare(open - 1);
      Limit(other.get(), before - (before - other->MemoryShare(open)) * piece / kPieces);
    }
    Limit(table, share * piece / kPieces);
    const auto first = keys.begin() + static_cast<int64_t>(keys.size() * (piece - 1) / kPieces);
    const auto last = keys.begin() + static_cast<int64_t>(keys.size() * piece / kPieces);
    if (absl::Status status = table->LoadRows({first, last}); !status.ok()) {
      LOG(WARNING) << table->spec().Described() << " begins without its hot rows: " << status;
    }
  }
}

}  // namespace

void TakeMemoryShare(EmbeddingTable* table,
                     const std::vector<std::shared_ptr<EmbeddingTable>>& others) {
  // On a thread that gives way to those who answer meanwhile.
  std::thread([&] {
    YieldToLookups();
    HandOver(table, others);
  }).join();
}

void GrowMemoryShares(const std::vector<std::shared_ptr<EmbeddingTable>>& left) {
  for (const auto& table : left) {
    const int64_t share = table->MemoryShare(left.size());
    const bool grows = table->memory_limit() < share;
    Limit(table.get(), share);
    if (grows) table->FillMemory(/*yields=*/true);
  }
}

}  // namespace tf_hps
