#include "cc/storage/rocksdb_sst_writer.h"

#include "cc/storage/rocksdb_key.h"
#include "cc/storage/rocksdb_options.h"

namespace tf_hps {
namespace {

RocksdbOptionsPtr MakeOptions(int compression) {
  RocksdbOptionsPtr options(rocksdb_options_create());
  const RocksdbTableOptionsPtr table = MakeRocksdbTableOptions();
  rocksdb_options_set_block_based_table_factory(options.get(), table.get());
  rocksdb_options_set_compression(options.get(), compression);
  return options;
}

}  // namespace

RocksdbSstWriter::RocksdbSstWriter(int compression)
    : options_(MakeOptions(compression)),
      env_options_(rocksdb_envoptions_create()),
      writer_(rocksdb_sstfilewriter_create(env_options_.get(), options_.get())) {}

std::string RocksdbSstWriter::Open(const std::string& path) {
  RocksdbError error;
  rocksdb_sstfilewriter_open(writer_.get(), path.c_str(), error.out());
  return std::string(error.text());
}

std::string RocksdbSstWriter::Add(absl::Span<const Key> keys, const uint8_t* rows, size_t row_bytes,
                                  const bool* erased) {
  RocksdbError error;
  for (size_t i = 0; i < keys.size() && !error; ++i) {
    const RocksdbRowKey key(keys[i]);
    rocksdb_sstfilewriter_put(writer_.get(), key.data(), key.size(),
                              reinterpret_cast<const char*>(rows + i * row_bytes),
                              erased != nullptr && erased[i] ? 0 : row_bytes, error.out());
  }
  return std::string(error.text());
}

std::string RocksdbSstWriter::Finish() {
  RocksdbError error;
  rocksdb_sstfilewriter_finish(writer_.get(), error.out());
  return std::string(error.text());
}

}  // namespace tf_hps
