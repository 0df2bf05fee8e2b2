// A trainer commits rows at a steady rate while lookups run: how long until a commit is seen, and
// what lookups notice of it. Lookups begin when their time has come (an open loop, at 30 % of what
// was measured as the most), and their time runs from then, so that a pause is paid by all who come
// in it. Without updates; while another table of another deployment gets them (what two cores, and
// three threads that want them, make of it); with them; and without them again (a_a). Prints
// tab-separated rows.
//   update_visible [rows in the table, default 1000000] [seconds a part, default 10]
//                  [rows a second, default 50000] [commits a second, default 20] [dir]
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cc/hierarchy/table_registry.h"
#include "tests/cc/update/segment_writer.h"

namespace tf_hps {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kDim = 64;
constexpr size_t kBatch = 1024;
constexpr double kLoad = 0.3;

void Check(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::exit(1);
}

double Ms(Clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

double Percentile(std::vector<double>* values, double percent) {
  if (values->empty()) return 0;
  std::sort(values->begin(), values->end());
  return (
      *values)[std::min(values->size() - 1, static_cast<size_t>(values->size() * percent / 100))];
}

class Lookups {
 public:
  Lookups(TableHandle* table, int64_t rows) : table_(*table), rows_(kBatch * kDim) {
    for (std::vector<Key>& keys : batches_) {
      keys.resize(kBatch);
      // Some often, most seldom.
      for (Key& key : keys) {
        const double u = std::uniform_real_distribution<>(0, 1)(random_);
        key = static_cast<Key>(u * u * u * rows);
      }
    }
  }

  void Once() {
    const std::vector<Key>& keys = batches_[next_++ % std::size(batches_)];
    Check(table_.table().Find(keys, table_.SinkFor(ElementType::kFloat32, rows_.data())));
  }
  // Lookups a second, one after the other.
  double Capacity() {
    constexpr std::chrono::milliseconds kTime(300);
    const auto end = Clock::now() + kTime;
    int64_t lookups = 0;
    for (; Clock::now() < end; ++lookups) Once();
    return static_cast<double>(lookups) / std::chrono::duration<double>(kTime).count();
  }
  // Milliseconds of each, from the moment when it was due.
  std::vector<double> OpenLoop(double per_second, double seconds) {
    std::vector<double> times;
    const auto begin = Clock::now();
    const auto gap = std::chrono::duration<double>(1 / per_second);
    for (int64_t i = 0; i * gap.count() < seconds; ++i) {
      const auto due = begin + std::chrono::duration_cast<Clock::duration>(gap * i);
      std::this_thread::sleep_until(due);
      Once();
      times.push_back(Ms(Clock::now() - due));
    }
    return times;
  }

 private:
  TableHandle& table_;
  std::mt19937 random_{7};
  std::vector<Key> batches_[64];
  std::vector<float> rows_;
  size_t next_ = 0;
};

// Commits until `stop`; milliseconds from the end of each commit until the table had it.
std::vector<double> Publish(SegmentWriter* writer, const TableHandle& table, int64_t rows,
                            int64_t per_second, int64_t commits, const std::atomic<bool>* stop) {
  std::mt19937 random(3);
  std::vector<double> times;
  const int64_t n = per_second / commits;
  const std::vector<float> values(n * kDim, 0.5f);
  const auto begin = Clock::now();
  for (int64_t i = 0; !*stop; ++i) {
    std::vector<Key> keys(n);
    for (Key& key : keys) key = random() % rows;
    writer->RowsOf("items", table.spec().generation, kDim, keys, values);
    const std::string bytes = writer->Finish();
    std::this_thread::sleep_until(begin + std::chrono::microseconds(1000000 / commits) * i);
    const std::string position = writer->Write(bytes);
    const auto committed = Clock::now();
    Check(table.WaitUntil(position, std::chrono::seconds(30)));
    times.push_back(Ms(Clock::now() - committed));
  }
  return times;
}

// A table that follows a stream of its own, loaded through it.
struct Followed {
  Followed(const std::string& dir, const std::string& deployment, int64_t rows, bool rocksdb)
      : writer((std::filesystem::create_directories(dir + "/stream"), dir + "/stream"),
               deployment) {
    nlohmann::json config = {{"format_version", 1},
                             {"deployment", deployment},
                             {"memory", nlohmann::json::object()},
                             {"updates", {{"url", dir + "/stream"}}},
                             {"tables", {{"items", {{"embedding_dim", kDim}}}}}};
    if (rocksdb) {
      config["rocksdb"] = {{"path", dir + "/store"}};
    } else {
      config["tables"]["items"]["generation"] = "g1";
    }
    std::ofstream(dir + "/hps.json") << config.dump();
    const auto opened = TableRegistry::Get().Open(dir + "/hps.json", "items");
    Check(opened.status());
    table = *opened;
    std::string last;
    for (Key begin = 0; begin < rows; begin += 20000) {
      std::vector<Key> keys;
      for (Key key = begin; key < std::min(rows, begin + 20000); ++key) keys.push_back(key);
      writer.Rows("items", table->spec().generation, kDim, keys, 1);
      last = writer.Commit();
    }
    Check(table->WaitUntil(last, std::chrono::minutes(5)));
  }

  SegmentWriter writer;
  std::shared_ptr<TableHandle> table;
};

void Run(int64_t rows, double seconds, int64_t per_second, int64_t commits, const std::string& dir,
         bool rocksdb) {
  Followed ours(dir + "/ours", "bench", rows, rocksdb);
  Followed other(dir + "/other", "other", rows, rocksdb);
  Lookups lookups(ours.table.get(), rows);
  lookups.Capacity();
  const double rate = kLoad * lookups.Capacity();
  std::vector<double> visible;
  const auto beside = [&](Followed* updated) {
    std::atomic<bool> stop{false};
    std::thread trainer([&] {
      visible = Publish(&updated->writer, *updated->table, rows, per_second, commits, &stop);
    });
    std::vector<double> times = lookups.OpenLoop(rate, seconds);
    stop = true;
    trainer.join();
    return Percentile(&times, 99);
  };
  std::vector<double> without = lookups.OpenLoop(rate, seconds);
  const double p50 = Percentile(&without, 50), p99 = Percentile(&without, 99);
  const double p99_other = beside(&other);
  const double p99_updates = beside(&ours);
  without = lookups.OpenLoop(rate, seconds);
  std::printf(
      "%s\t%.0f\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.2f\t%.2f\t%lld\n",
      rocksdb ? "memory + rocksdb" : "memory", rate, p99_updates / p99, p99_updates / p99_other,
      Percentile(&without, 99) / p99, p50, p99, p99_updates, p99_other, Percentile(&visible, 50),
      Percentile(&visible, 99),
      static_cast<long long>(ours.table->Stats()["updates"]["lookup_retries"].get<int64_t>()));
}

}  // namespace
}  // namespace tf_hps

int main(int argc, char** argv) {
  const auto number = [&](int i, int64_t otherwise) {
    return argc > i ? std::atoll(argv[i]) : otherwise;
  };
  std::printf(
      "tiers\tlookups_per_s\tratio\tover_other\ta_a\tp50_ms\tp99_ms\tp99_ms_with_updates\t"
      "p99_ms_of_other\t"
      "visible_p50_ms\tvisible_p99_ms\tretries\n");
  for (const bool rocksdb : {false, true}) {
    const std::string dir =
        argc > 5
            ? argv[5]
            : (std::filesystem::temp_directory_path() / absl::StrCat("update_visible.", getpid()))
                  .string();
    tf_hps::Run(number(1, 1000000), static_cast<double>(number(2, 10)), number(3, 50000),
                number(4, 20), dir, rocksdb);
    std::filesystem::remove_all(dir);
  }
}
