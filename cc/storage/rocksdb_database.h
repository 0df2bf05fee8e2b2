#ifndef TF_HPS_CC_STORAGE_ROCKSDB_DATABASE_H_
#define TF_HPS_CC_STORAGE_ROCKSDB_DATABASE_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "cc/common/mutex.h"
#include "cc/common/table_spec.h"
#include "cc/common/update_position.h"
#include "cc/storage/rocksdb_c.h"
#include "cc/storage/rocksdb_contents.h"
#include "cc/storage/rocksdb_options.h"
#include "cc/storage/rocksdb_table_record.h"
#include "cc/storage/rocksdb_view.h"

namespace tf_hps {

// One generation of a table in an open database, shared by all who opened it.
struct RocksdbTable {
  RocksdbTable(RocksdbTableRecord table_record, rocksdb_column_family_handle_t* handle)
      : record(std::move(table_record)), rows(handle), changed_by_(record.changed_by) {}

  const RocksdbTableRecord record;
  const RocksdbColumnFamilyPtr rows;
  // When each row was updated last (rocksdb_row_ages.h); null: nobody asked since it was opened,
  // and there were none. Set by OpenAges, before the table is followed.
  RocksdbColumnFamilyPtr ages;
  // Held by every write: a promotion checks stamps and what stands there in one step with its
  // write. Reads take no lock.
  Mutex write_mutex;
  // What reads see.
  RocksdbView view;

  // record.changed_by as it is now, where the record's is of the time of the open.
  std::string changed_by() const {
    MutexLock lock(&mutex_);
    return changed_by_;
  }
  void SetChangedBy(absl::string_view text) {
    MutexLock lock(&mutex_);
    changed_by_ = std::string(text);
  }

 private:
  mutable Mutex mutex_;
  std::string changed_by_ ABSL_GUARDED_BY(mutex_);
};

// An open RocksDB store: one database, a column family for each table and generation. Thread-safe.
// Opened by OpenRocksdb (rocksdb_databases.h), once per process and path.
class RocksdbDatabase {
 public:
  // Read-only: takes no lock, writes nothing, sees the store as it is now and never anew.
  // Otherwise: takes RocksDB's lock, makes a store where there is none, and drops the column
  // families of loads that did not come to their end.
  static absl::StatusOr<std::unique_ptr<RocksdbDatabase>> Open(const std::string& path,
                                                               const RocksdbOptions& options);
  // A writer flushes first: readers and the next open would replay its log.
  ~RocksdbDatabase();

  const std::string& path() const { return path_; }
  bool read_only() const { return read_only_; }
  rocksdb_t* db() const { return db_.get(); }

  std::vector<RocksdbTableRecord> Tables() const;
  // Lives as long as this database. `generation` empty: the newest. NotFound lists the tables.
  absl::StatusOr<RocksdbTable*> FindTable(const std::string& name,
                                          const std::string& generation) const;
  // An empty table of spec.generation, or the one that is there. Not on a read-only database.
  // `over`: see RocksdbTableRecord.
  absl::StatusOr<RocksdbTable*> CreateTable(const TableSpec& spec,
                                            std::optional<std::string> over = std::nullopt);
  // Its rows, ages and records; the disk has room again. Nobody uses the table.
  absl::Status DropTable(const std::string& name, const std::string& generation);

  // Writes the batch, and the mark that `table` is no longer as it was loaded with it, once.
  // The caller holds table->write_mutex.
  absl::Status Write(RocksdbTable* table, rocksdb_writebatch_t* batch) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(table->write_mutex);

  // The same for several tables that a commit of a stream changed, of which the caller holds no
  // lock: whoever else inserts into them waits outside (EmbeddingTable::Apply), and rows are
  // promoted into no lowest tier.
  struct Changed {
    RocksdbTable* table = nullptr;
    UpdatePosition position;
  };
  absl::Status WriteTogether(absl::Span<const Changed> tables, rocksdb_writebatch_t* batch) const;
  // Makes table->ages usable; whether they go with the rows as they are. Otherwise they are empty.
  // Who writes rows without their ages takes the record of these away (ForgetAges).
  absl::StatusOr<bool> OpenAges(RocksdbTable* table) const;
  void ForgetAges(rocksdb_writebatch_t* batch, const RocksdbTable& table) const;

  // An empty batch, and where one goes that was written: its memory is kept for the next one (a
  // commit of 20,000 rows of 256 bytes took an eighth longer with fresh memory).
  RocksdbBatchPtr TakeBatch();
  void GiveBack(RocksdbBatchPtr batch);

  // Records: text in the default column family.
  void AddRecord(rocksdb_writebatch_t* batch, absl::string_view key, absl::string_view value) const;
  absl::StatusOr<std::string> GetRecord(absl::string_view key) const;  // empty: there is none
  absl::Status PutRecord(absl::string_view key, absl::string_view value) const;  // synced

  // A consistent copy at `target`, which must not exist; hard links where the file system has them.
  absl::Status Checkpoint(const std::string& target) const;

 private:
  using Identity = std::pair<std::string, std::string>;  // name, generation

  RocksdbDatabase(std::string path, const RocksdbOptions& options);
  static absl::StatusOr<std::unique_ptr<RocksdbDatabase>> OpenOnce(const std::string& path,
                                                                   const RocksdbOptions& options);
  absl::Status OpenColumnFamilies(const std::vector<std::string>& names,
                                  std::map<std::string, RocksdbColumnFamilyPtr>* handles);
  absl::Status FindTables(std::map<std::string, RocksdbColumnFamilyPtr> handles);
  absl::Status CheckEnds(const RocksdbTable& table) const;
  // And ages without their table.
  absl::Status DropHalfLoaded(std::map<std::string, RocksdbColumnFamilyPtr>* handles);
  absl::Status WriteBatch(rocksdb_writebatch_t* batch, const std::string& where) const;

  // Constant after Open. In this order: the handles go before the database is closed.
  const std::string path_;
  const bool read_only_;
  const RocksdbOptionsPtr options_;
  RocksdbWriteOptionsPtr write_options_;
  RocksdbPtr db_;
  RocksdbColumnFamilyPtr records_;  // the default column family

  mutable Mutex mutex_;
  RocksdbBatchPtr spare_batch_ ABSL_GUARDED_BY(mutex_);
  std::map<Identity, std::unique_ptr<RocksdbTable>> tables_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_ROCKSDB_DATABASE_H_
