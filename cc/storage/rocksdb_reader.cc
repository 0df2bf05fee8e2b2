#include "cc/storage/rocksdb_reader.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>

#include "cc/storage/rocksdb_key.h"
#include "cc/storage/rocksdb_multi_get.h"
#include "cc/storage/rocksdb_options.h"

namespace tf_hps {
namespace {

constexpr size_t kKeysPerGet = 64;
// More than there are cores: they wait for the disk.
constexpr size_t kThreads = 16;
// Of stores up to 144 GB none is opened twice: a file has 286 MB.
constexpr int kMostOpenFiles = 512;
constexpr char kDefaultFamily[] = "default";

RocksdbOptionsPtr MakeOptions(RocksdbReader::Files files) {
  RocksdbOptions options;
  options.read_only = true;
  // Rows are read once. Memory for each block took four times as long as the rest of a lookup.
  options.block_cache_bytes = 0;
  RocksdbOptionsPtr made = MakeRocksdbOptions(options);
  // With any bound RocksDB opens 16 files at first.
  if (files != RocksdbReader::Files::kAll) {
    rocksdb_options_set_max_open_files(made.get(), kMostOpenFiles);
  }
  return made;
}

RocksdbReadOptionsPtr MakeReadOptions() {
  RocksdbReadOptionsPtr options(rocksdb_readoptions_create());
  rocksdb_readoptions_set_fill_cache(options.get(), 0);
  return options;
}

// Without the default one.
std::string ListFamilies(const rocksdb_options_t* options, const std::string& path,
                         std::vector<std::string>* families) {
  RocksdbError error;
  size_t count = 0;
  char** const names = rocksdb_list_column_families(options, path.c_str(), &count, error.out());
  for (size_t i = 0; i < count; ++i) {
    if (std::strcmp(names[i], kDefaultFamily) != 0) families->emplace_back(names[i]);
  }
  // After an error there is something to free too.
  rocksdb_list_column_families_destroy(names, count);
  return std::string(error.text());
}

std::string WrongLength(const std::string& family, size_t row_bytes, Key key, size_t bytes) {
  return "Corruption: " + family + " has rows that do not have " + std::to_string(row_bytes) +
         " bytes: that of key " + std::to_string(key) + " has " + std::to_string(bytes);
}

}  // namespace

std::string RocksdbReader::Open(const std::string& path, Files files,
                                std::unique_ptr<RocksdbReader>* reader) {
  const RocksdbOptionsPtr options = MakeOptions(files);
  auto made = std::unique_ptr<RocksdbReader>(new RocksdbReader);
  if (std::string error = ListFamilies(options.get(), path, &made->names_); !error.empty()) {
    return error;
  }
  std::vector<const char*> names = {kDefaultFamily};
  for (const std::string& name : made->names_) {
    if (files != Files::kNone) names.push_back(name.c_str());
  }
  const std::vector<const rocksdb_options_t*> of_each(names.size(), options.get());
  std::vector<rocksdb_column_family_handle_t*> handles(names.size());
  RocksdbError error;
  made->db_.reset(rocksdb_open_for_read_only_column_families(
      options.get(), path.c_str(), static_cast<int>(names.size()), names.data(), of_each.data(),
      handles.data(), /*error_if_wal_file_exists=*/0, error.out()));
  if (error) return std::string(error.text());
  for (size_t i = 0; i < names.size(); ++i) made->families_[names[i]].reset(handles[i]);
  made->options_ = MakeReadOptions();
  *reader = std::move(made);
  return "";
}

rocksdb_column_family_handle_t* RocksdbReader::family(const std::string& name) const {
  const auto found = families_.find(name);
  return found == families_.end() ? nullptr : found->second.get();
}

uint64_t RocksdbReader::DiskBytes(rocksdb_column_family_handle_t* family) const {
  uint64_t bytes = 0;
  rocksdb_property_int_cf(db_.get(), family, "rocksdb.total-sst-files-size", &bytes);
  return bytes;
}

std::string RocksdbReader::Get(absl::string_view key, std::optional<std::string>* value) const {
  RocksdbError error;
  size_t bytes = 0;
  const RocksdbMalloced<char> found(
      rocksdb_get(db_.get(), options_.get(), key.data(), key.size(), &bytes, error.out()));
  value->reset();
  if (found != nullptr) value->emplace(found.get(), bytes);
  return std::string(error.text());
}

std::string RocksdbReader::GetItems(absl::string_view prefix, size_t most, Items* items) const {
  const RocksdbIteratorPtr it(rocksdb_create_iterator(db_.get(), options_.get()));
  rocksdb_iter_seek(it.get(), prefix.data(), prefix.size());
  for (; items->size() < most && rocksdb_iter_valid(it.get()) != 0; rocksdb_iter_next(it.get())) {
    size_t key_bytes = 0;
    size_t bytes = 0;
    const char* const key = rocksdb_iter_key(it.get(), &key_bytes);
    if (key_bytes < prefix.size() || std::memcmp(key, prefix.data(), prefix.size()) != 0) break;
    const char* const value = rocksdb_iter_value(it.get(), &bytes);
    items->emplace_back(std::string(key, key_bytes), std::string(value, bytes));
  }
  RocksdbError error;
  rocksdb_iter_get_error(it.get(), error.out());
  return std::string(error.text());
}

std::string RocksdbReader::GetRows(const std::string& family, absl::Span<const Key> keys,
                                   size_t row_bytes, uint8_t* rows, Presence* presence) const {
  rocksdb_column_family_handle_t* const rows_of = this->family(family);
  if (rows_of == nullptr) return "Column family not found: " + family;
  const size_t parts = (keys.size() + kKeysPerGet - 1) / kKeysPerGet;
  std::vector<std::string> errors(parts);
  std::atomic<size_t> next{0};
  const auto get = [&] {
    for (size_t part = next++; part < parts; part = next++) {
      const size_t first = part * kKeysPerGet;
      const size_t count = std::min(kKeysPerGet, keys.size() - first);
      errors[part] = GetSomeRows(rows_of, family, {&keys[first], count}, row_bytes,
                                 rows + first * row_bytes, presence + first);
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < std::min(parts, kThreads); ++i) threads.emplace_back(get);
  get();
  for (std::thread& thread : threads) thread.join();
  for (std::string& error : errors) {
    if (!error.empty()) return std::move(error);
  }
  return "";
}

std::string RocksdbReader::GetSomeRows(rocksdb_column_family_handle_t* rows_of,
                                       const std::string& family, absl::Span<const Key> keys,
                                       size_t row_bytes, uint8_t* rows, Presence* presence) const {
  RocksdbMultiGet<RocksdbRowKey, kKeysPerGet> gets;
  for (const Key key : keys) gets.Add(RocksdbRowKey(key));
  gets.Run(db_.get(), options_.get(), rows_of, /*is_sorted=*/false);
  std::string first_error;
  for (size_t i = 0; i < keys.size(); ++i) {
    presence[i] = Presence::kAbsent;
    if (gets.error(i) != nullptr && first_error.empty()) first_error = gets.error(i);
    const std::optional<absl::string_view> value = gets.value(i);
    if (!value.has_value()) continue;
    if (value->size() == row_bytes) {
      std::memcpy(rows + i * row_bytes, value->data(), row_bytes);
      presence[i] = Presence::kStored;
    } else if (value->empty()) {
      presence[i] = Presence::kErased;
    } else if (first_error.empty()) {
      first_error = WrongLength(family, row_bytes, keys[i], value->size());
    }
  }
  return first_error;
}

RocksdbRowCursor::RocksdbRowCursor(std::shared_ptr<const RocksdbReader> reader,
                                   const std::string& family, size_t row_bytes, Key first, Key last)
    : reader_(std::move(reader)), family_(family), row_bytes_(row_bytes), it_(first, last) {
  it_.Begin(reader_->db(), reader_->family(family), /*snapshot=*/nullptr);
}

std::string RocksdbRowCursor::Next(size_t most, Key* keys, uint8_t* rows, bool* erased,
                                   size_t* count) {
  size_t n = 0;
  for (; n < most && it_.valid(); ++n) {
    if (!RocksdbRowKey::Parse(it_.key(), &keys[n])) {
      return "Corruption: " + family_ + " has a key of " + std::to_string(it_.key().size()) +
             " bytes";
    }
    const absl::string_view row = it_.value();
    if (row.size() != row_bytes_ && !row.empty()) {
      return WrongLength(family_, row_bytes_, keys[n], row.size());
    }
    erased[n] = row.empty();
    if (erased[n]) {
      std::memset(rows + n * row_bytes_, 0, row_bytes_);
    } else {
      std::memcpy(rows + n * row_bytes_, row.data(), row_bytes_);
    }
    it_.Next();
  }
  *count = n;
  RocksdbError error;
  it_.FindError(&error);
  return std::string(error.text());
}

}  // namespace tf_hps
