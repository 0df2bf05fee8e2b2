#include <dirent.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "cc/update/update_source.h"

namespace tf_hps {
namespace {

constexpr size_t kDigits = 20;
constexpr absl::string_view kSuffix = ".hpsu";

std::string NameOf(uint64_t number) { return absl::StrFormat("%020d%s", number, kSuffix); }

// The number of a segment's name; 0 for other files, unfinished segments among them.
uint64_t SegmentNumber(absl::string_view name) {
  uint64_t number = 0;
  if (!absl::ConsumeSuffix(&name, kSuffix) || name.size() != kDigits ||
      name.find_first_not_of("0123456789") != name.npos || !absl::SimpleAtoi(name, &number)) {
    return 0;
  }
  return number;
}

// A segment never changes under its name: a position is the name of the last one that was read.
class DirectorySource : public UpdateSource {
 public:
  explicit DirectorySource(std::string folder) : folder_(std::move(folder)) {}

  absl::StatusOr<std::optional<Commit>> After(const std::string& position) override {
    const uint64_t last = SegmentNumber(position);
    if (last == 0 && !position.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the position \"", position, "\" is no segment's name, such as ", NameOf(1)));
    }
    // Without a list of the folder, as long as the next one is there: a bucket's takes seconds.
    const std::string next = NameOf(last + 1);
    absl::StatusOr<std::string> frames = Read(next);
    if (frames.ok()) return Commit{next, *std::move(frames)};
    if (!absl::IsNotFound(frames.status())) return frames.status();

    absl::StatusOr<Numbers> numbers = List(last);
    if (!numbers.ok()) return numbers.status();
    if (numbers->newest < last) {
      return absl::DataLossError(absl::StrCat(
          "the stream in ", folder_, " ends at \"",
          numbers->newest == 0 ? std::string() : NameOf(numbers->newest), "\", before \"", position,
          "\": was it begun anew? Tables that have followed it must be loaded again"));
    }
    if (numbers->first_after == 0) return std::nullopt;
    if (numbers->first_after == last + 1) return After(position);  // it has come meanwhile
    return absl::DataLossError(absl::StrCat(
        "update segments ", next, " to ", NameOf(numbers->first_after - 1), " are gone from ",
        folder_, ": their rows are lost to who stands at \"", position, "\""));
  }

  absl::StatusOr<std::string> Newest() override {
    absl::StatusOr<Numbers> numbers = List(0);
    if (!numbers.ok()) return numbers.status();
    return numbers->newest == 0 ? "" : NameOf(numbers->newest);
  }

  absl::StatusOr<int64_t> CommitsAfter(const std::string& position) override {
    absl::StatusOr<Numbers> numbers = List(0);
    if (!numbers.ok()) return numbers.status();
    const uint64_t last = SegmentNumber(position);
    return static_cast<int64_t>(numbers->newest > last ? numbers->newest - last : 0);
  }

 private:
  struct Numbers {
    uint64_t first_after = 0;  // the least above the one asked for; 0: none
    uint64_t newest = 0;
  };

  absl::StatusOr<Numbers> List(uint64_t after) const {
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir(folder_.c_str()), closedir);
    if (folder == nullptr) return Failed("list", folder_);
    Numbers numbers;
    for (;;) {
      errno = 0;
      const dirent* const entry = readdir(folder.get());
      if (entry == nullptr) break;
      const uint64_t number = SegmentNumber(entry->d_name);
      if (number > numbers.newest) numbers.newest = number;
      if (number > after && (numbers.first_after == 0 || number < numbers.first_after)) {
        numbers.first_after = number;
      }
    }
    if (errno != 0) return Failed("list", folder_);
    return numbers;
  }

  absl::StatusOr<std::string> Read(const std::string& name) const {
    const std::string path = absl::StrCat(folder_, "/", name);
    const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "rbe"), std::fclose);
    if (file == nullptr) return Failed("open", path);
    std::string bytes;
    constexpr size_t kChunk = size_t{1} << 20;
    for (;;) {
      const size_t before = bytes.size();
      bytes.resize(before + kChunk);
      const size_t got = std::fread(&bytes[before], 1, kChunk, file.get());
      bytes.resize(before + got);
      if (got < kChunk) break;
    }
    if (std::ferror(file.get()) != 0) return Failed("read", path);
    return bytes;
  }

  static absl::Status Failed(absl::string_view what, const std::string& path) {
    const int error = errno;
    const std::string message =
        absl::StrCat("updates: cannot ", what, " ", path, ": ", std::strerror(error));
    return error == ENOENT ? absl::NotFoundError(message) : absl::UnavailableError(message);
  }

  const std::string folder_;
};

// The folder of a path, or of a file:// URL.
std::string FolderOf(absl::string_view url) {
  if (!absl::ConsumePrefix(&url, "file://")) return std::string(url);
  std::string folder;
  for (size_t i = 0; i < url.size(); ++i) {
    std::string byte;
    if (url[i] == '%' && absl::HexStringToBytes(url.substr(i + 1, 2), &byte) && byte.size() == 1) {
      folder += byte;
      i += 2;
    } else {
      folder += url[i];
    }
  }
  return folder;
}

const bool directory_is_registered =
    RegisterUpdateSource({"directory", {}, [](const nlohmann::json& options) {
                            return OpenDirectorySource(FolderOf(options["url"].get<std::string>()));
                          }});

}  // namespace

absl::StatusOr<std::unique_ptr<UpdateSource>> OpenDirectorySource(const std::string& folder) {
  auto source = std::make_unique<DirectorySource>(folder);
  if (auto newest = source->Newest(); !newest.ok()) return newest.status();
  return source;
}

}  // namespace tf_hps
