#ifndef TF_HPS_CC_STORAGE_ROCKSDB_VIEW_H_
#define TF_HPS_CC_STORAGE_ROCKSDB_VIEW_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "cc/common/mutex.h"
#include "cc/storage/rocksdb_c.h"

namespace tf_hps {

// A moment of a database that can be read later.
class RocksdbSnapshot {
 public:
  explicit RocksdbSnapshot(rocksdb_t* db) : db_(db), snapshot_(rocksdb_create_snapshot(db)) {}
  ~RocksdbSnapshot() { rocksdb_release_snapshot(db_, snapshot_); }
  RocksdbSnapshot(const RocksdbSnapshot&) = delete;
  RocksdbSnapshot& operator=(const RocksdbSnapshot&) = delete;

  const rocksdb_snapshot_t* get() const { return snapshot_; }

 private:
  rocksdb_t* const db_;
  const rocksdb_snapshot_t* const snapshot_;
};

// Which moment of a table is read: the present one, or, while a commit is written that is not to be
// seen yet, the one before it. Thread-safe.
//
// Reads of the present take no snapshot and may find what is written a moment later. So who has
// read asks HasMoved, and reads again where that says yes. Snapshots are not kept between commits:
// they hold the old rows of the whole database on the disk.
class RocksdbView {
 public:
  struct Moment {
    uint64_t number = 0;
    std::shared_ptr<const RocksdbSnapshot> snapshot;  // null: the present
  };

  Moment Get() const {
    MutexLock lock(&mutex_);
    return {number_.load(std::memory_order_relaxed), snapshot_};
  }
  bool HasMoved(const Moment& moment) const {
    return moment.snapshot == nullptr && number_.load(std::memory_order_acquire) != moment.number;
  }

  // Before a commit is written.
  void Hold(std::shared_ptr<const RocksdbSnapshot> snapshot) {
    MutexLock lock(&mutex_);
    snapshot_ = std::move(snapshot);
    number_.fetch_add(1);
  }
  // Reads that began before go on at their moment.
  void Release() {
    std::shared_ptr<const RocksdbSnapshot> last;  // goes outside the lock
    MutexLock lock(&mutex_);
    last.swap(snapshot_);
  }

 private:
  mutable Mutex mutex_;
  std::shared_ptr<const RocksdbSnapshot> snapshot_ ABSL_GUARDED_BY(mutex_);
  std::atomic<uint64_t> number_{0};  // moved by each Hold
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_ROCKSDB_VIEW_H_
