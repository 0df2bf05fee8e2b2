#include "cc/storage/row_limiter.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"

namespace tf_hps {
namespace {

// So many sets at once, then whoever wants to be alone in the gate has his turn: less than a
// millisecond.
constexpr uint64_t kSetsPerTurn = 1024;
// Rows that are used meanwhile are not as cold any more as when they were counted: after so many
// times of counting anew it is anybody's turn.
constexpr int kRounds = 3;

}  // namespace

absl::Status RowLimiter::Limit(int64_t rows) {
  if (rows < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("a memory store is limited to 1 row or more. Received: ", rows));
  }
  RowSlab* const slab = store_.slab;
  MutexLock lock(&mutex_);
  {
    // Nobody holds a row whose number was given out under another limit and is in no set yet.
    const WriteGate::Alone alone(gate_);
    slab->SetLimit(std::min(rows, slab->capacity()));
  }
  // Nobody gets a row as long as there are too many: they only become fewer.
  for (int round = 0; HasTooMany(); ++round) EvictColdest(/*any=*/round >= kRounds);
  if (slab->ReachesBeyondLimit()) {
    // Nor does anybody hold a row beyond the limit that went for a key of his while no lower number
    // was free.
    { const WriteGate::Alone alone(gate_); }
    constexpr uint64_t kAhead = 4;
    GoOver(
        [](KeyIndexWriter* writer, const KeyIndex& index, uint64_t set) {
          if (set + kAhead < index.num_sets()) writer->PrefetchToLower(set + kAhead);
          writer->LowerRows(set);
        },
        [](KeyIndexWriter* writer) { writer->LowerOverflow(); });
  }
  return slab->GiveBack();
}

template <class Visit, class Overflow>
void RowLimiter::GoOver(const Visit& visit, const Overflow& overflow) {
  std::shared_ptr<KeyIndex> index;
  for (uint64_t set = 0;;) {
    const WriteGate::Shared shared(gate_);
    if (index != *index_) {
      index = *index_;
      set = 0;
    }
    KeyIndexWriter writer(index.get(), store_);
    const uint64_t end = std::min(index->num_sets(), set + kSetsPerTurn);
    for (; set < end; ++set) visit(&writer, *index, set);
    if (set == index->num_sets()) return overflow(&writer);
  }
}

void RowLimiter::EvictColdest(bool any) {
  const EvictionPolicy& eviction = *store_.eviction;
  const uint16_t now = eviction.Now();
  // Rows go that are colder than `warmest`, and `going` of the `equal` that are as cold.
  uint32_t warmest = 0;
  int64_t equal = 1, going = 1;
  if (!any) {
    std::vector<int64_t> counts;
    const auto count = [&](uint16_t counter) {
      ++counts[eviction.Coldness(counter, now)];
      return false;
    };
    GoOver(
        [&](KeyIndexWriter* writer, const KeyIndex& index, uint64_t set) {
          if (set == 0) counts.assign(EvictionPolicy::kMaxColdness + 1, 0);
          for (int way = 0; way < KeySet::kWays; ++way) {
            if (index.sets()[set].rows[way].load(std::memory_order_relaxed) < KeySet::kFirstRow) {
              continue;
            }
            count(index.counters()[set * KeySet::kWays + way].load(std::memory_order_relaxed));
          }
        },
        [&](KeyIndexWriter* writer) { writer->EvictFromOverflow(count); });
    going = store_.slab->rows() - store_.slab->limit();
    for (warmest = EvictionPolicy::kMaxColdness; warmest > 0 && counts[warmest] < going;) {
      going -= counts[warmest--];
    }
    equal = counts[warmest];
  }

  // Those that go of equal ones are spread over the sets, which stay as full as each other.
  int64_t seen = 0, gone = 0;
  const auto goes = [&](uint16_t counter) {
    if (!HasTooMany()) return false;
    const uint32_t coldness = eviction.Coldness(counter, now);
    if (coldness != warmest) return coldness > warmest;
    ++seen;
    if (gone * equal >= seen * going) return false;
    ++gone;
    return true;
  };
  GoOver(
      [&](KeyIndexWriter* writer, const KeyIndex&, uint64_t set) {
        if (HasTooMany()) writer->EvictFrom(set, goes);
      },
      [&](KeyIndexWriter* writer) { writer->EvictFromOverflow(goes); });
}

}  // namespace tf_hps
