// What is said about a bad hps.json.

#include <sys/stat.h>

#include "cc/common/config.h"
#include "tests/cc/common/config_testing.h"

namespace tf_hps {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

using ConfigErrorsTest = ConfigTest;

TEST_F(ConfigErrorsTest, AMissingFileIsNotFound) {
  const absl::Status status = LoadConfig(At("none.json")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr(At("none.json")));
}

TEST_F(ConfigErrorsTest, WhatIsNoFileIsRefused) {
  EXPECT_THAT(LoadConfig(folder_).status().message(),
              AllOf(StartsWith(folder_.string()), HasSubstr("is a folder")));
  ASSERT_EQ(mkfifo(At("pipe").c_str(), 0600), 0);
  EXPECT_THAT(LoadConfig(At("pipe")).status().message(), HasSubstr("is not a regular file"));
  EXPECT_THAT(LoadConfig(std::string(5000, 'x')).status().message(), HasSubstr("name too long"));
}

TEST_F(ConfigErrorsTest, WhatIsNoJsonSaysWhere) {
  EXPECT_THAT(Refusal("").message(), AllOf(StartsWith(At("hps.json")), HasSubstr("is empty")));
  EXPECT_THAT(Refusal(" \n").message(), HasSubstr("is empty"));
  EXPECT_THAT(Refusal("{\n  \"a\": ,\n}").message(), HasSubstr("is not JSON at line 2, column 8"));
  EXPECT_THAT(Refusal("{\"a\": 1").message(), HasSubstr("unexpected end of input"));
  EXPECT_THAT(Refusal("{\"a\": \"\xff\"}").message(), HasSubstr("ill-formed UTF-8"));
  EXPECT_THAT(Refusal("[1]").message(), HasSubstr("holds a JSON array; expected an object"));
  EXPECT_THAT(Refusal("{\"rate\": 1e999}").message(),
              AllOf(StartsWith(At("hps.json")), HasSubstr("1e999")));
}

TEST_F(ConfigErrorsTest, NotFiniteNumbersAreNamedWithTheirPosition) {
  for (const char* number : {"NaN", "nan", "-NaN", "Infinity", "-Infinity", "-inf"}) {
    EXPECT_THAT(Refusal(std::string("{\n \"sample\": {\"rows\": ") + number + "}}").message(),
                AllOf(StartsWith(At("hps.json")), HasSubstr("line 2, column 2"),
                      HasSubstr("is no JSON value; numbers are finite")))
        << number;
  }
}

TEST_F(ConfigErrorsTest, DeepNestingIsRefused) {
  const std::string deep(1000000, '[');
  EXPECT_THAT(Refusal("{\"a\": " + deep).message(), HasSubstr("deeper than 32 levels"));
  std::string objects;
  for (int i = 0; i < 100000; ++i) objects += "{\"a\":";
  EXPECT_THAT(Refusal(objects).message(), HasSubstr("deeper than 32 levels"));
}

TEST_F(ConfigErrorsTest, AKeyThatStandsTwiceIsRefused) {
  EXPECT_THAT(Refusal(R"({"a": 1, "a": 2})").message(),
              HasSubstr("the key \"a\" stands twice in the object"));
  EXPECT_THAT(Refusal(R"({"tables": {"m": {"x": [{"x": 1}], "y": 2, "x": 1}}})").message(),
              HasSubstr("the key \"x\" stands twice in \"tables.m\""));
}

TEST_F(ConfigErrorsTest, SyntaxErrorsDoNotShowTexts) {
  EXPECT_THAT(Refusal(R"({"password": "hunter2)").message(), Not(HasSubstr("hunter2")));
  EXPECT_THAT(Refusal(R"({"password": "hunter2" "x"})").message(), Not(HasSubstr("hunter2")));
}

TEST_F(ConfigErrorsTest, FormatVersionsAreChecked) {
  const auto with = [&](const std::string& version) {
    return Refusal("{\"format_version\": " + version + ", \"not_yet_known\": {}}");
  };
  EXPECT_EQ(with("2").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(with("2").message(),
              HasSubstr("has format_version 2, this tf_hps reads versions up to 1"));
  EXPECT_EQ(with("18446744073709551615").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(with("\"1\"").message(), HasSubstr("is a whole number from 1 to 1. Received: \"1\""));
  for (const char* version : {"0", "-1", "1.5", "null", "true", "[1]"}) {
    EXPECT_EQ(with(version).code(), absl::StatusCode::kInvalidArgument) << version;
  }
  EXPECT_THAT(Refusal("{}").message(), HasSubstr("`format_version` is missing"));
}

TEST_F(ConfigErrorsTest, UnknownNamesListTheKnownOnes) {
  EXPECT_THAT(Refusal(R"({"format_version": 1, "smaple": {}})").message(),
              AllOf(StartsWith(At("hps.json: unknown section \"smaple\"")),
                    HasSubstr("Did you mean \"sample\"?"),
                    HasSubstr("memory, redis, remote, rocksdb, sample"), HasSubstr("tables")));
  EXPECT_THAT(
      SampleRefusal(R"({"evicton": "lru"})"),
      AllOf(HasSubstr("unknown field \"evicton\" in \"sample\". Did you mean \"eviction\"? "),
            HasSubstr("Known: rows, rate, offset, eviction, label, preload, path")));
  EXPECT_THAT(TableRefusal(R"({"Embedding-Dim": 4})"),
              AllOf(HasSubstr("\"Embedding-Dim\" in \"tables.movie_id\""),
                    HasSubstr("Did you mean \"embedding_dim\"?"), HasSubstr("vocabulary_size")));
  EXPECT_THAT(TableRefusal(R"({"sample": {"row": 4}})"),
              AllOf(HasSubstr("\"row\" in \"tables.movie_id.sample\""),
                    HasSubstr("Did you mean \"rows\"?")));
  EXPECT_THAT(SampleRefusal(R"({"zzzzzzzz": 1})"), Not(HasSubstr("Did you mean")));
}

TEST_F(ConfigErrorsTest, WrongValuesSayWhatIsWantedAndWhatCame) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"rows": 0})", "`sample.rows` is a whole number from 1 on. Received: 0"},
      {R"({"rows": 1.5})", "Received: 1.5"},
      {R"({"rows": "many"})", "Received: \"many\""},
      {R"({"rows": 18446744073709551615})", "Received: 18446744073709551615"},
      {R"({"rows": 1e300})", "Received: 1e+300"},
      {R"({"rows": true})", "Received: true"},
      {R"({"rate": 1.01})", "`sample.rate` is a finite number from 0 to 1. Received: 1.01"},
      {R"({"rate": [1, 2]})", "Received: a list of 2"},
      {R"({"eviction": "fifo"})", "`sample.eviction` is one of lru, lfu. Received: \"fifo\""},
      {R"({"label": 3})", "`sample.label` is a text. Received: 3"},
      {R"({"label": "a\u0000b"})", "`sample.label` is a text. Received: \"a\\u0000b\""},
      {R"({"preload": 1})", "`sample.preload` is true or false. Received: 1"},
      {R"({"path": ""})", "`sample.path` is a path. Received: \"\""},
      {R"({"path": {"a": 1}})", "Received: an object of 1"},
      {R"([])", "`sample` is an object. Received: a list of 0"},
  };
  for (const auto& [options, message] : cases) {
    EXPECT_THAT(SampleRefusal(options), AllOf(StartsWith(At("hps.json")), HasSubstr(message)));
  }
}

TEST_F(ConfigErrorsTest, ALongTextIsCutBetweenCharacters) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "ü";
  const std::string message = SampleRefusal("{\"rows\": \"x" + text + "\"}");
  EXPECT_LT(message.size(), 400);
  EXPECT_NO_THROW(nlohmann::json(message).dump());
  EXPECT_THAT(message, HasSubstr("(2001 bytes)"));
}

TEST_F(ConfigErrorsTest, TablesAreChecked) {
  const std::pair<const char*, const char*> cases[] = {
      {R"(7)", "`tables.movie_id` is an object. Received: 7"},
      {R"({"generation": "A"})", "`tables.movie_id.generation` is made of [a-z0-9]"},
      {R"({"generation": "a-"})", "Received: \"a-\""},
      {R"({"embedding_dim": 0})", "is a whole number from 1 to 16777216. Received: 0"},
      {R"({"embedding_dim": 16777217})", "Received: 16777217"},
      {R"({"row_format": "float64"})", "is one of float32, float16, bfloat16, int8"},
      {R"({"out_of_range": "clip"})", "is one of default_row, error, wrap_negatives"},
      {R"({"out_of_range": "error"})",
       "needs a `vocabulary_size` of at least 1. Received: vocabulary_size null"},
      {R"({"out_of_range": "wrap_negatives", "vocabulary_size": 0})", "vocabulary_size 0"},
      {R"({"vocabulary_size": -1})", "is a whole number from 0 on. Received: -1"},
      {R"({"max_rows": 0})", "is a whole number from 1 on. Received: 0"},
      {R"({"max_rows": 10})",
       "`tables.movie_id.max_rows` bounds what a stream of updates brings, and the table follows "
       "none"},
      {R"({"ttl_s": 10})", "add the section \"updates\", or leave `ttl_s` out"},
      {R"({"when_full": "panic"})", "is one of evict_oldest, reject"},
      {R"({"when_full": "reject"})", "which needs a `max_rows`"},
      {R"({"default_row": "ones"})", "Received: \"ones\""},
      {R"({"default_row": []})",
       "is \"zeros\", a list of finite float32 numbers, {\"id\": n} or {"},
      {R"({"default_row": {"id": 1, "buckets": 2}})", "Received: an object of 2"},
      {R"({"default_row": {"id": 1, "buckets": 0, "by": "floormod"}})", "Received: an object of 3"},
      {R"({"default_row": {"id": 1, "buckets": 2, "by": "crc32"}})", "Received: an object of 3"},
      {R"({"default_row": [1, "2"]})", "Received: a list of 2"},
      {R"({"default_row": [1e39]})", "Received: a list of 1"},
      {R"({"default_row": {"id": 1.5}})", "Received: an object of 1"},
      {R"({"default_row": {"id": 1, "x": 2}})", "Received: an object of 2"},
      {R"({"default_row": 0})", "Received: 0"},
      {R"({"default_row": [1, 2], "embedding_dim": 3})",
       "`tables.movie_id.default_row` has 2 elements, the table's embedding_dim is 3"},
      {R"({"sample": null})", "`tables.movie_id` has no tier left"},
      {R"({"remote": {}})",
       "`tables.movie_id.remote` overrides a section that the deployment does not have"},
  };
  for (const auto& [fields, message] : cases) {
    EXPECT_THAT(TableRefusal(fields), AllOf(StartsWith(At("hps.json")), HasSubstr(message)));
  }
}

TEST_F(ConfigErrorsTest, NamesAreChecked) {
  for (const char* name : {"", "/a", "a/", "a//b", "a b", "ä", "a\\u0000"}) {
    const std::string quoted = std::string("\"") + name + "\"";
    EXPECT_THAT(Refusal(R"({"format_version": 1, "tables": {)" + quoted + ": {}}}").message(),
                HasSubstr("a table's name is made of [A-Za-z0-9_.-] with / inside"));
    EXPECT_THAT(Refusal(R"({"format_version": 1, "deployment": )" + quoted + "}").message(),
                HasSubstr("`deployment` is"));
  }
  EXPECT_THAT(Refusal(R"({"format_version": 1, "tables": []})").message(),
              HasSubstr("`tables` is an object. Received: a list of 0"));
}

TEST_F(ConfigErrorsTest, ADeploymentWithoutTiersIsRefused) {
  EXPECT_THAT(Refusal(R"({"format_version": 1, "tables": {"a": {}}})").message(),
              AllOf(HasSubstr("no tier is configured"),
                    HasSubstr("memory, redis, remote, rocksdb, sample")));
}

TEST_F(ConfigErrorsTest, TheNextGoodConfigStillLoads) {
  EXPECT_FALSE(Refusal("{").ok());
  EXPECT_TRUE(Refusal(R"({"format_version": 1, "sample": {}})").ok());
}

}  // namespace
}  // namespace tf_hps
