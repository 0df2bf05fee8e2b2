// hps.json < the file in TF_HPS_CONFIG < the environment.

#include "cc/common/config.h"
#include "tests/cc/common/config_testing.h"

namespace tf_hps {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

class ConfigLayersTest : public ConfigTest {
 protected:
  void WriteOverlay(const std::string& text) {
    SetVariable("TF_HPS_CONFIG", Write("site/site.json", text));
  }
  // The effective options of section `sample` for table `table`.
  json Sample(const std::string& table = "a") const {
    const auto config = Load(kModel);
    EXPECT_TRUE(config.ok()) << config.status();
    return config.ok() ? config->tables.at(table).sections.at("sample") : json();
  }
  std::string Message() const { return std::string(Refusal(kModel).message()); }
  // name -> [value, origin]
  std::map<std::string, json> Explained() const {
    const auto lines = ExplainConfig(Write("hps.json", kModel));
    EXPECT_TRUE(lines.ok()) << lines.status();
    std::map<std::string, json> explained;
    for (const json& line : *lines) explained[line["name"]] = {line["value"], line["origin"]};
    return explained;
  }

  static constexpr char kModel[] = R"({"format_version": 1, "sample": {"rows": 10, "path": "store"},
      "tables": {"a": {}, "b": {"sample": {"rows": 20}}}})";
};

TEST_F(ConfigLayersTest, TheOperatorsFileOverridesFieldByField) {
  WriteOverlay(R"({"sample": {"rate": 0.75, "path": "store"}})");
  const json sample = Sample();
  EXPECT_EQ(sample["rows"], 10);
  EXPECT_EQ(sample["rate"], 0.75);
  EXPECT_EQ(sample["path"], At("site/store"));
}

TEST_F(ConfigLayersTest, ATablesOwnOptionStandsAboveTheSectionInEveryFile) {
  WriteOverlay(R"({"sample": {"rows": 11}})");
  EXPECT_EQ(Sample("a")["rows"], 11);
  EXPECT_EQ(Sample("b")["rows"], 20);
  WriteOverlay(R"({"tables": {"b": {"sample": {"rows": 21}}, "c": {}}})");
  EXPECT_EQ(Sample("b")["rows"], 21);
  EXPECT_EQ(Sample("c")["rows"], 10);
}

TEST_F(ConfigLayersTest, TheEnvironmentOverridesAllForAllTables) {
  WriteOverlay(R"({"sample": {"rows": 11, "preload": true}})");
  SetVariable("TF_HPS_SAMPLE_ROWS", "8e2");
  SetVariable("TF_HPS_SAMPLE_PRELOAD", "0");
  SetVariable("TF_HPS_SAMPLE_RATE", "0.125");
  SetVariable("TF_HPS_SAMPLE_EVICTION", "lfu");
  SetVariable("TF_HPS_SAMPLE_LABEL", "12");
  SetVariable("TF_HPS_SAMPLE_PATH", "store");
  const std::string here = std::filesystem::current_path();
  for (const char* table : {"a", "b"}) {
    EXPECT_EQ(Sample(table), json({{"rows", 800},
                                   {"rate", 0.125},
                                   {"offset", 0},
                                   {"eviction", "lfu"},
                                   {"label", "12"},
                                   {"preload", false},
                                   {"path", here + "/store"}}));
  }
}

TEST_F(ConfigLayersTest, AnEmptyVariableIsNotSet) {
  SetVariable("TF_HPS_SAMPLE_ROWS", "");
  SetVariable("TF_HPS_CONFIG", "");
  EXPECT_EQ(Sample()["rows"], 10);
}

TEST_F(ConfigLayersTest, NullTakesAFieldBackToItsDefault) {
  WriteOverlay(R"({"sample": {"path": null}, "tables": {"b": {"sample": {"rows": null}}}})");
  EXPECT_EQ(Sample("b")["rows"], 10);
  EXPECT_EQ(Sample("b")["path"], nullptr);
}

TEST_F(ConfigLayersTest, AnOverlayAddsAndRemovesTiers) {
  WriteOverlay(R"({"sample": null, "remote": {"url": "redis://h"}})");
  const auto config = Load(kModel);
  ASSERT_TRUE(config.ok()) << config.status();
  for (const char* table : {"a", "b"}) {
    EXPECT_EQ(config->tables.at(table).sections.size(), 1);
    EXPECT_EQ(config->tables.at(table).sections.at("remote")["url"], "redis://h");
  }
  WriteOverlay(R"({"sample": null})");
  EXPECT_THAT(Message(), HasSubstr("no tier is configured"));
}

TEST_F(ConfigLayersTest, AVariableDoesNotAddATier) {
  SetVariable("TF_HPS_REMOTE_URL", "redis://h");
  EXPECT_THAT(Message(), AllOf(HasSubstr("TF_HPS_REMOTE_URL is set"), HasSubstr(At("hps.json")),
                               HasSubstr("has no section \"remote\" (it has: sample)"),
                               HasSubstr("TF_HPS_CONFIG")));
}

TEST_F(ConfigLayersTest, UnknownVariablesListTheKnownOnes) {
  SetVariable("TF_HPS_SAMPLE_ROW", "1");
  EXPECT_THAT(Message(),
              AllOf(HasSubstr("unknown variable \"TF_HPS_SAMPLE_ROW\""),
                    HasSubstr("Did you mean \"TF_HPS_SAMPLE_ROWS\"?"), HasSubstr("TF_HPS_CONFIG"),
                    HasSubstr("TF_HPS_REMOTE_PASSWORD_FILE")));
}

TEST_F(ConfigLayersTest, VariablesOfOthersAreLeftAlone) {
  for (const char* variable : {"TF_HPS_CPU_ISA", "TF_HPS_LOG", "TF_HPS_TEST_X", "TF_HPS_BENCH_X",
                               "TF_HPS_BUILD_X", "TF_HPSX"}) {
    SetVariable(variable, "1");
  }
  EXPECT_EQ(Message(), "");
}

TEST_F(ConfigLayersTest, VariablesAreCheckedAsFieldsAre) {
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {"TF_HPS_SAMPLE_ROWS", "nan", "is a whole number from 1 on. Received: \"nan\""},
      {"TF_HPS_SAMPLE_RATE", "NaN", "is a finite number from 0 to 1. Received: \"NaN\""},
      {"TF_HPS_SAMPLE_RATE", "inf", "Received: \"inf\""},
      {"TF_HPS_SAMPLE_RATE", "1e999", "Received: \"1e999\""},
      {"TF_HPS_SAMPLE_ROWS", "0", "Received: 0"},
      {"TF_HPS_SAMPLE_ROWS", "[[1]]", "Received: \"[[1]]\""},
      {"TF_HPS_SAMPLE_PRELOAD", "yes", "is true or false. Received: \"yes\""},
      {"TF_HPS_SAMPLE_EVICTION", "LRU", "is one of lru, lfu. Received: \"LRU\""},
      {"TF_HPS_SAMPLE_LABEL", "\xff", "is a text. Received: \"\xEF\xBF\xBD\""},
  };
  for (const auto& [variable, value, message] : cases) {
    SetVariable(variable, value);
    EXPECT_THAT(Message(),
                AllOf(HasSubstr(variable), HasSubstr("in the environment"), HasSubstr(message)));
    unsetenv(variable);
  }
}

TEST_F(ConfigLayersTest, ErrorsInTheOperatorsFileNameIt) {
  WriteOverlay(R"({"sample": {"row": 1}})");
  EXPECT_THAT(Message(), AllOf(HasSubstr("TF_HPS_CONFIG (" + At("site/site.json") + ")"),
                               HasSubstr("unknown field \"row\" in \"sample\"")));
  WriteOverlay(R"({"format_version": 9})");
  EXPECT_EQ(Refusal(kModel).code(), absl::StatusCode::kFailedPrecondition);
  WriteOverlay("{");
  EXPECT_THAT(Message(), HasSubstr("TF_HPS_CONFIG ("));
  SetVariable("TF_HPS_CONFIG", At("gone.json"));
  EXPECT_EQ(Refusal(kModel).code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(Message(), AllOf(HasSubstr("TF_HPS_CONFIG"), HasSubstr(At("gone.json"))));
}

TEST_F(ConfigLayersTest, LayersTogetherMustMakeSense) {
  WriteOverlay(R"({"tables": {"a": {"out_of_range": "error"}}})");
  EXPECT_THAT(Message(), HasSubstr("needs a `vocabulary_size`"));
  WriteOverlay(R"({"tables": {"a": {"out_of_range": "error", "vocabulary_size": 3}}})");
  EXPECT_EQ(Message(), "");
}

TEST_F(ConfigLayersTest, ExplainNamesEveryOrigin) {
  WriteOverlay(R"({"deployment": "eu", "sample": {"rate": 1}, "remote": {},
                   "tables": {"a": {"remote": null}}})");
  SetVariable("TF_HPS_SAMPLE_ROWS", "5");
  const std::string overlay = "TF_HPS_CONFIG (" + At("site/site.json") + ")";
  const auto explained = Explained();
  EXPECT_EQ(explained.at("deployment"), json({"eu", overlay}));
  EXPECT_EQ(explained.at("sample.path"), json({At("store"), "hps.json"}));
  EXPECT_EQ(explained.at("sample.rate"), json({1, overlay}));
  EXPECT_EQ(explained.at("sample.rows"), json({5, "TF_HPS_SAMPLE_ROWS"}));
  EXPECT_EQ(explained.at("sample.preload"), json({true, "default"}));
  EXPECT_EQ(explained.at("tables.b.sample.rows"), json({5, "TF_HPS_SAMPLE_ROWS"}));
  EXPECT_EQ(explained.at("tables.a.remote"), json({nullptr, overlay}));
  EXPECT_EQ(explained.at("tables.a.default_row"), json({"zeros", "default"}));
  EXPECT_EQ(explained.count("tables.a.sample.rows"), 0);
}

TEST_F(ConfigLayersTest, ExplainRefusesWhatLoadRefuses) {
  EXPECT_EQ(ExplainConfig(At("none")).status().code(), absl::StatusCode::kNotFound);
  const std::string bad = Write("bad.json", "{}");
  EXPECT_EQ(ExplainConfig(bad).status(), LoadConfig(bad).status());
}

}  // namespace
}  // namespace tf_hps
