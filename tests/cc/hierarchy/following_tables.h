#ifndef TF_HPS_TESTS_CC_HIERARCHY_FOLLOWING_TABLES_H_
#define TF_HPS_TESTS_CC_HIERARCHY_FOLLOWING_TABLES_H_

#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cc/hierarchy/table_registry.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/cc/storage/temp_dir.h"
#include "tests/cc/update/segment_writer.h"

namespace tf_hps {

// A server's folders, its hps.json and its tables "movies" and "users", rows of 4, which follow a
// stream of segments.
class FollowingTables {
 public:
  static constexpr int kDim = 4;

  FollowingTables() {
    std::filesystem::create_directories(stream());
    config_ = {
        {"format_version", 1},
        // Followers are the process': of another test's tables nothing is to be seen.
        {"deployment", absl::StrCat("test-", getpid(), "-", ++number())},
        {"memory", nlohmann::json::object()},
        {"rocksdb", {{"path", folder_ / "store"}}},
        {"updates", {{"url", stream()}, {"poll_ms", 2}}},
        {"tables", {{"movies", {{"embedding_dim", kDim}}}, {"users", {{"embedding_dim", kDim}}}}}};
  }
  ~FollowingTables() { Close(); }

  nlohmann::json& config() { return config_; }
  std::string folder() const { return folder_.path(); }
  std::string stream() const { return folder_ / "stream"; }
  std::string deployment() const { return config_["deployment"]; }

  absl::Status TryOpen(const std::string& name) {
    const std::string path = folder_ / "hps.json";
    std::ofstream(path) << config_.dump();
    auto opened = TableRegistry::Get().Open(path, name);
    if (opened.ok()) tables_[name] = *std::move(opened);
    return opened.status();
  }
  void Open() {
    for (const auto& [name, options] : config_["tables"].items()) {
      const absl::Status status = TryOpen(name);
      ASSERT_TRUE(status.ok()) << status;
    }
  }
  void Close() { tables_.clear(); }
  void Close(const std::string& name) { tables_.erase(name); }

  TableHandle& operator[](const std::string& name) { return *tables_.at(name); }
  std::string Generation(const std::string& name) { return (*this)[name].spec().generation; }
  SegmentWriter Writer(const std::string& publisher = "0123abcd") const {
    return SegmentWriter(stream(), deployment(), publisher);
  }

  // The first element of the key's row; 0 where there is none.
  float Value(const std::string& name, Key key) {
    std::vector<float> row(kDim, -1);
    TableHandle& table = (*this)[name];
    const absl::Status status =
        table.table().Find({&key, 1}, table.SinkFor(ElementType::kFloat32, row.data()));
    EXPECT_TRUE(status.ok()) << status;
    for (float element : row) EXPECT_EQ(element, row[0]) << "a torn row";
    return row[0];
  }
  void WaitUntil(const std::string& name, const std::string& position,
                 std::chrono::seconds timeout = std::chrono::seconds(20)) {
    const absl::Status status = (*this)[name].WaitUntil(position, timeout);
    ASSERT_TRUE(status.ok()) << status;
  }
  nlohmann::json Updates(const std::string& name) { return (*this)[name].Stats()["updates"]; }

 private:
  static int& number() {
    static int tables = 0;
    return tables;
  }

  const TempDir folder_;
  nlohmann::json config_;
  std::map<std::string, std::shared_ptr<TableHandle>> tables_;
};

}  // namespace tf_hps

#endif  // TF_HPS_TESTS_CC_HIERARCHY_FOLLOWING_TABLES_H_
