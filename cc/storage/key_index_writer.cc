#include "cc/storage/key_index_writer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tf_hps {

struct KeyIndexWriter::Homes {
  Homes(const KeyIndexWriter& writer, Key key)
      : first(writer.index_.FirstHomeOf(key)), second(writer.index_.SecondHomeOf(key)) {
    SetLock* const lower = first < second ? &first_lock : &second_lock;
    SetLock* const upper = first < second ? &second_lock : &first_lock;
    while (!lower->TryLock(writer.Set(std::min(first, second)))) std::this_thread::yield();
    while (!upper->TryLock(writer.Set(std::max(first, second)))) std::this_thread::yield();
  }

  const uint64_t first, second;
  SetLock first_lock, second_lock;
};

KeyIndexWriter::Way KeyIndexWriter::FindKey(uint64_t set, Key key) const {
  for (Way at{set, 0}; at.way < KeySet::kWays; ++at.way) {
    if (CodeAt(at) != KeySet::kFree && KeyAt(at) == key) return at;
  }
  return {};
}

KeyIndexWriter::Way KeyIndexWriter::FindKey(const Homes& homes, Key key) const {
  const Way at = FindKey(homes.first, key);
  return at ? at : FindKey(homes.second, key);
}

KeyIndexWriter::Way KeyIndexWriter::FindCode(uint64_t set, uint32_t code) const {
  for (Way at{set, 0}; at.way < KeySet::kWays; ++at.way) {
    if (CodeAt(at) == code) return at;
  }
  return {};
}

KeyIndexWriter::Way KeyIndexWriter::FindSpare(uint64_t set) const {
  const Way free = FindCode(set, KeySet::kFree);
  return free ? free : FindCode(set, KeySet::kAbsent);
}

KeyIndexWriter::Way KeyIndexWriter::FindColdest(uint64_t set, Key key) const {
  // Starts at a way that depends on the key: among equals it would always be the same one's turn.
  const int start = static_cast<int>(HashKey(key) % KeySet::kWays);
  Way coldest;
  uint32_t most = 0;
  for (int i = 0; i < KeySet::kWays; ++i) {
    const Way at{set, (start + i) % KeySet::kWays};
    if (CodeAt(at) < KeySet::kFirstRow) continue;
    const uint32_t coldness = Coldness(at);
    if (!coldest || coldness > most) {
      coldest = at;
      most = coldness;
    }
  }
  return coldest;
}

KeyIndexWriter::Way KeyIndexWriter::FindColdest(const Homes& homes, Key key) const {
  const Way first = FindColdest(homes.first, key);
  const Way second = FindColdest(homes.second, key);
  if (!first || !second) return first ? first : second;
  return Coldness(second) > Coldness(first) ? second : first;
}

void KeyIndexWriter::Occupy(Way at, Key key, uint32_t code, uint16_t counter) {
  if (CodeAt(at) != KeySet::kFree) Vacate(at);
  if (index_.counters() != nullptr) CounterOf(at)->store(counter, std::memory_order_relaxed);
  Set(at.set)->keys[at.way].store(key, std::memory_order_relaxed);
  Set(at.set)->rows[at.way].store(code, std::memory_order_relaxed);
  const uint64_t first = index_.FirstHomeOf(key);
  if (first != at.set) CountSpilled(Set(first), 1);
  if (code == KeySet::kAbsent) store_.absent->fetch_add(1, std::memory_order_relaxed);
}

void KeyIndexWriter::Vacate(Way at) {
  const uint64_t first = index_.FirstHomeOf(KeyAt(at));
  if (first != at.set) CountSpilled(Set(first), -1);
  if (CodeAt(at) == KeySet::kAbsent) store_.absent->fetch_sub(1, std::memory_order_relaxed);
  Set(at.set)->rows[at.way].store(KeySet::kFree, std::memory_order_relaxed);
  Set(at.set)->keys[at.way].store(index_.FreeKey(at.set), std::memory_order_relaxed);
}

// Moves one key of `from` to its other home. A reader that looked for it in that home before and
// here after sees that its first home changed, and looks again.
KeyIndexWriter::Way KeyIndexWriter::MoveAway(uint64_t from, const Homes& homes) {
  for (Way at{from, 0}; at.way < KeySet::kWays; ++at.way) {
    const Key key = KeyAt(at);
    const uint64_t first = index_.FirstHomeOf(key);
    const uint64_t other = first == from ? index_.SecondHomeOf(key) : first;
    SetLock lock;
    if (other == homes.first || other == homes.second || !lock.TryLock(Set(other))) continue;
    const Way to = FindSpare(other);
    if (!to) continue;
    const uint32_t code = LoweredCode(CodeAt(at));  // it may come to a set that was gone over
    const uint16_t counter =
        index_.counters() == nullptr ? 0 : CounterOf(at)->load(std::memory_order_relaxed);
    // First in, then out: the count of spilled keys is never too low.
    Occupy(to, key, code, counter);
    Vacate(at);
    return at;
  }
  return {};
}

KeyIndexWriter::Way KeyIndexWriter::MakeRoom(const Homes& homes) {
  for (uint64_t set : {homes.first, homes.second}) {
    if (Way spare = FindSpare(set)) return spare;
  }
  if (store_.scanners->load() > 0) return {};
  for (uint64_t set : {homes.first, homes.second}) {
    if (Way room = MoveAway(set, homes)) return room;
  }
  return {};
}

void KeyIndexWriter::Place(const Homes& homes, Key key, uint32_t code, uint16_t counter) {
  if (const Way room = MakeRoom(homes)) {
    Occupy(room, key, code, counter);
  } else {
    CountSpilled(Set(homes.first), 1);
    index_.overflow().Insert(key, code - KeySet::kFirstRow);
  }
}

uint32_t KeyIndexWriter::Evict(Way at) {
  const uint32_t row = CodeAt(at) - KeySet::kFirstRow;
  // Before anybody can miss the row.
  store_.losses->fetch_add(1);
  store_.eviction->Evict(KeyAt(at), CounterOf(at)->load(std::memory_order_relaxed));
  Vacate(at);
  return row;
}

uint32_t KeyIndexWriter::EvictAnywhere(uint64_t start) {
  for (uint64_t i = 0; i < index_.num_sets(); ++i) {
    const uint64_t set = (start + i) % index_.num_sets();
    SetLock lock;
    if (!lock.TryLock(Set(set))) continue;
    if (const Way victim = FindColdest(set, static_cast<Key>(start))) return Evict(victim);
  }
  for (const auto& [key, row] : index_.overflow().All()) {
    const uint32_t evicted = EvictOverflowed(key);
    if (evicted != RowSlab::kNoRow) return evicted;
  }
  return RowSlab::kNoRow;
}

uint32_t KeyIndexWriter::EvictOverflowed(Key key) {
  SetLock lock(Set(index_.FirstHomeOf(key)));
  if (!index_.overflow().With(key, [](uint32_t) {})) return RowSlab::kNoRow;
  store_.losses->fetch_add(1);
  store_.eviction->Evict(key, store_.eviction->New());
  const uint32_t row = index_.overflow().Erase(key, RowSlab::kNoRow);
  CountSpilled(Set(index_.FirstHomeOf(key)), -1);
  return row;
}

absl::StatusOr<KeyIndexWriter::Outcome> KeyIndexWriter::Insert(Key key, const uint8_t* row,
                                                               OnExisting existing, bool may_evict,
                                                               Refuses refuses) {
  const uint64_t first = index_.FirstHomeOf(key);
  {
    // Most keys need their first home alone.
    SetLock lock(Set(first));
    if (refuses()) return Outcome::kRefused;
    Way at = FindKey(first, key);
    if (at && CodeAt(at) >= KeySet::kFirstRow) {
      if (existing == OnExisting::kKeep) return Outcome::kKept;
      store_.slab->Write(CodeAt(at) - KeySet::kFirstRow, row);
      return Outcome::kStored;
    }
    if (!at && Spilled(Set(first)) == 0) at = FindSpare(first);
    if (at) {
      const absl::StatusOr<uint32_t> number = store_.slab->Allocate();
      if (!number.ok()) return number.status();
      if (*number != RowSlab::kNoRow) {
        store_.slab->Write(*number, row);
        Occupy(at, key, *number + KeySet::kFirstRow, NewCounter(1));
        return Outcome::kStored;
      }
    }
  }

  // All rows may be taken, and none by a key of these homes: another set gives one away then, or
  // the overflow, unless rows are freed meanwhile.
  uint32_t evicted_row = RowSlab::kNoRow;
  for (;;) {
    const absl::StatusOr<Outcome> outcome =
        InsertUnderHomes(key, row, existing, may_evict, refuses, &evicted_row);
    if (!outcome.ok() || *outcome != Outcome::kNoVictim) {
      if (evicted_row != RowSlab::kNoRow) store_.slab->Free(evicted_row);
      return outcome;
    }
    evicted_row = EvictAnywhere(first);
  }
}

absl::StatusOr<KeyIndexWriter::Outcome> KeyIndexWriter::InsertUnderHomes(
    Key key, const uint8_t* row, OnExisting existing, bool may_evict, Refuses refuses,
    uint32_t* evicted_row) {
  Homes homes(*this, key);
  if (refuses()) return Outcome::kRefused;
  const Way at = FindKey(homes, key);
  if (at && CodeAt(at) >= KeySet::kFirstRow) {
    if (existing == OnExisting::kKeep) return Outcome::kKept;
    store_.slab->Write(CodeAt(at) - KeySet::kFirstRow, row);
    return Outcome::kStored;
  }
  const bool overflowed = index_.overflow().With(key, [&](uint32_t number) {
    if (existing == OnExisting::kReplace) store_.slab->Write(number, row);
  });
  if (overflowed) return existing == OnExisting::kKeep ? Outcome::kKept : Outcome::kStored;

  uint32_t uses = 1;
  uint32_t number = std::exchange(*evicted_row, RowSlab::kNoRow);
  if (number == RowSlab::kNoRow) {
    const absl::StatusOr<uint32_t> allocated = store_.slab->Allocate();
    if (!allocated.ok()) return allocated.status();
    number = *allocated;
  }
  if (number == RowSlab::kNoRow) {
    if (!may_evict) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "the memory store is full: this machine's memory has room for ", store_.slab->rows(),
          " rows; with capacity_rows or capacity_bytes it evicts"));
    }
    uses = store_.eviction->CountMiss(key);
    const Way victim = FindColdest(homes, key);
    if (!victim) return Outcome::kNoVictim;
    // What somebody writes comes in; what is only carried up has to earn its place.
    if (existing == OnExisting::kKeep &&
        !store_.eviction->Admits(uses, CounterOf(victim)->load(std::memory_order_relaxed))) {
      store_.losses->fetch_add(1);  // so does a row that never comes in: not all are here
      return Outcome::kNotAdmitted;
    }
    number = Evict(victim);
  }
  if (at) Vacate(at);                   // the mark that said nobody knows the key
  number = store_.slab->Lower(number);  // an evicted row's may be beyond a limit that came later
  store_.slab->Write(number, row);
  Place(homes, key, number + KeySet::kFirstRow, NewCounter(uses));
  return Outcome::kStored;
}

void KeyIndexWriter::Erase(Key key) {
  const uint64_t first = index_.FirstHomeOf(key);
  uint32_t code = KeySet::kFree;
  {
    SetLock lock(Set(first));
    const Way at = FindKey(first, key);
    if (!at && Spilled(Set(first)) == 0) return;
    if (at) {
      code = CodeAt(at);
      Vacate(at);
    }
  }
  if (code == KeySet::kFree) {
    Homes homes(*this, key);
    const Way at = FindKey(homes, key);
    if (at) {
      code = CodeAt(at);
      Vacate(at);
    } else {
      const uint32_t row = index_.overflow().Erase(key, RowSlab::kNoRow);
      if (row == RowSlab::kNoRow) return;
      code = row + KeySet::kFirstRow;
      CountSpilled(Set(homes.first), -1);
    }
  }
  if (code >= KeySet::kFirstRow) store_.slab->Free(code - KeySet::kFirstRow);
}

void KeyIndexWriter::MarkAbsent(Key key, Refuses refuses) {
  Homes homes(*this, key);
  const bool known = FindKey(homes, key) || index_.overflow().With(key, [](uint32_t) {});
  if (known || refuses()) return;
  for (uint32_t code : {KeySet::kFree, KeySet::kAbsent}) {
    for (uint64_t set : {homes.first, homes.second}) {
      if (const Way at = FindCode(set, code)) {
        Occupy(at, key, KeySet::kAbsent, 0);
        return;
      }
    }
  }
}

void KeyIndexWriter::EvictFrom(uint64_t set, absl::FunctionRef<bool(uint16_t)> goes) {
  SetLock lock(Set(set));
  for (Way at{set, 0}; at.way < KeySet::kWays; ++at.way) {
    if (CodeAt(at) >= KeySet::kFirstRow && goes(CounterOf(at)->load(std::memory_order_relaxed))) {
      store_.slab->Free(Evict(at));
    }
  }
}

void KeyIndexWriter::EvictFromOverflow(absl::FunctionRef<bool(uint16_t)> goes) {
  for (const auto& [key, row] : index_.overflow().All()) {
    if (!goes(store_.eviction->New())) continue;
    const uint32_t evicted = EvictOverflowed(key);
    if (evicted != RowSlab::kNoRow) store_.slab->Free(evicted);
  }
}

void KeyIndexWriter::LowerRows(uint64_t set) {
  bool found = false;
  for (Way at{set, 0}; at.way < KeySet::kWays; ++at.way) found |= IsBeyondLimit(at);
  if (!found) return;
  SetLock lock(Set(set));
  for (Way at{set, 0}; at.way < KeySet::kWays; ++at.way) {
    if (!IsBeyondLimit(at)) continue;
    Set(set)->rows[at.way].store(LoweredCode(CodeAt(at)), std::memory_order_relaxed);
  }
}

void KeyIndexWriter::LowerOverflow() {
  for (const auto& [key, row] : index_.overflow().All()) {
    index_.overflow().Renumber(key, [this](uint32_t row) { return store_.slab->Lower(row); });
  }
}

void KeyIndexWriter::PrefetchToLower(uint64_t set) const {
  for (Way at{set, 0}; at.way < KeySet::kWays; ++at.way) {
    if (!IsBeyondLimit(at)) continue;
    const uint8_t* const row = store_.slab->row(CodeAt(at) - KeySet::kFirstRow);
    for (size_t line = 0; line < store_.slab->stride(); line += 64) __builtin_prefetch(row + line);
  }
}

void KeyIndexWriter::Adopt(Key key, uint32_t row, uint16_t counter) {
  Homes homes(*this, key);
  Place(homes, key, row + KeySet::kFirstRow, counter);
}

}  // namespace tf_hps
