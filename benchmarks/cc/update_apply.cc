// How fast a server catches up: commits of a stream into the tiers of a table that follows it, from
// opening the table until the last one is applied. Beside it what the parts take alone: frames read
// and checked, and rocksdb_write of the same batches without us. A ratio is the rate over the bound
// that is named. A bounded table has `max_rows`, half of the rows that come, and `ttl_s`. Prints
// tab-separated rows.
//   update_apply [rows, default 2000000] [rows in a commit, default 20000] [rounds, default 3]
//   [dir]
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmarks/cc/measure.h"
#include "cc/hierarchy/table_registry.h"
#include "cc/storage/rocksdb_databases.h"
#include "cc/storage/rocksdb_key.h"
#include "cc/storage/rocksdb_options.h"
#include "cc/update/update_commit.h"
#include "cc/update/update_source.h"
#include "tests/cc/update/segment_writer.h"

namespace tf_hps {
namespace {

constexpr int kDim = 64;

void Check(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::exit(1);
}

double Seconds(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Keys as a trainer publishes them: any of twice as many, in no order.
std::string WriteStream(const std::string& folder, int64_t rows, int64_t rows_in_commit) {
  std::filesystem::create_directories(folder);
  SegmentWriter writer(folder, "bench");
  std::mt19937_64 random(1);
  std::vector<float> values(rows_in_commit * kDim);
  for (float& value : values) value = random() * 1e-20f;
  std::string last;
  for (int64_t done = 0; done < rows; done += rows_in_commit) {
    std::vector<Key> keys(rows_in_commit);
    for (Key& key : keys) key = random() % (2 * rows);
    writer.RowsOf("items", "live-0", kDim, keys, values);
    last = writer.Commit();
  }
  return last;
}

double Apply(const std::string& dir, const std::string& last, bool memory, bool rocksdb,
             int64_t max_rows = 0) {
  nlohmann::json config = {{"format_version", 1},
                           {"deployment", "bench"},
                           {"updates", {{"url", dir + "/stream"}}},
                           {"tables", {{"items", {{"embedding_dim", kDim}}}}}};
  if (max_rows > 0) {
    config["tables"]["items"]["max_rows"] = max_rows;
    config["tables"]["items"]["ttl_s"] = 86400;
  }
  if (memory) config["memory"] = nlohmann::json::object();
  const std::string store = dir + "/store";
  std::filesystem::remove_all(store);
  if (rocksdb) {
    config["rocksdb"] = {{"path", store}};
    TableSpec spec;
    spec.name = "items";
    spec.generation = "live-0";
    spec.embedding_dim = kDim;
    const auto database = OpenRocksdb(store, {});
    Check(database.status());
    Check((*database)->CreateTable(spec).status());
  } else {
    config["tables"]["items"]["generation"] = "live-0";
  }
  const std::string path = dir + "/hps.json";
  std::ofstream(path) << config.dump();
  return Seconds([&] {
    const auto table = TableRegistry::Get().Open(path, "items");
    Check(table.status());
    Check((*table)->WaitUntil(last, std::chrono::minutes(10)));
  });
}

// A pass over the commits.
double ForEachCommit(const std::string& stream,
                     const std::function<void(const UpdateSource::Commit&)>& work) {
  const auto source = OpenDirectorySource(stream);
  Check(source.status());
  return Seconds([&] {
    std::string position;
    while (true) {
      const auto commit = (*source)->After(position);
      Check(commit.status());
      if (!commit->has_value()) return;
      work(**commit);
      position = (*commit)->position;
    }
  });
}

double ReadAlone(const std::string& dir) {
  return ForEachCommit(dir + "/stream", [](const UpdateSource::Commit& commit) {
    Check(ReadUpdateCommit(commit).status());
  });
}

// Only the writes are timed.
double RocksdbAlone(const std::string& dir) {
  const std::string store = dir + "/bare";
  std::filesystem::remove_all(store);
  const RocksdbOptionsPtr options = MakeRocksdbOptions({});
  rocksdb_options_set_create_if_missing(options.get(), 1);
  RocksdbError error;
  const RocksdbPtr db(rocksdb_open(options.get(), store.c_str(), error.out()));
  if (error) Check(absl::InternalError(error.text()));
  const RocksdbWriteOptionsPtr write_options(rocksdb_writeoptions_create());
  double seconds = 0;
  ForEachCommit(dir + "/stream", [&](const UpdateSource::Commit& commit) {
    const auto read = ReadUpdateCommit(commit);
    Check(read.status());
    seconds += Seconds([&] {
      const RocksdbBatchPtr batch(rocksdb_writebatch_create());
      for (const UpdateFrame& frame : read->changes) {
        for (size_t i = 0; i < frame.keys.size(); ++i) {
          const uint64_t key = RocksdbKeyBytes(RocksdbKeyOrder(frame.keys[i]));
          rocksdb_writebatch_put(batch.get(), reinterpret_cast<const char*>(&key), sizeof(key),
                                 reinterpret_cast<const char*>(&frame.rows[i * kDim]),
                                 kDim * sizeof(float));
        }
      }
      rocksdb_write(db.get(), write_options.get(), batch.get(), error.out());
      if (error) Check(absl::InternalError(error.text()));
    });
  });
  return seconds;
}

void Run(int64_t rows, int64_t rows_in_commit, int rounds, const std::string& dir) {
  const std::string last = WriteStream(dir + "/stream", rows, rows_in_commit);
  // Every new id evicts a row in the second half.
  const int64_t bound = rows / 2;
  std::vector<double> read, bare, memory, disk, both, bounded_memory, bounded_both;
  for (int round = 0; round < rounds; ++round) {
    read.push_back(ReadAlone(dir));
    bare.push_back(RocksdbAlone(dir));
    memory.push_back(Apply(dir, last, true, false));
    disk.push_back(Apply(dir, last, false, true));
    both.push_back(Apply(dir, last, true, true));
    bounded_memory.push_back(Apply(dir, last, true, false, bound));
    bounded_both.push_back(Apply(dir, last, true, true, bound));
  }
  std::printf("tiers\tpeer\tratio\tthousand_rows_per_s\tpeer_thousand_rows_per_s\n");
  const auto print = [&](const char* tiers, const char* peer, const std::vector<double>& ours,
                         const std::vector<double>& theirs) {
    std::vector<double> ratios;
    for (int i = 0; i < rounds; ++i) ratios.push_back(theirs[i] / ours[i]);
    std::printf("%s\t%s\t%.3f\t%.1f\t%.1f\n", tiers, peer, Median(ratios),
                rows / Median(ours) / 1e3, rows / Median(theirs) / 1e3);
  };
  print("memory", "frames alone", memory, read);
  print("rocksdb", "rocksdb_write alone", disk, bare);
  print("memory + rocksdb", "rocksdb_write alone", both, bare);
  print("memory, bounded", "not bounded", bounded_memory, memory);
  print("memory + rocksdb, bounded", "not bounded", bounded_both, both);
}

}  // namespace
}  // namespace tf_hps

int main(int argc, char** argv) {
  const auto number = [&](int i, int64_t otherwise) {
    return argc > i ? std::atoll(argv[i]) : otherwise;
  };
  const std::string dir =
      argc > 4 ? argv[4]
               : (std::filesystem::temp_directory_path() / absl::StrCat("update_apply.", getpid()))
                     .string();
  tf_hps::Run(number(1, 2000000), number(2, 20000), static_cast<int>(number(3, 3)), dir);
  std::filesystem::remove_all(dir);
}
