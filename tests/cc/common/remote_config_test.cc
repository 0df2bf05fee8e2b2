// An hps.json in a bucket.

#include "cc/common/config.h"
#include "cc/common/paths.h"
#include "cc/common/remote_files.h"
#include "tests/cc/common/config_testing.h"
#include "tests/cc/common/fake_bucket.h"

namespace tf_hps {
namespace {

using testing::HasSubstr;

constexpr char kRemote[] = R"({"format_version": 1, "sample": {"path": "../assets.extra/hps"},
                               "tables": {"a": {}}})";

using RemoteConfigTest = ConfigTest;

TEST_F(RemoteConfigTest, AFileInABucketNamesItsNeighboursByTheirUrls) {
  Write("m/1/assets/hps.json", kRemote);
  const FakeBucket bucket(folder_);
  const auto config = LoadConfig("fake://bucket/m/1/assets/hps.json");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->tables.at("a").sections.at("sample")["path"],
            "fake://bucket/m/1/assets.extra/hps");
  EXPECT_EQ(config->path, "fake://bucket/m/1/assets/hps.json");
}

TEST_F(RemoteConfigTest, WhatOverridesAFileInABucketMayBeHereOrThere) {
  Write("m/1/assets/hps.json", kRemote);
  Write("m/operator.json", R"({"sample": {"rows": 7, "path": "stores/b"}})");
  const FakeBucket bucket(folder_);
  SetVariable("TF_HPS_CONFIG", "fake://bucket/m/operator.json");
  auto config = LoadConfig("fake://bucket/m/1/assets/hps.json");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->tables.at("a").sections.at("sample")["rows"], 7);
  EXPECT_EQ(config->tables.at("a").sections.at("sample")["path"], "fake://bucket/m/stores/b");
  SetVariable("TF_HPS_SAMPLE_PATH", At("here"));
  config = LoadConfig("fake://bucket/m/1/assets/hps.json");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->tables.at("a").sections.at("sample")["path"], At("here"));
}

TEST_F(RemoteConfigTest, AFileInABucketThatIsNotThereIsNamed) {
  const FakeBucket bucket(folder_);
  const absl::Status status = LoadConfig("fake://user:pw@bucket/hps.json").status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("fake://***@bucket/hps.json: "));
  const absl::Status missing = LoadConfig("fake://bucket/hps.json").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(missing.message(), "fake://bucket/hps.json: no such object");
}

TEST_F(RemoteConfigTest, WithoutTensorflowThereAreNoBuckets) {
  const absl::Status status = LoadConfig("gs://bucket/hps.json").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("gs://bucket/hps.json: "));
}

TEST(PathsTest, UrlsAreJoinedWithoutDots) {
  EXPECT_EQ(FolderOf("ram://m/1/assets/hps.json"), "ram://m/1/assets");
  EXPECT_EQ(FolderOf("ram://hps.json"), "ram://");
  EXPECT_EQ(FolderOf("/m/hps.json"), "/m");
  EXPECT_EQ(AbsolutePath("../x/./y", "ram://m/1/assets"), "ram://m/1/x/y");
  EXPECT_EQ(AbsolutePath("x", "ram://"), "ram://x");
  EXPECT_EQ(AbsolutePath("../../../x", "gs://bucket/1"), "gs://bucket/x");
  EXPECT_EQ(AbsolutePath("../x", "file:///m/assets"), "file:///m/x");
  EXPECT_EQ(AbsolutePath("/x", "gs://bucket/1"), "/x");
  EXPECT_EQ(AbsolutePath("gs://other/x", "gs://bucket/1"), "gs://other/x");
}

TEST(RemoteFilesTest, ASchemeComesFirst) {
  for (const char* path : {"gs://b", "ram://", "s3+x.y-z://b", "G://x"}) {
    EXPECT_TRUE(IsRemotePath(path)) << path;
  }
  for (const char* path : {"", "/x", "x", "://x", "/a://b", "3s://b", "a b://c", "gs:/b"}) {
    EXPECT_FALSE(IsRemotePath(path)) << path;
  }
}

TEST_F(RemoteConfigTest, ARemoteFileIsReadWholeOrRefused) {
  const std::string text(3 << 20, 'x');
  Write("large", text);
  const FakeBucket bucket(folder_);
  EXPECT_EQ(*ReadRemoteFile("fake://bucket/large", text.size()), text);
  EXPECT_THAT(
      std::string(ReadRemoteFile("fake://bucket/large", text.size() - 1).status().message()),
      HasSubstr("has more than 3145727 bytes"));
}

}  // namespace
}  // namespace tf_hps
