#ifndef TF_HPS_TESTS_CC_UPDATE_SEGMENT_WRITER_H_
#define TF_HPS_TESTS_CC_UPDATE_SEGMENT_WRITER_H_

#include <zlib.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cc/common/key.h"

namespace tf_hps {

// What tf_hps.Publisher writes into a folder, frame by frame.
class SegmentWriter {
 public:
  SegmentWriter(std::string folder, std::string deployment, std::string publisher = "0123abcd")
      : folder_(std::move(folder)), deployment_(std::move(deployment)), publisher_(publisher) {}

  // Rows of `dim` elements, all of them `value`.
  void Rows(const std::string& table, const std::string& generation, int64_t dim,
            const std::vector<Key>& keys, float value) {
    RowsOf(table, generation, dim, keys, std::vector<float>(keys.size() * dim, value));
  }
  void RowsOf(const std::string& table, const std::string& generation, int64_t dim,
              const std::vector<Key>& keys, const std::vector<float>& rows) {
    std::string body;
    Append(keys.data(), keys.size(), &body);
    Append(rows.data(), rows.size(), &body);
    Add(absl::StrCat(R"("kind":"rows","table":")", table, R"(","generation":")", generation,
                     R"(","rows":)", keys.size(), R"(,"embedding_dim":)", dim,
                     R"(,"row_format":"float32")"),
        body);
  }
  void Erase(const std::string& table, const std::string& generation,
             const std::vector<Key>& keys) {
    std::string body;
    Append(keys.data(), keys.size(), &body);
    Add(absl::StrCat(R"("kind":"erase","table":")", table, R"(","generation":")", generation,
                     R"(","rows":)", keys.size()),
        body);
  }

  // The commit's bytes; nothing is written.
  std::string Finish() {
    Add(absl::StrCat(R"("kind":"commit","frames":)", frames_, R"(,"commit":)", commits_++), "");
    frames_ = 0;
    return std::exchange(pending_, "");
  }
  // Writes the next segment; its name.
  std::string Commit() { return Write(Finish()); }
  std::string Write(const std::string& bytes) {
    const std::string name = absl::StrFormat("%020d.hpsu", ++segment_);
    const std::string path = absl::StrCat(folder_, "/", name);
    std::ofstream(path + ".unfinished", std::ios::binary) << bytes;
    std::filesystem::rename(path + ".unfinished", path);
    return name;
  }
  // Of the frames from here on; 0: that of the clock.
  void SetTime(int64_t time_us) { time_us_ = time_us; }
  void SkipSequences(int64_t n) { sequence_ += n; }
  void SetNextSegment(int segment) { segment_ = segment - 1; }

  static std::string Name(int segment) { return absl::StrFormat("%020d.hpsu", segment); }

 private:
  template <class T>
  static void Append(const T* values, size_t n, std::string* to) {
    to->append(reinterpret_cast<const char*>(values), n * sizeof(T));
  }
  void Add(const std::string& about, const std::string& body) {
    const int64_t now = std::chrono::duration_cast<std::chrono::microseconds>(
                            std::chrono::system_clock::now().time_since_epoch())
                            .count();
    const std::string header = absl::StrCat(
        "{", about, R"(,"deployment":")", deployment_, R"(","publisher":")", publisher_,
        R"(","sequence":)", sequence_++, R"(,"time_us":)", time_us_ > 0 ? time_us_ : now, "}");
    std::string frame = "HPSU";
    const uint32_t version = 1, header_bytes = header.size();
    const uint64_t body_bytes = body.size();
    Append(&version, 1, &frame);
    Append(&header_bytes, 1, &frame);
    Append(&body_bytes, 1, &frame);
    frame += header + body;
    const uint32_t crc = crc32(0, reinterpret_cast<const Bytef*>(frame.data()), frame.size());
    Append(&crc, 1, &frame);
    pending_ += frame;
    ++frames_;
  }

  const std::string folder_, deployment_, publisher_;
  std::string pending_;
  int64_t sequence_ = 0;
  int64_t frames_ = 0;
  int64_t commits_ = 0;
  int64_t time_us_ = 0;
  int segment_ = 0;
};

}  // namespace tf_hps

#endif  // TF_HPS_TESTS_CC_UPDATE_SEGMENT_WRITER_H_
