// What a good hps.json means.

#include "cc/common/config.h"

#include "tests/cc/common/config_testing.h"

namespace tf_hps {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr char kWhole[] = R"({
  "format_version": 1,
  "deployment": "ratings/eu",
  "sample": {"rows": 8e3, "rate": 0.25, "offset": -7, "eviction": "lfu", "label": "größe",
             "preload": false, "path": "../stores/hps"},
  "tables": {
    "movie_id": {"generation": "live-5f0c", "embedding_dim": 2, "row_format": "int8",
                 "default_row": [0.5, -1], "out_of_range": "wrap_negatives",
                 "vocabulary_size": 9724, "sample": {"rows": 10}},
    "user_id": {}
  }
})";

TEST_F(ConfigTest, EveryFieldArrives) {
  const auto config = LoadConfig(Write("assets/hps.json", kWhole));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->path, At("assets/hps.json"));
  EXPECT_EQ(config->deployment, "ratings/eu");
  ASSERT_EQ(config->tables.size(), 2);
  const TableConfig& movie = config->tables.at("movie_id");
  EXPECT_EQ(movie.name, "movie_id");
  EXPECT_EQ(movie.generation, "live-5f0c");
  EXPECT_EQ(movie.embedding_dim, 2);
  EXPECT_EQ(movie.row_format, "int8");
  EXPECT_EQ(movie.default_row, json::parse("[0.5, -1]"));
  EXPECT_EQ(movie.out_of_range, OutOfRange::kWrapNegatives);
  EXPECT_EQ(movie.vocabulary_size, 9724);
  json sample = {{"rows", 8000},
                 {"rate", 0.25},
                 {"offset", -7},
                 {"eviction", "lfu"},
                 {"label", "größe"},
                 {"preload", false},
                 {"path", At("stores/hps")}};
  EXPECT_EQ(config->tables.at("user_id").sections.at("sample"), sample);
  EXPECT_TRUE(config->tables.at("user_id").sections.at("sample")["rows"].is_number_integer());
  sample["rows"] = 10;
  EXPECT_EQ(movie.sections.at("sample"), sample);
  EXPECT_EQ(movie.sections.count("remote"), 0);
}

TEST_F(ConfigTest, WhatIsLeftOutHasItsDefault) {
  const auto config = Load(R"({"format_version": 1, "sample": {}, "tables": {"a": {}}})");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->deployment, "default");
  const TableConfig& table = config->tables.at("a");
  EXPECT_EQ(table.generation, "");
  EXPECT_EQ(table.embedding_dim, 0);
  EXPECT_EQ(table.row_format, "");
  EXPECT_EQ(table.default_row, "zeros");
  EXPECT_EQ(table.out_of_range, OutOfRange::kDefaultRow);
  EXPECT_EQ(table.sections.at("sample"), json({{"rows", nullptr},
                                               {"rate", 0.5},
                                               {"offset", 0},
                                               {"eviction", "lru"},
                                               {"label", ""},
                                               {"preload", true},
                                               {"path", nullptr}}));
}

TEST_F(ConfigTest, ATextIsCheckedWithoutAFile) {
  const auto config = ParseConfig(kWhole, "/models/ratings/assets");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->tables.at("user_id").sections.at("sample")["path"],
            "/models/ratings/stores/hps");
  EXPECT_THAT(ParseConfig("{}", "/models/assets").status().message(),
              HasSubstr("/models/assets/hps.json: `format_version` is missing"));
}

TEST_F(ConfigTest, ATextIsNotOverridden) {
  SetVariable("TF_HPS_SAMPLE_ROWS", "3");
  const auto config = ParseConfig(kWhole, "/models");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->tables.at("user_id").sections.at("sample")["rows"], 8000);
}

TEST_F(ConfigTest, PathsKeepTheirSchemeAndLinksAreFollowed) {
  std::filesystem::create_directories(At("v7"));
  std::filesystem::create_directory_symlink(At("v7"), At("current"));
  const auto path_of = [&](const std::string& path) {
    auto config = Load(R"({"format_version": 1, "sample": {"path": ")" + path +
                       R"("}, "tables": {"a": {}}})");
    EXPECT_TRUE(config.ok()) << config.status();
    return config->tables.at("a").sections.at("sample")["path"].get<std::string>();
  };
  EXPECT_EQ(path_of("gs://bucket/store"), "gs://bucket/store");
  EXPECT_EQ(path_of("ram://store"), "ram://store");
  EXPECT_EQ(path_of("/data/store/"), "/data/store");
  EXPECT_EQ(path_of("current/../store"), At("store"));
  EXPECT_EQ(path_of("./current/"), At("v7"));
  EXPECT_EQ(path_of("."), folder_.string());
}

TEST_F(ConfigTest, ARelativeConfigPathIsRelativeToTheWorkingDirectory) {
  Write("hps.json", kWhole);
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder_);
  const auto config = LoadConfig("hps.json");
  std::filesystem::current_path(before);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->tables.at("user_id").sections.at("sample")["path"],
            (folder_.parent_path() / "stores/hps").string());
}

TEST_F(ConfigTest, ATableMayGoWithoutATier) {
  const auto config = Load(R"({"format_version": 1, "sample": {}, "remote": {},
                               "tables": {"a": {"sample": null}, "b": {}}})");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->tables.at("a").sections.count("sample"), 0);
  EXPECT_EQ(config->tables.at("a").sections.count("remote"), 1);
  EXPECT_EQ(config->tables.at("b").sections.count("sample"), 1);
}

TEST_F(ConfigTest, DefaultRowsOfEveryKindAreTaken) {
  for (const char* row :
       {R"("zeros")", "[1]", "[1e38, -0.0]", R"({"id": 7})", R"({"id": -9223372036854775808})",
        R"({"id": 7, "buckets": 3, "by": "fingerprint"})",
        R"({"id": -1, "buckets": 1048576, "by": "floormod"})"}) {
    EXPECT_EQ(TableRefusal(std::string(R"({"default_row": )") + row + "}"), "") << row;
  }
}

TEST_F(ConfigTest, SchemaListsSectionsFieldsAndVariables) {
  const json schema = ConfigSchema();
  EXPECT_EQ(schema["format_version"], 1);
  EXPECT_EQ(schema["fields"][0]["name"], "deployment");
  EXPECT_EQ(schema["sections"]["sample"][0], json({{"name", "rows"},
                                                   {"type", "int"},
                                                   {"default", nullptr},
                                                   {"help", "rows"},
                                                   {"minimum", 1.0},
                                                   {"variable", "TF_HPS_SAMPLE_ROWS"}}));
  EXPECT_EQ(schema["sections"]["sample"][3]["choices"], json({"lru", "lfu"}));
  EXPECT_EQ(schema["sections"]["remote"][1]["name"], "password_file");
  EXPECT_EQ(schema["sections"]["remote"][2]["name"], "password_env");
  EXPECT_EQ(schema["sections"]["remote"].size(), 3);
  EXPECT_EQ(schema["table_fields"].size(), 10);
}

}  // namespace
}  // namespace tf_hps
