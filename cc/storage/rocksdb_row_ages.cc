#include "cc/storage/rocksdb_row_ages.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "cc/storage/rocksdb_key.h"
#include "cc/storage/rocksdb_multi_get.h"
#include "cc/storage/rocksdb_status.h"

namespace tf_hps {
namespace {

constexpr size_t kAgesPerMultiGet = 512;
constexpr size_t kAgesPerBlock = 65536;

// 'k' and the key: when the row was updated last, unless it was loaded. 't', the time and the key:
// nothing, for every row.
class AgeKey {
 public:
  AgeKey() = default;
  static AgeKey OfRow(Key key) {
    AgeKey made;
    made.bytes_[0] = 'k';
    made.Put(RocksdbKeyOrder(key), 1);
    made.size_ = 9;
    return made;
  }
  static AgeKey OfAge(int64_t time_us, Key key) {
    AgeKey made;
    made.bytes_[0] = 't';
    made.Put(static_cast<uint64_t>(time_us), 1);
    made.Put(RocksdbKeyOrder(key), 9);
    made.size_ = 17;
    return made;
  }
  const char* data() const { return bytes_.data(); }
  size_t size() const { return size_; }

 private:
  void Put(uint64_t order, size_t at) {
    const uint64_t bytes = RocksdbKeyBytes(order);
    std::memcpy(&bytes_[at], &bytes, sizeof(bytes));
  }
  std::array<char, 17> bytes_;
  size_t size_ = 0;
};

uint64_t LoadBigEndian(const char* from) {
  uint64_t bytes = 0;
  std::memcpy(&bytes, from, sizeof(bytes));
  return RocksdbKeyBytes(bytes);
}

void PutAge(rocksdb_writebatch_t* batch, const RocksdbTable& table, const AgeKey& key) {
  rocksdb_writebatch_put_cf(batch, table.ages.get(), key.data(), key.size(), "", 0);
}

class RocksdbRowAges : public RowAges {
 public:
  explicit RocksdbRowAges(OpenRocksdbTable table)
      : table_(std::move(table)), options_(rocksdb_readoptions_create()) {}

  // Of all rows, as loaded. What is lost of it with the process is written again: there is no
  // record yet.
  absl::Status WriteLoaded() {
    const RocksdbWriteOptionsPtr unlogged(rocksdb_writeoptions_create());
    rocksdb_writeoptions_disable_WAL(unlogged.get(), 1);
    const auto scanner =
        NewRocksdbScanner(table_, std::numeric_limits<Key>::min(), std::numeric_limits<Key>::max());
    RocksdbError error;
    RowBlock block;
    do {
      if (absl::Status status = scanner->Next(kAgesPerBlock, &block); !status.ok()) return status;
      const RocksdbBatchPtr batch(rocksdb_writebatch_create());
      for (const Key key : block.keys) {
        PutAge(batch.get(), *table_.table, AgeKey::OfAge(RowAge::kLoaded, key));
      }
      rocksdb_write(table_.db(), unlogged.get(), batch.get(), error.out());
      if (error) return RocksdbStatus(table_.Name(), error.text());
      loaded_ += static_cast<int64_t>(block.size());
    } while (block.size() != 0);
    const RocksdbFlushOptionsPtr flush(rocksdb_flushoptions_create());
    rocksdb_flush_cf(table_.db(), flush.get(), table_.table->ages.get(), error.out());
    return error ? RocksdbStatus(table_.Name(), error.text()) : absl::OkStatus();
  }

  absl::StatusOr<std::string> Record() const override {
    return table_.database->GetRecord(table_.table->record.GrowthKey());
  }
  absl::Status PutRecord(const std::string& record) override {
    return table_.database->PutRecord(table_.table->record.GrowthKey(), record);
  }
  int64_t loaded_rows() const override { return loaded_; }

  absl::Status Find(absl::Span<const Key> keys, bool may_be_loaded,
                    std::vector<int64_t>* times) const override {
    times->assign(keys.size(), RowAge::kNone);
    std::vector<uint32_t> left(keys.size());
    for (size_t i = 0; i < left.size(); ++i) left[i] = static_cast<uint32_t>(i);
    absl::Status status = Get(keys, /*loaded=*/false, &left, times);
    if (status.ok() && may_be_loaded) status = Get(keys, /*loaded=*/true, &left, times);
    return status;
  }

  absl::Status VisitFrom(const RowAge& first,
                         const std::function<bool(const RowAge&)>& visit) const override {
    const RocksdbIteratorPtr it(
        rocksdb_create_iterator_cf(table_.db(), options_.get(), table_.table->ages.get()));
    const AgeKey begin = AgeKey::OfAge(first.time_us, first.key);
    for (rocksdb_iter_seek(it.get(), begin.data(), begin.size()); rocksdb_iter_valid(it.get());
         rocksdb_iter_next(it.get())) {
      size_t bytes = 0;
      const char* const key = rocksdb_iter_key(it.get(), &bytes);
      if (bytes != begin.size() || key[0] != 't') {
        return absl::DataLossError(
            absl::StrCat(table_.Name(), ": an age has a key of ", bytes, " bytes"));
      }
      const RowAge age{static_cast<int64_t>(LoadBigEndian(key + 1)),
                       RocksdbKeyOfOrder(LoadBigEndian(key + 9))};
      if (!visit(age)) return absl::OkStatus();
    }
    RocksdbError error;
    rocksdb_iter_get_error(it.get(), error.out());
    return error ? RocksdbStatus(table_.Name(), error.text()) : absl::OkStatus();
  }

 private:
  // Of keys[i], i of *left: those that are found leave it.
  absl::Status Get(absl::Span<const Key> keys, bool loaded, std::vector<uint32_t>* left,
                   std::vector<int64_t>* times) const {
    std::vector<uint32_t> missing;
    RocksdbMultiGet<AgeKey, kAgesPerMultiGet> gets;
    absl::Status status;
    for (size_t begin = 0; begin < left->size() && status.ok(); begin += gets.size()) {
      gets.Clear();
      for (size_t i = begin; i < left->size() && !gets.full(); ++i) {
        const Key key = keys[(*left)[i]];
        gets.Add(loaded ? AgeKey::OfAge(RowAge::kLoaded, key) : AgeKey::OfRow(key));
      }
      gets.Run(table_.db(), options_.get(), table_.table->ages.get(), /*is_sorted=*/true);
      for (size_t i = 0; i < gets.size(); ++i) {
        const uint32_t position = (*left)[begin + i];
        const std::optional<absl::string_view> value = gets.value(i);
        if (gets.error(i) != nullptr) {
          if (status.ok()) status = RocksdbStatus(table_.Name(), gets.error(i));
        } else if (!value.has_value()) {
          missing.push_back(position);
        } else if (loaded) {
          (*times)[position] = RowAge::kLoaded;
        } else if (value->size() == sizeof(uint64_t)) {
          (*times)[position] = static_cast<int64_t>(LoadBigEndian(value->data()));
        } else if (status.ok()) {
          status =
              absl::DataLossError(absl::StrCat(table_.Name(), ": the age of key ", keys[position],
                                               " has ", value->size(), " bytes"));
        }
      }
    }
    *left = std::move(missing);
    return status;
  }

  const OpenRocksdbTable table_;
  const RocksdbReadOptionsPtr options_;
  int64_t loaded_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<RowAges>> OpenRocksdbRowAges(OpenRocksdbTable table) {
  const absl::StatusOr<bool> kept = table.database->OpenAges(table.table);
  if (!kept.ok()) return kept.status();
  auto ages = std::make_unique<RocksdbRowAges>(std::move(table));
  if (!*kept) {
    if (absl::Status status = ages->WriteLoaded(); !status.ok()) return status;
  }
  return ages;
}

// In the order of the memtable, which then finds each place from the last one's.
void AddAgesChange(const RocksdbTable& table, const AgesChange& change,
                   rocksdb_writebatch_t* batch) {
  std::vector<AgesChange::Move> moves = change.moves;
  std::sort(moves.begin(), moves.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
  for (const AgesChange::Move& move : moves) {
    const AgeKey row = AgeKey::OfRow(move.key);
    if (move.to != RowAge::kNone) {
      const uint64_t time = RocksdbKeyBytes(static_cast<uint64_t>(move.to));
      rocksdb_writebatch_put_cf(batch, table.ages.get(), row.data(), row.size(),
                                reinterpret_cast<const char*>(&time), sizeof(time));
    } else if (move.from != RowAge::kLoaded) {
      rocksdb_writebatch_delete_cf(batch, table.ages.get(), row.data(), row.size());
    }
  }
  std::vector<RowAge> gone;
  for (const AgesChange::Move& move : moves) {
    if (move.from != RowAge::kNone) gone.push_back({move.from, move.key});
  }
  std::sort(gone.begin(), gone.end());
  for (const RowAge& age : gone) {
    const AgeKey key = AgeKey::OfAge(age.time_us, age.key);
    rocksdb_writebatch_delete_cf(batch, table.ages.get(), key.data(), key.size());
  }
  for (const AgesChange::Move& move : moves) {
    if (move.to != RowAge::kNone) PutAge(batch, table, AgeKey::OfAge(move.to, move.key));
  }
}

}  // namespace tf_hps
