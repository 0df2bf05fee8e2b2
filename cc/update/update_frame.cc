#include "cc/update/update_frame.h"

#include <zlib.h>

#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"

namespace tf_hps {
namespace {

constexpr char kMagic[] = {'H', 'P', 'S', 'U'};
constexpr uint32_t kVersion = 1;
constexpr size_t kPrefixBytes = 20;
constexpr size_t kCrcBytes = 4;
constexpr uint32_t kMaxHeader = 1 << 20;
constexpr uint64_t kMaxBody = uint64_t{1} << 32;

template <class T>
T Load(const uint8_t* from) {
  static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "frames are little-endian");
  T value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

uint32_t Crc(absl::Span<const uint8_t> bytes) {
  return static_cast<uint32_t>(crc32_z(0, bytes.data(), bytes.size()));
}

// Fields of a header that are asked for; the first one that is missing or of another type is kept.
class Header {
 public:
  explicit Header(const nlohmann::json& json) : json_(json) {}

  std::string Text(const char* name) {
    const auto it = json_.find(name);
    if (it != json_.end() && it->is_string()) return it->get<std::string>();
    Miss(name, "text");
    return "";
  }
  int64_t Count(const char* name) {
    const auto it = json_.find(name);
    if (it != json_.end() && it->is_number_integer() &&
        (it->is_number_unsigned() ? it->get<uint64_t>() <= INT64_MAX : it->get<int64_t>() >= 0)) {
      return it->get<int64_t>();
    }
    Miss(name, "a number, 0 or more");
    return 0;
  }

  const std::string& missed() const { return missed_; }
  void Miss(const char* name, absl::string_view wanted) {
    if (!missed_.empty()) return;
    const auto it = json_.find(name);
    missed_ =
        absl::StrCat("`", name, "` is ", wanted,
                     ". Received: ", it == json_.end() ? "nothing" : it->dump().substr(0, 100));
  }

 private:
  const nlohmann::json& json_;
  std::string missed_;
};

// The header's and the body's meaning; what is wrong with them, or nothing.
std::string Interpret(const nlohmann::json& json, absl::Span<const uint8_t> body,
                      UpdateFrame* frame) {
  if (!json.is_object()) return "the header is no JSON object";
  Header header(json);
  const std::string kind = header.Text("kind");
  frame->deployment = header.Text("deployment");
  frame->publisher = header.Text("publisher");
  frame->sequence = header.Count("sequence");
  frame->time_us = header.Count("time_us");
  int64_t n = 0;
  if (kind == "commit") {
    frame->kind = UpdateFrame::Kind::kCommit;
    frame->frames = header.Count("frames");
    frame->commits = header.Count("commit");
  } else if (kind == "rows" || kind == "erase") {
    frame->kind = kind == "rows" ? UpdateFrame::Kind::kRows : UpdateFrame::Kind::kErase;
    frame->table = header.Text("table");
    frame->generation = header.Text("generation");
    n = header.Count("rows");
  } else {
    header.Miss("kind", "rows, erase or commit");
  }
  if (frame->kind == UpdateFrame::Kind::kRows) {
    frame->embedding_dim = header.Count("embedding_dim");
    if (header.Text("row_format") != "float32") header.Miss("row_format", "float32");
    if (frame->embedding_dim < 1) header.Miss("embedding_dim", "1 or more");
  }
  if (!header.missed().empty()) return header.missed();

  // Compared without a product that could overflow: both are below 2^32 when they fit the body.
  const uint64_t dim = static_cast<uint64_t>(frame->embedding_dim);
  const uint64_t keys = static_cast<uint64_t>(n);
  if (keys > kMaxBody || dim > kMaxBody || (keys > 0 && dim > kMaxBody / keys) ||
      keys * 8 + keys * dim * 4 != body.size()) {
    return absl::StrCat(n, " keys with rows of ", dim, " floats do not have ", body.size(),
                        " bytes");
  }
  frame->keys.resize(keys);
  frame->rows.resize(keys * dim);
  if (keys > 0) std::memcpy(frame->keys.data(), body.data(), keys * 8);
  if (!frame->rows.empty()) {
    std::memcpy(frame->rows.data(), body.data() + keys * 8, frame->rows.size() * 4);
  }
  return "";
}

}  // namespace

absl::StatusOr<UpdateFrame> ReadUpdateFrame(absl::Span<const uint8_t>* bytes,
                                            absl::string_view where) {
  const auto damaged = [&](auto... why) {
    return absl::DataLossError(absl::StrCat("update frame in ", where, ": ", why...));
  };
  const uint8_t* const data = bytes->data();
  if (bytes->size() < kPrefixBytes) {
    return damaged(bytes->size(), " bytes are left, a frame begins with ", kPrefixBytes);
  }
  if (std::memcmp(data, kMagic, sizeof(kMagic)) != 0) {
    return damaged("it begins with \"",
                   absl::CHexEscape({reinterpret_cast<const char*>(data), sizeof(kMagic)}),
                   "\" instead of \"HPSU\"");
  }
  if (const uint32_t version = Load<uint32_t>(data + 4); version != kVersion) {
    return absl::UnimplementedError(absl::StrCat("update frame in ", where, ": format version ",
                                                 version, "; this library reads ", kVersion));
  }
  const uint32_t header_bytes = Load<uint32_t>(data + 8);
  const uint64_t body_bytes = Load<uint64_t>(data + 12);
  if (header_bytes > kMaxHeader || body_bytes > kMaxBody) {
    return damaged("a header of ", header_bytes, " bytes and a body of ", body_bytes,
                   " are more than a frame has");
  }
  const size_t frame_bytes = kPrefixBytes + header_bytes + body_bytes;
  if (bytes->size() < frame_bytes + kCrcBytes) {
    return damaged("it has ", frame_bytes + kCrcBytes, " bytes, ", bytes->size(), " are left");
  }
  const uint32_t wanted = Load<uint32_t>(data + frame_bytes);
  const uint32_t found = Crc(bytes->first(frame_bytes));
  if (found != wanted) {
    return damaged(absl::StrFormat("its checksum is %08x, it says %08x", found, wanted));
  }
  const uint8_t* const header = data + kPrefixBytes;
  const nlohmann::json json = nlohmann::json::parse(header, header + header_bytes,
                                                    /*cb=*/nullptr, /*allow_exceptions=*/false);
  UpdateFrame frame;
  const std::string wrong =
      Interpret(json, bytes->subspan(kPrefixBytes + header_bytes, body_bytes), &frame);
  if (!wrong.empty()) return damaged(wrong);
  bytes->remove_prefix(frame_bytes + kCrcBytes);
  return frame;
}

}  // namespace tf_hps
