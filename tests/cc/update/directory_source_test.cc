#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "cc/update/update_source.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cc/storage/temp_dir.h"

namespace tf_hps {
namespace {

using testing::HasSubstr;

class DirectorySourceTest : public testing::Test {
 protected:
  DirectorySourceTest() : source_(*OpenDirectorySource(folder_.path())) {}

  std::string Path(const std::string& name) const { return folder_.path() + "/" + name; }
  void Write(const std::string& name, const std::string& content) {
    std::ofstream(Path(name), std::ios::binary) << content;
  }
  // The frames of what comes after, "nothing", or the error.
  std::string After(const std::string& position) {
    const auto commit = source_->After(position);
    if (!commit.ok()) return commit.status().ToString();
    return commit->has_value() ? (*commit)->position + ": " + (*commit)->frames : "nothing";
  }

  const TempDir folder_;
  const std::unique_ptr<UpdateSource> source_;
};

TEST_F(DirectorySourceTest, SegmentsComeOneAfterTheOther) {
  EXPECT_EQ(After(""), "nothing");
  EXPECT_EQ(*source_->Newest(), "");
  Write("00000000000000000001.hpsu", "a");
  Write("00000000000000000002.hpsu", std::string("b\0c", 3));
  EXPECT_EQ(After(""), "00000000000000000001.hpsu: a");
  EXPECT_EQ(After("00000000000000000001.hpsu"), std::string("00000000000000000002.hpsu: b\0c", 30));
  EXPECT_EQ(After("00000000000000000002.hpsu"), "nothing");
  EXPECT_EQ(*source_->Newest(), "00000000000000000002.hpsu");
}

TEST_F(DirectorySourceTest, OtherFilesAreNoSegments) {
  Write(".1234-ab.unfinished", "x");
  Write("0000000000000000001.hpsu", "x");
  Write("0000000000000000000a.hpsu", "x");
  Write("00000000000000000001.hpsu.tmp", "x");
  Write("00000000000000000000.hpsu", "x");
  EXPECT_EQ(After(""), "nothing");
  EXPECT_EQ(*source_->Newest(), "");
}

TEST_F(DirectorySourceTest, SegmentsThatAreGoneAreLoud) {
  Write("00000000000000000007.hpsu", "g");
  EXPECT_THAT(After("00000000000000000004.hpsu"),
              AllOf(HasSubstr("DATA_LOSS"),
                    HasSubstr("segments 00000000000000000005.hpsu to 00000000000000000006.hpsu are "
                              "gone from " +
                              folder_.path()),
                    HasSubstr("stands at \"00000000000000000004.hpsu\"")));
  EXPECT_THAT(After(""), HasSubstr("segments 00000000000000000001.hpsu to"));
  EXPECT_EQ(After("00000000000000000006.hpsu"), "00000000000000000007.hpsu: g");
}

TEST_F(DirectorySourceTest, APositionOfAnotherKindIsRefused) {
  EXPECT_THAT(After("1526919030474-55"),
              AllOf(HasSubstr("INVALID_ARGUMENT"), HasSubstr("\"1526919030474-55\"")));
}

TEST_F(DirectorySourceTest, LargeSegmentsAreReadWhole) {
  const std::string content((3 << 20) + 17, 'z');
  Write("00000000000000000001.hpsu", content);
  EXPECT_EQ(After(""), "00000000000000000001.hpsu: " + content);
}

TEST_F(DirectorySourceTest, AFolderThatDoesNotExistIsNotFound) {
  const auto source = OpenDirectorySource(Path("nowhere"));
  ASSERT_FALSE(source.ok());
  EXPECT_TRUE(absl::IsNotFound(source.status()));
  EXPECT_THAT(source.status().message(), HasSubstr(Path("nowhere")));
}

TEST_F(DirectorySourceTest, ASegmentThatCannotBeReadIsAnError) {
  ASSERT_EQ(mkdir(Path("00000000000000000001.hpsu").c_str(), 0755), 0);
  EXPECT_THAT(After(""), AllOf(HasSubstr("UNAVAILABLE"), HasSubstr("00000000000000000001.hpsu")));
}

}  // namespace
}  // namespace tf_hps
