// What every source of updates does, written to by the publisher that users run.
#include <filesystem>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "cc/common/update_position.h"
#include "cc/update/redis_stream.h"
#include "cc/update/update_frame.h"
#include "cc/update/update_source.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cc/storage/redis_servers.h"
#include "tests/cc/storage/temp_dir.h"
#include "tests/cc/update/python_publisher.h"

namespace tf_hps {
namespace {

using testing::HasSubstr;

using nlohmann::json;

// One row for each kind of source.
struct SourceKind {
  std::string name;
  std::string (*url)(const std::string& dir);
  // Beside the URL: what the source gets, and the publisher.
  json options, published;
  absl::StatusOr<std::unique_ptr<UpdateSource>> (*open)(const json& options);
  // Takes the oldest commit away, or all of them.
  void (*drop)(const std::string& dir, bool all);
};

absl::StatusOr<std::unique_ptr<UpdateSource>> OpenFolder(const json& options) {
  return OpenDirectorySource(options["url"].get<std::string>());
}

std::vector<SourceKind> SourceKinds() {
  const json in_parts = {{"part_bytes", 100000}};
  return {
      {"directory",
       [](const std::string& dir) { return dir; },
       {},
       json::object(),
       OpenFolder,
       [](const std::string& dir, bool all) {
         for (const auto& file : std::filesystem::directory_iterator(dir)) {
           const std::string name = file.path().filename();
           if (all || name == "00000000000000000001.hpsu") std::filesystem::remove(file);
         }
       }},
      {"redis_stream",
       [](const std::string& dir) { return SharedRedis(dir).Options()["url"].get<std::string>(); },
       {},
       in_parts,
       OpenRedisStreamSource,
       [](const std::string& dir, bool all) {
         RedisServer& redis = SharedRedis(dir);
         if (all) redis.Do({"FLUSHALL"});
         redis.Do({"XTRIM", "tf_hps/updates/{updates}", "MINID", "2-0"});
       }},
      {"redis_stream_in_a_cluster",
       [](const std::string& dir) {
         return SharedRedisCluster(dir).Options()["url"].get<std::string>();
       },
       {{"cluster", true}},
       {{"part_bytes", 100000}, {"cluster", true}},
       OpenRedisStreamSource,
       [](const std::string& dir, bool all) {
         for (int i = 0; i < 3; ++i) {
           RedisServer& node = SharedRedisCluster(dir).node(i);
           if (all) node.Do({"FLUSHALL"});
           node.Do({"XTRIM", "tf_hps/updates/{updates}", "MINID", "2-0"});
         }
       }},
  };
}

void PrintTo(const SourceKind& kind, std::ostream* out) { *out << kind.name; }

class UpdateSourceTest : public testing::TestWithParam<SourceKind> {
 protected:
  UpdateSourceTest() : url_(GetParam().url(dir_.path())), publisher_(url_, GetParam().published) {}

  std::unique_ptr<UpdateSource> Open() {
    json options = GetParam().options;
    options["url"] = url_;
    auto source = GetParam().open(options);
    EXPECT_TRUE(source.ok()) << source.status();
    return source.ok() ? *std::move(source) : nullptr;
  }
  // The position of what comes after, "nothing", or the error. The keys go to keys_.
  std::string After(UpdateSource& source, const std::string& position) {
    keys_.clear();
    const auto commit = source.After(position);
    if (!commit.ok()) return commit.status().ToString();
    if (!commit->has_value()) return "nothing";
    const std::string& frames = (*commit)->frames;
    absl::Span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(frames.data()), frames.size());
    while (!bytes.empty()) {
      const auto frame = ReadUpdateFrame(&bytes, (*commit)->position);
      if (!frame.ok()) return frame.status().ToString();
      for (size_t i = 0; i < frame->keys.size(); ++i) {
        keys_.push_back(frame->keys[i]);
        EXPECT_EQ(frame->rows[i * frame->embedding_dim], static_cast<float>(frame->keys[i]));
      }
    }
    return (*commit)->position;
  }

  const TempDir dir_;
  const std::string url_;
  PythonPublisher publisher_;
  std::vector<Key> keys_;
};

TEST_P(UpdateSourceTest, CommitsComeOneAfterTheOther) {
  const std::string first = publisher_.Commit(10);
  const auto source = Open();
  EXPECT_EQ(After(*source, ""), first);
  EXPECT_THAT(keys_, testing::ElementsAre(10));
  EXPECT_EQ(After(*source, first), "nothing");
  std::vector<std::string> positions = {first};
  for (int i = 11; i < 31; ++i) positions.push_back(publisher_.Commit(i));
  EXPECT_EQ(*source->Newest(), positions.back());
  for (int i = 1; i < 21; ++i) {
    EXPECT_EQ(After(*source, positions[i - 1]), positions[i]);
    EXPECT_THAT(keys_, testing::ElementsAre(10 + i));
    EXPECT_LT(positions[i - 1], positions[i]) << "positions compare as text";
    EXPECT_EQ(ParseUpdatePosition(positions[i])->number, i + 1);
  }
  EXPECT_EQ(After(*source, positions[4]), positions[5]) << "going back is possible";
}

TEST_P(UpdateSourceTest, EachReaderHasItsOwnPlace) {
  const std::string a = publisher_.Commit(1), b = publisher_.Commit(2), c = publisher_.Commit(3);
  const auto slow = Open(), fast = Open();
  EXPECT_EQ(After(*slow, ""), a);
  EXPECT_EQ(After(*fast, ""), a);
  EXPECT_EQ(After(*fast, a), b);
  EXPECT_EQ(After(*fast, b), c);
  EXPECT_EQ(After(*slow, a), b);
}

TEST_P(UpdateSourceTest, BeforeTheFirstCommitThereIsNothing) {
  const auto source = Open();
  EXPECT_EQ(After(*source, ""), "nothing");
  EXPECT_EQ(*source->Newest(), "");
}

TEST_P(UpdateSourceTest, ALargeCommitIsWhole) {
  const std::string small = publisher_.Commit(1);
  const std::string large = publisher_.Commit(0, 40000, 16);
  const std::string last = publisher_.Commit(2);
  const auto source = Open();
  EXPECT_EQ(After(*source, small), large);
  ASSERT_EQ(keys_.size(), 40000u);
  EXPECT_EQ(keys_[39999], 39999);
  EXPECT_EQ(After(*source, large), last);
}

TEST_P(UpdateSourceTest, CommitsThatAreGoneAreLoud) {
  const std::string a = publisher_.Commit(1), b = publisher_.Commit(2);
  const auto source = Open();
  GetParam().drop(dir_.path(), /*all=*/false);
  EXPECT_THAT(After(*source, ""), HasSubstr("DATA_LOSS"));
  EXPECT_EQ(After(*source, a), b);
}

TEST_P(UpdateSourceTest, APositionOfNoStreamIsRefused) {
  const auto source = Open();
  for (const char* position : {"1526919030474-55", "x", "9f2c:12", ":00000000000000000001"}) {
    EXPECT_THAT(After(*source, position), HasSubstr("INVALID_ARGUMENT")) << position;
  }
}

INSTANTIATE_TEST_SUITE_P(Sources, UpdateSourceTest, testing::ValuesIn(SourceKinds()),
                         [](const auto& info) { return info.param.name; });

// What only a stream in Redis has to get right.
class RedisStreamTest : public testing::Test {
 protected:
  json Options(const json& more = json::object()) const {
    json options = {{"url", "redis://" + redis_.address()}};
    options.update(more);
    return options;
  }
  std::unique_ptr<UpdateSource> Open(const json& more = json::object()) {
    return *OpenRedisStreamSource(Options(more));
  }
  std::unique_ptr<PythonPublisher> Publisher(const json& options = json::object()) {
    return std::make_unique<PythonPublisher>("redis://" + redis_.address(), options);
  }
  static std::string After(UpdateSource& source, const std::string& position) {
    const auto commit = source.After(position);
    if (!commit.ok()) return commit.status().ToString();
    return commit->has_value() ? (*commit)->position : "nothing";
  }
  int Entries() { return std::stoi(redis_.Do({"XLEN", "tf_hps/updates/{updates}"})); }

  RedisServer redis_;
};

TEST_F(RedisStreamTest, WhatALiveServerHasNotReadStays) {
  const auto publisher = Publisher({{"keep_s", 0}});
  const auto source = Open();
  std::string at = publisher->Commit(1);
  EXPECT_EQ(After(*source, ""), at);
  EXPECT_EQ(After(*source, at), "nothing");
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  EXPECT_EQ(After(*source, at), "nothing") << "and tells that it has the first";
  std::string last;
  for (int i = 0; i < 5; ++i) last = publisher->Commit(2);
  EXPECT_EQ(Entries(), 5) << "the first was read";
  for (int i = 0; i < 5; ++i) at = (*source->After(at))->position;
  EXPECT_EQ(at, last);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  EXPECT_EQ(After(*source, at), "nothing");
  publisher->Commit(3);
  EXPECT_EQ(Entries(), 1);
  EXPECT_EQ(publisher->dropped(), 0);
}

TEST_F(RedisStreamTest, AboveTheBoundTheOldestGoAndBothSidesSaySo) {
  const auto publisher = Publisher({{"max_bytes", 10000}, {"part_bytes", 3000}});
  const std::string first = publisher->Commit(1);
  const auto source = Open();
  EXPECT_EQ(After(*source, ""), first);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  EXPECT_EQ(After(*source, first), "nothing");
  for (int i = 0; i < 4; ++i) publisher->Commit(0, 500, 1);  // in parts
  EXPECT_EQ(publisher->dropped(), 3);
  EXPECT_THAT(After(*source, first),
              AllOf(HasSubstr("DATA_LOSS"), HasSubstr("begins with commit 5"), HasSubstr(first)));
  EXPECT_EQ(redis_.Do({"KEYS", "*/parts/*"}).find(' '), std::string::npos)
      << "parts of dropped commits are gone too";
}

TEST_F(RedisStreamTest, AStreamThatRedisLostIsLoud) {
  auto publisher = Publisher();
  const std::string first = publisher->Commit(1);
  const auto source = Open();
  EXPECT_EQ(After(*source, ""), first);
  redis_.Do({"FLUSHALL"});
  EXPECT_THAT(After(*source, first), AllOf(HasSubstr("DATA_LOSS"), HasSubstr("is gone")));
  EXPECT_THAT(publisher->Commit(2), HasSubstr("DataLossError"));
  publisher = Publisher();
  const std::string anew = publisher->Commit(3);
  EXPECT_THAT(After(*source, first), AllOf(HasSubstr("DATA_LOSS"), HasSubstr("begun anew")));
  publisher->Commit(4);
  EXPECT_THAT(After(*source, first), HasSubstr("begun anew")) << "also where a number fits";
  EXPECT_EQ(After(*source, ""), anew);
}

TEST_F(RedisStreamTest, AnOldSnapshotIsLoud) {
  const auto publisher = Publisher();
  const std::string first = publisher->Commit(1), second = publisher->Commit(2);
  const auto source = Open();
  redis_.Do({"XDEL", "tf_hps/updates/{updates}", "2-0"});
  redis_.Do({"HSET", "tf_hps/updates/{updates}/head", "last", "1"});
  EXPECT_THAT(After(*source, second), AllOf(HasSubstr("DATA_LOSS"), HasSubstr("ends at commit 1")));
}

TEST_F(RedisStreamTest, AServerThatHangsIsWaitedFor) {
  const auto publisher = Publisher();
  const std::string first = publisher->Commit(1), second = publisher->Commit(2);
  const auto source = Open();
  EXPECT_EQ(After(*source, ""), first);
  redis_.Pause();
  const auto other = Open({{"timeout_ms", 500}});
  const absl::Status status = other->After("").status();
  EXPECT_TRUE(absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)) << status;
  redis_.Resume();
  std::string at;
  for (int tries = 0; tries < 500 && at != first; ++tries) {
    at = After(*other, "");
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(at, first);
  EXPECT_EQ(After(*source, first), second);
}

TEST_F(RedisStreamTest, APolicyThatMayEvictTheStreamIsRefusedAtStart) {
  redis_.Do({"CONFIG", "SET", "maxmemory-policy", "allkeys-lfu"});
  const absl::Status refused = OpenRedisStreamSource(Options()).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()),
              AllOf(HasSubstr("allkeys-lfu"), HasSubstr("Wanted: a volatile-* policy")));
  redis_.Do({"CONFIG", "SET", "maxmemory-policy", "volatile-lfu"});
  EXPECT_TRUE(OpenRedisStreamSource(Options()).ok());
}

TEST_F(RedisStreamTest, ACommitIsThereWithinMilliseconds) {
  const auto publisher = Publisher();
  const std::string first = publisher->Commit(1);
  const auto source = Open();
  std::string found;
  std::thread waits([&] {
    for (int tries = 0; tries < 200 && found.empty(); ++tries) {
      const auto commit = source->After(first);
      if (commit.ok() && commit->has_value()) found = (*commit)->position;
    }
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(120));
  const std::string second = publisher->Commit(2);
  waits.join();
  EXPECT_EQ(found, second);
}

}  // namespace
}  // namespace tf_hps
