#ifndef TF_HPS_TESTS_CC_COMMON_CONFIG_TESTING_H_
#define TF_HPS_TESTS_CC_COMMON_CONFIG_TESTING_H_

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "cc/common/config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tf_hps {

// Two sections that no backend has: one with every type, one with secrets.
inline const bool sections_registered = [] {
  RegisterConfigSection("sample",
                        {{"rows", FieldType::kInt, nullptr, "rows", {}, 1},
                         {"rate", FieldType::kNumber, 0.5, "a share", {}, 0, 1},
                         {"offset",
                          FieldType::kInt,
                          0,
                          "any whole number",
                          {},
                          -std::numeric_limits<double>::infinity()},
                         {"eviction", FieldType::kString, "lru", "which row goes", {"lru", "lfu"}},
                         {"label", FieldType::kString, "", "any text"},
                         {"preload", FieldType::kBool, true, "fill it at start"},
                         {"path", FieldType::kPath, nullptr, "a folder"}});
  RegisterConfigSection("remote", {{"url", FieldType::kString, nullptr, "where it is"},
                                   {"password", FieldType::kSecret, nullptr, "password"}});
  return true;
}();

// An empty folder and an environment without TF_HPS_*, which come and go with a test.
class ConfigTest : public testing::Test {
 protected:
  ConfigTest() {
    std::string pattern = testing::TempDir() + "config_XXXXXX";
    folder_ = std::filesystem::canonical(mkdtemp(pattern.data()));
  }
  ~ConfigTest() override {
    for (const std::string& variable : variables_) unsetenv(variable.c_str());
    std::filesystem::remove_all(folder_);
  }

  std::string At(const std::string& name) const { return folder_ / name; }
  std::string Write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return At(name);
  }
  void SetVariable(const std::string& variable, const std::string& value) {
    setenv(variable.c_str(), value.c_str(), 1);
    variables_.push_back(variable);
  }
  // Loads `text` as hps.json.
  absl::StatusOr<DeploymentConfig> Load(const std::string& text) const {
    return LoadConfig(Write("hps.json", text));
  }
  // What is said about hps.json with `text`.
  absl::Status Refusal(const std::string& text) const { return Load(text).status(); }
  // The message about a section `sample` with these options.
  std::string SampleRefusal(const std::string& options) const {
    return std::string(Refusal(R"({"format_version": 1, "sample": )" + options + "}").message());
  }
  std::string TableRefusal(const std::string& fields) const {
    return std::string(
        Refusal(R"({"format_version": 1, "sample": {}, "tables": {"movie_id": )" + fields + "}}")
            .message());
  }

  std::filesystem::path folder_;

 private:
  std::vector<std::string> variables_;
};

}  // namespace tf_hps

#endif  // TF_HPS_TESTS_CC_COMMON_CONFIG_TESTING_H_
