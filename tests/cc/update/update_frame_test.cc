#include "cc/update/update_frame.h"

#include <zlib.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tf_hps {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kWho[] = R"("deployment":"movies","publisher":"9f2c","sequence":7,"time_us":5)";

template <class T>
void Append(T value, std::string* to) {
  to->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

std::string Frame(const std::string& header, const std::string& body = "", uint32_t version = 1) {
  std::string frame = "HPSU";
  Append(version, &frame);
  Append(static_cast<uint32_t>(header.size()), &frame);
  Append(static_cast<uint64_t>(body.size()), &frame);
  frame += header + body;
  const uLong crc = crc32(0, reinterpret_cast<const Bytef*>(frame.data()), frame.size());
  Append(static_cast<uint32_t>(crc), &frame);
  return frame;
}

std::string Rows(const std::vector<Key>& keys, const std::vector<float>& rows,
                 const std::string& more = "") {
  std::string body;
  for (Key key : keys) Append(key, &body);
  for (float element : rows) Append(element, &body);
  return Frame(absl::StrCat(R"({"kind":"rows","table":"t","generation":"g1","rows":)", keys.size(),
                            R"(,"embedding_dim":)", rows.size() / keys.size(),
                            R"(,"row_format":"float32",)", kWho, more, "}"),
               body);
}

std::string Commit() {
  return Frame(absl::StrCat(R"({"kind":"commit","frames":2,"commit":3,)", kWho, "}"));
}

absl::Span<const uint8_t> Bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

std::string ErrorOf(const std::string& text) {
  absl::Span<const uint8_t> bytes = Bytes(text);
  const auto frame = ReadUpdateFrame(&bytes, "segment 5");
  EXPECT_EQ(bytes.size(), text.size());
  return frame.ok() ? "" : std::string(frame.status().message());
}

TEST(UpdateFrameTest, FramesAreReadOneAfterTheOther) {
  const std::string erase =
      Frame(absl::StrCat(R"({"kind":"erase","table":"u","generation":"g2","rows":1,)", kWho, "}"),
            std::string(8, '\xff'));
  const std::string text =
      Rows({-3, INT64_MAX}, {1, 2, 3, 4}, R"(,"of a later version":[1])") + erase + Commit();
  absl::Span<const uint8_t> bytes = Bytes(text);

  const auto rows = ReadUpdateFrame(&bytes, "a stream");
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ(rows->kind, UpdateFrame::Kind::kRows);
  EXPECT_EQ(rows->deployment, "movies");
  EXPECT_EQ(rows->publisher, "9f2c");
  EXPECT_EQ(rows->sequence, 7);
  EXPECT_EQ(rows->time_us, 5);
  EXPECT_EQ(rows->table, "t");
  EXPECT_EQ(rows->generation, "g1");
  EXPECT_EQ(rows->embedding_dim, 2);
  EXPECT_THAT(rows->keys, ElementsAre(-3, INT64_MAX));
  EXPECT_THAT(rows->rows, ElementsAre(1, 2, 3, 4));

  const auto erased = ReadUpdateFrame(&bytes, "a stream");
  ASSERT_TRUE(erased.ok()) << erased.status();
  EXPECT_EQ(erased->kind, UpdateFrame::Kind::kErase);
  EXPECT_THAT(erased->keys, ElementsAre(-1));

  const auto commit = ReadUpdateFrame(&bytes, "a stream");
  ASSERT_TRUE(commit.ok()) << commit.status();
  EXPECT_EQ(commit->kind, UpdateFrame::Kind::kCommit);
  EXPECT_EQ(commit->frames, 2);
  EXPECT_EQ(commit->commits, 3);
  EXPECT_TRUE(bytes.empty());
}

TEST(UpdateFrameTest, EveryFlippedBitIsSeen) {
  const std::string text = Rows({1, 2}, {1, 2});
  for (size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string damaged = text;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
    EXPECT_NE(ErrorOf(damaged), "") << "bit " << bit;
  }
}

TEST(UpdateFrameTest, EveryTruncationIsSeen) {
  const std::string text = Rows({1, 2}, {1, 2});
  for (size_t n = 0; n < text.size(); ++n) {
    EXPECT_THAT(ErrorOf(text.substr(0, n)), HasSubstr("segment 5")) << n;
  }
}

TEST(UpdateFrameTest, WhatIsNoFrameIsRefusedByName) {
  const auto header = [](const std::string& fields, const std::string& body = "") {
    return Frame(absl::StrCat("{", fields, kWho, "}"), body);
  };
  EXPECT_THAT(ErrorOf("HPSV" + Commit().substr(4)), HasSubstr("begins with \"HPSV\""));
  EXPECT_THAT(ErrorOf(Frame("{}", "", 2)), HasSubstr("format version 2; this library reads 1"));
  EXPECT_THAT(ErrorOf(Frame("{")), HasSubstr("no JSON object"));
  EXPECT_THAT(ErrorOf(Frame("[]")), HasSubstr("no JSON object"));
  EXPECT_THAT(ErrorOf(Frame("{}")), HasSubstr("`kind` is text. Received: nothing"));
  EXPECT_THAT(ErrorOf(header(R"("kind":"row",)")),
              HasSubstr("`kind` is rows, erase or commit. Received: \"row\""));
  EXPECT_THAT(ErrorOf(header(R"("kind":"commit","frames":-1,"commit":0,)")),
              HasSubstr("`frames` is a number, 0 or more. Received: -1"));
  EXPECT_THAT(ErrorOf(header(R"("kind":"commit","frames":18446744073709551615,"commit":0,)")),
              HasSubstr("Received: 18446744073709551615"));
  EXPECT_THAT(ErrorOf(header(R"("kind":"erase","table":"t","generation":"g","rows":2,)",
                             std::string(8, '\0'))),
              HasSubstr("2 keys with rows of 0 floats do not have 8 bytes"));
  const std::string rows =
      R"("kind":"rows","table":"t","generation":"g","row_format":"float32","rows":)";
  EXPECT_THAT(ErrorOf(header(rows + R"(1,"embedding_dim":0,)", std::string(8, '\0'))),
              HasSubstr("`embedding_dim` is 1 or more. Received: 0"));
  // 2^62 * 4 bytes a row would be none in 64 bits.
  EXPECT_THAT(
      ErrorOf(header(rows + R"(1,"embedding_dim":4611686018427387904,)", std::string(8, '\0'))),
      HasSubstr("do not have 8 bytes"));
  EXPECT_THAT(ErrorOf(header(rows + R"(2305843009213693952,"embedding_dim":1,)")),
              HasSubstr("do not have 0 bytes"));
  std::string long_body = Commit();
  long_body[19] = '\x10';
  EXPECT_THAT(ErrorOf(long_body), HasSubstr("are more than a frame has"));
}

TEST(UpdateFrameTest, RandomBytesBehindAPrefixNeverCrash) {
  std::mt19937 random(1);
  const std::string text = Rows({1, 2}, {1, 2});
  for (int round = 0; round < 20'000; ++round) {
    std::string body(random() % 40, '\0');
    for (char& c : body) c = static_cast<char>(random());
    std::string header = text.substr(20, 100);
    for (int i = 0; i < 3; ++i) header[random() % header.size()] = static_cast<char>(random());
    ErrorOf(Frame(header, body));  // the checksum is right, the rest is not
  }
}

}  // namespace
}  // namespace tf_hps
