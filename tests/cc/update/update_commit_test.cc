#include "cc/update/update_commit.h"

#include <string>
#include <vector>

#include "cc/update/stream_record.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cc/update/segment_writer.h"

namespace tf_hps {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

SegmentWriter Writer(const std::string& publisher = "ab") {
  return SegmentWriter("", "movies", publisher);
}

std::string RowsFrame(SegmentWriter* writer, float value) {
  writer->Rows("t", "g", 2, {1}, value);
  return writer->Finish();
}

absl::StatusOr<UpdateCommit> Read(const std::string& frames) {
  return ReadUpdateCommit({"p7", frames});
}

TEST(ReadUpdateCommitTest, GivesTheFramesInOrder) {
  SegmentWriter writer = Writer();
  writer.Rows("t", "g", 2, {1, 2}, 3);
  writer.Erase("t", "g", {4});
  const auto commit = Read(writer.Finish());
  ASSERT_TRUE(commit.ok()) << commit.status();
  EXPECT_EQ(commit->position, "p7");
  EXPECT_EQ(commit->publisher, "ab");
  EXPECT_EQ(commit->first_sequence, 0);
  EXPECT_EQ(commit->next_sequence, 3);
  ASSERT_EQ(commit->changes.size(), 2u);
  EXPECT_THAT(commit->changes[1].keys, ElementsAre(4));
  EXPECT_EQ(commit->rows(), 3);
}

TEST(ReadUpdateCommitTest, SaysWhatIsWrong) {
  SegmentWriter writer = Writer(), other = Writer("cd");
  const std::string whole = RowsFrame(&writer, 1);
  writer.Rows("t", "g", 2, {1}, 1);
  writer.SkipSequences(2);
  const std::string gap = writer.Finish();
  const struct {
    std::string frames, message;
  } cases[] = {
      {"", "ends after 0 frames"},
      {whole.substr(0, whole.size() - 1), "bytes are left"},
      {whole + "x", "1 bytes come after its end"},
      {gap, "has sequence 5 after 2"},
      // The end of another publisher's commit.
      {whole.substr(0, whole.rfind("HPSU")) + RowsFrame(&other, 1), "is of publisher cd"},
  };
  for (const auto& [frames, message] : cases) {
    const auto commit = Read(frames);
    EXPECT_TRUE(absl::IsDataLoss(commit.status())) << commit.status();
    EXPECT_THAT(commit.status().message(), HasSubstr(message));
    EXPECT_THAT(commit.status().message(), HasSubstr("commit p7"));
  }
}

UpdateCommit CommitOf(const std::string& publisher, int64_t first, int64_t next,
                      const std::string& position) {
  UpdateCommit commit;
  commit.publisher = publisher;
  commit.first_sequence = first;
  commit.next_sequence = next;
  commit.position = position;
  return commit;
}

TEST(StreamRecordTest, KnowsWhatCameBefore) {
  using Arrival = StreamRecord::Arrival;
  StreamRecord record;
  EXPECT_EQ(record.Advance(CommitOf("a", 0, 3, "1")), Arrival::kNew);
  EXPECT_EQ(record.Advance(CommitOf("b", 0, 5, "2")), Arrival::kNew);
  EXPECT_EQ(record.Advance(CommitOf("a", 0, 3, "3")), Arrival::kRepeated);
  EXPECT_EQ(record.position, "3");
  EXPECT_EQ(record.Advance(CommitOf("a", 3, 5, "4")), Arrival::kNew);
  EXPECT_EQ(record.Advance(CommitOf("a", 3, 7, "5")), Arrival::kNew) << "repeated with more";
  EXPECT_EQ(record.Advance(CommitOf("a", 9, 10, "6")), Arrival::kAfterGap);
  EXPECT_EQ(record.Advance(CommitOf("c", 4, 6, "7")), Arrival::kAfterGap);
  record.start = "0";  // not from the beginning: strangers are met in the middle
  EXPECT_EQ(record.Advance(CommitOf("d", 4, 6, "8")), Arrival::kNew);
}

TEST(StreamRecordTest, IsReadAsItWasWritten) {
  StreamRecord record;
  record.start = "s";
  record.Advance(CommitOf("a", 0, 3, "1"));
  record.Advance(CommitOf("b", 0, 4, "2"));
  record.Advance(CommitOf("a", 3, 8, "3"));
  record.time_us = 77;
  const auto again = StreamRecord::Parse(record.ToJson());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->ToJson(), record.ToJson());
  EXPECT_EQ(again->publishers.back().id, "a") << "the one heard last";
  for (const char* damaged : {"", "[]", "{}", R"({"position":"1","start":"","time_us":0})",
                              R"({"position":"1","start":"","time_us":0,"publishers":[["a"]]})"}) {
    EXPECT_TRUE(absl::IsDataLoss(StreamRecord::Parse(damaged).status())) << damaged;
  }
}

TEST(StreamRecordTest, ForgetsPublishersThatAreLongGone) {
  StreamRecord record;
  for (size_t i = 0; i <= StreamRecord::kMaxPublishers; ++i) {
    record.Advance(CommitOf("p" + std::to_string(i), 0, 1, "1"));
    record.Advance(CommitOf("p0", 1 + i, 2 + i, "1"));
  }
  ASSERT_EQ(record.publishers.size(), StreamRecord::kMaxPublishers);
  EXPECT_EQ(record.publishers.back().id, "p0");
  EXPECT_EQ(record.publishers.front().id, "p2");
}

}  // namespace
}  // namespace tf_hps
