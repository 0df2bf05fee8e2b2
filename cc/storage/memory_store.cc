#include "cc/storage/memory_store.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cc/storage/key_index.h"
#include "cc/storage/key_index_scanner.h"
#include "cc/storage/key_index_writer.h"
#include "cc/storage/key_ranking.h"
#include "cc/storage/reader_gate.h"
#include "cc/storage/row_limiter.h"
#include "cc/storage/row_slab.h"
#include "cc/storage/set_probe.h"
#include "cc/storage/write_gate.h"

namespace tf_hps {
namespace {

// An index is not made smaller than for these.
constexpr int64_t kMinIndexRows = 64;
// Writers let go of the gate after so many keys, for an index that wants to grow.
constexpr size_t kKeysPerWrite = 4096;

int64_t FixedBytes(const MemoryStoreOptions& options) {
  return static_cast<int64_t>(static_cast<double>(options.capacity_rows) *
                              (KeyIndex::BytesPerRow(/*with_counters=*/true) +
                               EvictionPolicy::BytesPerRow(options.eviction)));
}

// Rows of one table in this process's memory: a slab of rows and an index of keys. Lookups take no
// lock (see KeySet, and OverflowRows for the exception) and are not held up by an index that grows.
class MemoryStore : public EmbeddingStore {
 public:
  MemoryStore(const TableSpec& spec, const MemoryStoreOptions& options,
              std::unique_ptr<RowSlab> slab, std::shared_ptr<KeyIndex> index)
      : row_bytes_(spec.row_bytes()),
        bounded_(options.capacity_rows > 0),
        fixed_bytes_(bounded_ ? FixedBytes(options) : 0),
        probe_(SelectSetProbe(options.isa)),
        slab_(std::move(slab)),
        eviction_(options.eviction, slab_->capacity()),
        writer_store_{slab_.get(), &eviction_, &losses_, &absent_, &scanners_},
        index_(std::move(index)),
        readers_index_(index_.get()),
        limiter_(writer_store_, &writers_, &index_) {}

  absl::Status Find(absl::Span<const Key> keys, const RowSink& sink,
                    Pending* pending) const override {
    FindAndTouch(keys, sink, WritesCounters(), pending);
    return absl::OkStatus();
  }
  absl::Status Insert(absl::Span<const Key> keys, const RowsView& rows,
                      const InsertOptions& options) override;
  absl::Status Erase(absl::Span<const Key> keys) override;
  void MarkAbsent(absl::Span<const Key> keys, const StampsRead& stamps) override;
  absl::StatusOr<std::unique_ptr<RowScanner>> NewScanner(Key first, Key last) const override;

  bool AnswersFromMemory() const override { return true; }
  bool IsComplete() const override { return losses_.load() == complete_at_.load(); }
  void MarkComplete(int64_t losses) override {
    complete_at_.store(losses);
    counts_uses_.store(false, std::memory_order_relaxed);
  }
  void MarkIncomplete() override { complete_at_.store(kIncomplete); }
  int64_t Losses() const override { return losses_.load(); }
  std::vector<Key> HotKeys(size_t n) const override;
  absl::Status LimitRows(int64_t rows) override {
    if (!bounded_) return absl::OkStatus();
    // Who may have them all again, and has, need not know which are hot.
    if (rows >= slab_->capacity() && IsComplete()) counts_uses_.store(false);
    return limiter_.Limit(rows);
  }
  void CountUses() override {
    counts_uses_.store(true, std::memory_order_relaxed);
    eviction_.BeginPeriod();
  }
  StoreStats Stats() const override;
  absl::string_view kind() const override { return "memory"; }
  absl::StatusOr<std::unique_ptr<RowAges>> OpenRowAges() override { return NewMemoryRowAges(); }

 private:
  // While one lives, keys stay where they are.
  struct KeysStay {
    explicit KeysStay(std::atomic<int>* scanners) : scanners(scanners) { scanners->fetch_add(1); }
    ~KeysStay() { scanners->fetch_sub(1); }
    std::atomic<int>* const scanners;
  };

  // Only a store that had no room for some row counts uses, or is to: elsewhere a counter would
  // cost a lookup one more cache line a key, for nothing.
  bool WritesCounters() const {
    if (!bounded_) return false;
    if (counts_uses_.load(std::memory_order_relaxed)) return true;
    const int64_t losses = losses_.load(std::memory_order_relaxed);
    return losses != 0 && losses != complete_at_.load(std::memory_order_relaxed);
  }
  void FindAndTouch(absl::Span<const Key> keys, const RowSink& sink, bool touch,
                    Pending* pending) const;
  bool FindAgain(KeyIndex* index, SetProbe probe, const RowSink& sink, uint32_t position,
                 Pending* pending) const;

  // By one row more than it is for: updates of a table that just fits must not make it grow.
  bool OutgrowsIndex(const KeyIndex& index) const {
    return slab_->rows() > index.rows() && index.rows() < slab_->capacity();
  }
  absl::Status GrowIndex();
  // Calls write(writer, i) for i in [0, n), beside other writers.
  template <class Write>
  absl::Status WriteEach(absl::Span<const Key> keys, const Write& write);

  static constexpr int64_t kIncomplete = -1;

  const size_t row_bytes_;
  const bool bounded_;
  const int64_t fixed_bytes_;
  const SetProbeFunctions probe_;

  // Synchronize themselves.
  const std::unique_ptr<RowSlab> slab_;
  EvictionPolicy eviction_;
  std::atomic<int64_t> complete_at_{kIncomplete};  // Losses() when it was so
  std::atomic<int64_t> losses_{0};
  std::atomic<bool> counts_uses_{false};
  std::atomic<int64_t> absent_{0};
  mutable std::atomic<int> scanners_{0};
  const KeyIndexWriter::Store writer_store_;
  mutable ReaderGate readers_;
  mutable WriteGate writers_;

  // Replaced by who is alone in writers_; readers go by readers_index_, inside readers_.
  std::shared_ptr<KeyIndex> index_;
  std::atomic<KeyIndex*> readers_index_;

  RowLimiter limiter_;
};

void MemoryStore::FindAndTouch(absl::Span<const Key> keys, const RowSink& sink, bool touch,
                               Pending* pending) const {
  const ReaderGate::Reader reader(&readers_);
  KeyIndex* const index = readers_index_.load();
  SetProbe probe;
  probe.sets = index->sets();
  probe.num_sets = index->num_sets();
  probe.slab = slab_->data();
  probe.slab_stride = slab_->stride();
  probe.keys = keys.data();
  probe.destination = sink.destination;
  probe.destination_stride = sink.stride;
  probe.out_bytes = sink.out_bytes;
  probe.decode = sink.decode;
  probe.embedding_dim = sink.embedding_dim;
  probe.default_row = sink.default_row;
  probe.default_buckets = sink.default_buckets;

  constexpr size_t kPart = SetProbe::kMaxKeys;
  uint32_t positions[kPart], missing[kPart + 1], elsewhere[kPart + 1], again[kPart + 1];
  uint64_t ways[kPart];
  std::vector<uint32_t> left;
  const size_t n = pending->size();
  for (size_t begin = 0; begin < n; begin += kPart) {
    probe.n = std::min(kPart, n - begin);
    probe.positions = nullptr;
    probe.first_position = (*pending)[begin];
    if (!pending->is_range()) {
      for (size_t i = 0; i < probe.n; ++i) positions[i] = (*pending)[begin + i];
      probe.positions = positions;
    }
    const auto look = [&](void (*home)(const SetProbe&, SetProbeLeft*), SetProbeLeft* rest) {
      probe.ways = touch ? ways : nullptr;
      if (touch) std::fill_n(ways, probe.n, EvictionPolicy::kNoWay);
      home(probe, rest);
      if (touch) eviction_.Touch(index->counters(), ways, probe.n);
    };

    SetProbeLeft first{{missing}, {elsewhere}};
    look(probe_.first_home, &first);
    pending->CountAbsent(first.absent);
    left.insert(left.end(), missing, missing + first.missing.size);
    if (first.elsewhere.size == 0) continue;

    probe.positions = elsewhere;
    probe.n = first.elsewhere.size;
    SetProbeLeft second{{missing}, {again}};
    look(probe_.second_home, &second);
    pending->CountAbsent(second.absent);
    for (size_t i = 0; i < second.elsewhere.size; ++i) {
      if (!FindAgain(index, probe, sink, again[i], pending)) left.push_back(again[i]);
    }
  }
  std::sort(left.begin(), left.end());
  pending->Assign(std::move(left));
}

// One position, for certain: a key that was found in neither home nor in the overflow is not stored
// if neither home was written meanwhile. Who moves a key writes its first home, and who writes to a
// set for another key makes probes of it fail.
bool MemoryStore::FindAgain(KeyIndex* index, SetProbe probe, const RowSink& sink, uint32_t position,
                            Pending* pending) const {
  const Key key = probe.keys[position];
  const KeySet& first_home = index->sets()[index->FirstHomeOf(key)];
  const KeySet& second_home = index->sets()[index->SecondHomeOf(key)];
  probe.positions = &position;
  probe.n = 1;
  probe.ways = nullptr;
  for (;;) {
    const uint32_t first_head = first_home.head.load(std::memory_order_acquire);
    const uint32_t second_head = second_home.head.load(std::memory_order_acquire);
    if (((first_head | second_head) & KeySet::kLocked) != 0) {
      std::this_thread::yield();
      continue;
    }
    uint32_t missing[2], elsewhere[2], again[2];
    SetProbeLeft first{{missing}, {elsewhere}};
    probe_.first_home(probe, &first);
    pending->CountAbsent(first.absent);
    if (first.missing.size != 0) return false;
    if (first.elsewhere.size == 0) return true;
    SetProbeLeft second{{missing}, {again}};
    probe_.second_home(probe, &second);
    pending->CountAbsent(second.absent);
    if (second.elsewhere.size == 0) return true;
    const auto put = [&](uint32_t row) { sink.Put(position, slab_->row(row)); };
    if (index->overflow().With(key, put)) return true;
    std::atomic_thread_fence(std::memory_order_acquire);
    if (first_home.head.load(std::memory_order_relaxed) == first_head &&
        second_home.head.load(std::memory_order_relaxed) == second_head) {
      return false;
    }
  }
}

template <class Write>
absl::Status MemoryStore::WriteEach(absl::Span<const Key> keys, const Write& write) {
  constexpr size_t kAhead = 12;
  for (size_t i = 0; i < keys.size();) {
    {
      const WriteGate::Shared shared(&writers_);
      KeyIndexWriter writer(index_.get(), writer_store_);
      const size_t end = std::min(keys.size(), i + kKeysPerWrite);
      for (; i < end && !OutgrowsIndex(*index_); ++i) {
        if (i + kAhead < keys.size()) writer.Prefetch(keys[i + kAhead]);
        absl::Status status = write(&writer, i);
        if (!status.ok()) return status;
      }
    }
    absl::Status status = GrowIndex();
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status MemoryStore::GrowIndex() {
  {
    const WriteGate::Shared shared(&writers_);
    if (!OutgrowsIndex(*index_)) return absl::OkStatus();
  }
  const WriteGate::Alone alone(&writers_);
  if (!OutgrowsIndex(*index_)) return absl::OkStatus();
  const int64_t rows = std::min(slab_->capacity(), index_->rows() + index_->rows() / 2);
  absl::StatusOr<std::unique_ptr<KeyIndex>> grown = KeyIndex::Create(rows, bounded_);
  if (!grown.ok()) return grown.status();

  // Nobody scans the new index yet: keys may move in it.
  const std::atomic<int> no_scanners{0};
  KeyIndexWriter::Store store = writer_store_;
  store.scanners = &no_scanners;
  KeyIndexWriter writer(grown->get(), store);
  constexpr uint64_t kAhead = 4;
  for (uint64_t s = 0; s < index_->num_sets(); ++s) {
    const KeySet& set = index_->sets()[s];
    for (int way = 0; way < KeySet::kWays; ++way) {
      const uint32_t code = set.rows[way].load(std::memory_order_relaxed);
      if (s + kAhead < index_->num_sets()) {
        writer.Prefetch(index_->sets()[s + kAhead].keys[way].load(std::memory_order_relaxed));
      }
      if (code < KeySet::kFirstRow) continue;
      const uint16_t counter =
          bounded_ ? index_->counters()[s * KeySet::kWays + way].load(std::memory_order_relaxed)
                   : 0;
      writer.Adopt(set.keys[way].load(std::memory_order_relaxed), code - KeySet::kFirstRow,
                   counter);
    }
  }
  for (const auto& [key, row] : index_->overflow().All()) {
    writer.Adopt(key, row, bounded_ ? eviction_.New() : 0);
  }
  absent_.store(0, std::memory_order_relaxed);  // marks are not taken over

  readers_index_.store(grown->get());
  // Before anybody writes again: a reader in the old index would not notice.
  readers_.WaitForReaders();
  index_ = *std::move(grown);
  return absl::OkStatus();
}

absl::Status MemoryStore::Insert(absl::Span<const Key> keys, const RowsView& rows,
                                 const InsertOptions& options) {
  if (rows.row_bytes() != row_bytes_) {
    return absl::InvalidArgumentError(absl::StrCat("rows have ", rows.row_bytes(),
                                                   " bytes, the memory store's have ", row_bytes_));
  }
  // A row that is replaced takes 0.18 us instead of 0.3 with its lines asked for ahead.
  constexpr size_t kRowAhead = 5;
  const size_t last_ahead = options.existing == OnExisting::kReplace ? keys.size() : 0;
  return WriteEach(keys, [&](KeyIndexWriter* writer, size_t i) -> absl::Status {
    if (i + kRowAhead < last_ahead) writer->PrefetchRow(keys[i + kRowAhead], row_bytes_);
    const auto refuses = [&] {
      return options.stamps != nullptr && options.stamps->Moved(i, keys[i]);
    };
    const absl::StatusOr<KeyIndexWriter::Outcome> outcome =
        writer->Insert(keys[i], rows.row(i), options.existing, bounded_, refuses);
    if (!outcome.ok()) return outcome.status();
    if (*outcome == KeyIndexWriter::Outcome::kRefused && options.refused != nullptr) {
      options.refused->push_back(static_cast<uint32_t>(i));
    }
    return absl::OkStatus();
  });
}

absl::Status MemoryStore::Erase(absl::Span<const Key> keys) {
  return WriteEach(keys, [&](KeyIndexWriter* writer, size_t i) {
    writer->Erase(keys[i]);
    return absl::OkStatus();
  });
}

void MemoryStore::MarkAbsent(absl::Span<const Key> keys, const StampsRead& stamps) {
  const WriteGate::Shared shared(&writers_);
  KeyIndexWriter writer(index_.get(), writer_store_);
  for (size_t i = 0; i < keys.size(); ++i) {
    writer.MarkAbsent(keys[i], [&] { return stamps.Moved(i, keys[i]); });
  }
}

std::vector<Key> MemoryStore::HotKeys(size_t n) const {
  const WriteGate::Shared shared(&writers_);
  return HottestKeys(index_.get(), eviction_, n);
}

StoreStats MemoryStore::Stats() const {
  const WriteGate::Shared shared(&writers_);
  StoreStats stats;
  stats.rows = slab_->rows();
  stats.rows_exact = true;
  stats.bytes = slab_->bytes() + index_->bytes() + eviction_.bytes();
  stats.capacity_rows = bounded_ ? slab_->limit() : 0;
  stats.fixed_bytes = fixed_bytes_;
  stats.evictions = eviction_.evictions();
  stats.absent = absent_.load(std::memory_order_relaxed);
  return stats;
}

absl::StatusOr<std::unique_ptr<RowScanner>> MemoryStore::NewScanner(Key first, Key last) const {
  auto holds = std::make_shared<KeysStay>(&scanners_);
  // Writers that began before the scanner was counted may move keys yet.
  const WriteGate::Alone alone(&writers_);
  return std::make_unique<KeyIndexScanner>(
      index_, first, last, row_bytes_, std::move(holds),
      [this](absl::Span<const Key> keys, const RowSink& sink, Pending* pending) {
        FindAndTouch(keys, sink, /*touch=*/false, pending);
      });
}

}  // namespace

absl::StatusOr<std::unique_ptr<EmbeddingStore>> OpenMemoryStore(const TableSpec& spec,
                                                                const MemoryStoreOptions& options) {
  absl::StatusOr<std::unique_ptr<RowSlab>> slab =
      RowSlab::Create(spec.row_bytes(), options.capacity_rows, spec.rows);
  if (!slab.ok()) return slab.status();
  const int64_t rows = std::min((*slab)->capacity(), std::max(kMinIndexRows, spec.rows));
  absl::StatusOr<std::unique_ptr<KeyIndex>> index =
      KeyIndex::Create(rows, /*with_counters=*/options.capacity_rows > 0);
  if (!index.ok()) return index.status();
  return std::make_unique<MemoryStore>(spec, options, *std::move(slab), *std::move(index));
}

}  // namespace tf_hps
