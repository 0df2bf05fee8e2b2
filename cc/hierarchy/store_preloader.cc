#include "cc/hierarchy/store_preloader.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/status/statusor.h"
#include "cc/common/cgroup.h"
#include "cc/common/thread_priority.h"

namespace tf_hps {
namespace {

constexpr size_t kRowsPerBlock = 8192;
constexpr size_t kRowsPerFullBlock = 16;
// A scan refuses what was updated since it began; short ranges keep that little.
constexpr int64_t kRowsPerRange = 256 * 1024;
constexpr int kMaxRanges = 4096;
constexpr int kMaxRereads = 1000;
constexpr std::chrono::milliseconds kRereadPause(1);

constexpr Key kFirstKey = std::numeric_limits<Key>::min();
constexpr Key kLastKey = std::numeric_limits<Key>::max();

absl::StatusOr<bool> HasRows(const EmbeddingStore& store, Key first, Key last, Key* found) {
  absl::StatusOr<std::unique_ptr<RowScanner>> scanner = store.NewScanner(first, last);
  if (!scanner.ok()) return scanner.status();
  RowBlock block;
  if (absl::Status status = (*scanner)->Next(1, &block); !status.ok()) return status;
  if (block.size() == 0) return false;
  *found = block.keys.front();
  return true;
}

uint64_t Ordered(Key key) { return static_cast<uint64_t>(key) ^ (uint64_t{1} << 63); }
Key FromOrdered(uint64_t ordered) { return static_cast<Key>(ordered ^ (uint64_t{1} << 63)); }

int Threads() {
  // Reading and inserting are both bound by the processor; leave some for the lookups of a server
  // that is already running.
  return std::clamp(AvailableCpus() / 2, 1, 8);
}

}  // namespace

StorePreloader::StorePreloader(const TableSpec& spec, std::shared_ptr<EmbeddingStore> lower,
                               std::shared_ptr<EmbeddingStore> upper, const UpdateStamps* stamps,
                               Mutex* apply_mutex, bool yields)
    : spec_(spec),
      lower_(std::move(lower)),
      upper_(std::move(upper)),
      stamps_(stamps),
      apply_mutex_(apply_mutex),
      losses_before_(upper_->Losses()),
      yields_(yields) {
  const int threads = spec_.rows != 0 && spec_.rows <= kRowsPerRange ? 1 : Threads();
  running_ = threads;
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { RunThread(); });
    pthread_setname_np(threads_.back().native_handle(), "hps-preload");
  }
}

StorePreloader::~StorePreloader() {
  stopping_ = true;
  for (std::thread& thread : threads_) thread.join();
}

absl::Status StorePreloader::Wait() const {
  MutexLock lock(&mutex_);
  while (running_ != 0) finished_.Wait(&mutex_);
  return status_;
}

bool StorePreloader::done() const {
  MutexLock lock(&mutex_);
  return running_ == 0;
}

bool StorePreloader::full() const {
  const StoreStats stats = upper_->Stats();
  return stats.capacity_rows != 0 && stats.rows >= stats.capacity_rows;
}

void StorePreloader::RunThread() {
  if (yields_) YieldToLookups();
  absl::Status status;
  while (status.ok() && !stopping_) {
    KeyRange range;
    {
      MutexLock lock(&mutex_);
      if (!split_) {
        split_ = true;
        absl::StatusOr<std::vector<KeyRange>> ranges = SplitKeys();
        if (!ranges.ok()) {
          status = ranges.status();
          break;
        }
        ranges_ = *std::move(ranges);
      }
      if (ranges_.empty() || !status_.ok()) break;
      range = ranges_.back();
      ranges_.pop_back();
    }
    status = LoadRange(range);
  }
  MutexLock apply_lock(apply_mutex_);
  MutexLock lock(&mutex_);
  status_.Update(status);
  if (--running_ == 0) {
    if (status_.ok() && !stopping_ && !left_out_) {
      was_completed_.store(true, std::memory_order_release);
      upper_->MarkComplete(losses_before_);
    }
    finished_.NotifyAll();
  }
}

absl::StatusOr<std::vector<StorePreloader::KeyRange>> StorePreloader::SplitKeys() const {
  Key first = 0;
  absl::StatusOr<bool> any = HasRows(*lower_, kFirstKey, kLastKey, &first);
  if (!any.ok()) return any.status();
  if (!*any) return std::vector<KeyRange>();
  // The last key by bisection: scanners go forward only, and 64 seeks take a few milliseconds.
  uint64_t low = Ordered(first);
  uint64_t high = Ordered(kLastKey);
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2 + 1;
    Key found = 0;
    any = HasRows(*lower_, FromOrdered(middle), FromOrdered(high), &found);
    if (!any.ok()) return any.status();
    if (*any) {
      low = Ordered(found);
    } else {
      high = middle - 1;
    }
  }
  // Keys that are appended meanwhile come by the update itself.
  const uint64_t begin = Ordered(first);
  const uint64_t width = low - begin;  // of all keys but one: 2^64 would not fit
  const uint64_t wanted = std::clamp<uint64_t>(spec_.rows / kRowsPerRange, 1, kMaxRanges);
  const uint64_t ranges = width < wanted ? 1 : wanted;
  std::vector<KeyRange> split;
  for (uint64_t r = 0; r < ranges; ++r) {
    const uint64_t from = begin + width / ranges * r;
    const uint64_t to = r + 1 == ranges ? low : from + width / ranges - 1;
    split.push_back({FromOrdered(from), FromOrdered(to)});
  }
  std::reverse(split.begin(), split.end());
  return split;
}

absl::Status StorePreloader::LoadRange(const KeyRange& range) {
  const StampsRead stamps(stamps_);  // before the scanner takes its snapshot
  absl::StatusOr<std::unique_ptr<RowScanner>> scanner = lower_->NewScanner(range.first, range.last);
  if (!scanner.ok()) return scanner.status();
  RowBlock block;
  std::vector<Key> read_again;
  while (!stopping_) {
    if (upper_->Losses() != losses_before_) {
      left_out_ = true;
      return absl::OkStatus();
    }
    // A full store may have all rows. Only who brings another one knows, and sends others away.
    const size_t rows = full() ? kRowsPerFullBlock : kRowsPerBlock;
    if (absl::Status status = (*scanner)->Next(rows, &block); !status.ok()) return status;
    if (block.size() == 0) break;
    std::vector<uint32_t> refused;
    absl::Status status = Insert(block.keys, block.rows, stamps, &refused);
    if (!status.ok()) return status;
    for (uint32_t i : refused) read_again.push_back(block.keys[i]);
  }
  return LoadKeys(std::move(read_again));
}

absl::Status StorePreloader::LoadKeys(std::vector<Key> keys) {
  const size_t row_bytes = spec_.row_bytes();
  std::vector<uint8_t> rows;
  for (int i = 0; !keys.empty() && i < kMaxRereads && !stopping_; ++i) {
    const StampsRead stamps(stamps_);
    rows.resize(keys.size() * row_bytes);
    const RowSink sink = RowSink::Raw(rows.data(), row_bytes);
    Pending pending = Pending::All(keys.size());
    if (absl::Status status = lower_->Find(keys, sink, &pending); !status.ok()) return status;
    // What was not found was erased meanwhile. The rest moves to the front.
    size_t found = 0;
    for (size_t p = 0, erased = 0; p < keys.size(); ++p) {
      if (erased < pending.size() && pending[erased] == p) {
        ++erased;
        continue;
      }
      keys[found] = keys[p];
      std::memmove(rows.data() + found * row_bytes, rows.data() + p * row_bytes, row_bytes);
      ++found;
    }
    keys.resize(found);
    std::vector<uint32_t> refused;
    if (absl::Status status = Insert(keys, rows, stamps, &refused); !status.ok()) return status;
    if (!refused.empty()) std::this_thread::sleep_for(kRereadPause);  // an update is under way
    for (size_t r = 0; r < refused.size(); ++r) keys[r] = keys[refused[r]];
    keys.resize(refused.size());
  }
  if (!keys.empty()) left_out_ = true;
  return absl::OkStatus();
}

absl::Status StorePreloader::Insert(absl::Span<const Key> keys, const std::vector<uint8_t>& rows,
                                    const StampsRead& stamps, std::vector<uint32_t>* refused) {
  InsertOptions options;
  options.existing = OnExisting::kKeep;
  options.stamps = &stamps;
  options.refused = refused;
  absl::Status status = upper_->Insert(keys, RowsView(rows.data(), spec_.row_bytes()), options);
  if (status.ok()) {
    rows_loaded_.fetch_add(keys.size() - refused->size(), std::memory_order_relaxed);
  }
  return status;
}

}  // namespace tf_hps
