#include "cc/common/config_text.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <stdexcept>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "cc/common/config_names.h"
#include "cc/common/remote_files.h"

namespace tf_hps {
namespace {

using nlohmann::json;

// Copies of a json value recurse: a file must not choose how deep.
constexpr int kDeepest = 32;
constexpr int64_t kLargestBytes = 64 << 20;

struct Refused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Watches the parser: refuses what it would accept silently.
class Watch {
 public:
  bool operator()(int depth, json::parse_event_t event, json& parsed) {
    switch (event) {
      case json::parse_event_t::object_start:
      case json::parse_event_t::array_start:
        if (depth >= kDeepest) {
          throw Refused(absl::StrCat("values are nested deeper than ", kDeepest, " levels"));
        }
        keys_.resize(depth + 1);
        path_.resize(depth + 1);
        keys_.back().clear();
        path_.back().clear();
        break;
      case json::parse_event_t::key: {
        // `depth` counts the object that the key stands in.
        std::string key = parsed.get<std::string>();
        if (!keys_[depth - 1].insert(key).second) {
          path_.resize(depth - 1);
          throw Refused(
              absl::StrCat("the key ", Quoted(key), " stands twice in ",
                           path_.empty() ? "the object" : Quoted(absl::StrJoin(path_, "."))));
        }
        path_.resize(depth);
        path_.back() = std::move(key);
        break;
      }
      default:
        break;
    }
    return true;
  }

 private:
  std::vector<std::set<std::string>> keys_;  // of the objects we are in, outermost first
  std::vector<std::string> path_;
};

std::string LineAndColumn(absl::string_view text, size_t byte) {
  const absl::string_view before = text.substr(0, byte == 0 ? 0 : byte - 1);
  const size_t lines = std::count(before.begin(), before.end(), '\n');
  const size_t line_start = before.rfind('\n');
  const size_t column =
      before.size() - (line_start == absl::string_view::npos ? 0 : line_start + 1) + 1;
  return absl::StrCat("line ", lines + 1, ", column ", column);
}

// "NaN" at or around the byte where the parser gave up; empty when there is none.
absl::string_view NotFiniteAt(absl::string_view text, size_t byte) {
  size_t begin = std::min(byte == 0 ? 0 : byte - 1, text.size());
  while (begin > 0 && absl::ascii_isalpha(text[begin - 1])) --begin;
  size_t end = begin;
  while (end < text.size() && absl::ascii_isalpha(text[end])) ++end;
  const absl::string_view word = text.substr(begin, end - begin);
  const std::string lower = absl::AsciiStrToLower(word);
  return lower == "nan" || lower == "inf" || lower == "infinity" ? word : absl::string_view();
}

// The parser's message without its prefix, and without the text it read last.
std::string ParserSays(absl::string_view what) {
  if (const size_t prefix = what.find(": "); prefix != absl::string_view::npos) {
    what.remove_prefix(prefix + 2);
  }
  constexpr absl::string_view kLastRead = "; last read: '";
  const size_t begin = what.find(kLastRead);
  if (begin == absl::string_view::npos) return std::string(what);
  const size_t end = what.rfind('\'');
  return absl::StrCat(what.substr(0, begin), what.substr(end + 1));
}

}  // namespace

absl::StatusOr<std::string> ReadConfigFile(const std::string& path) {
  if (IsRemotePath(path)) return ReadRemoteFile(path, kLargestBytes);
  struct stat facts;
  if (stat(path.c_str(), &facts) != 0) {
    const std::string message = absl::StrCat(path, ": ", std::strerror(errno));
    if (errno == ENOENT || errno == ENOTDIR) return absl::NotFoundError(message);
    return absl::InvalidArgumentError(message);
  }
  if (S_ISDIR(facts.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is a folder; expected the path of a configuration file (hps.json)"));
  }
  // A pipe would wait for its writer, a device may never end.
  if (!S_ISREG(facts.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is not a regular file"));
  }
  if (facts.st_size > kLargestBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": has ", facts.st_size, " bytes; a configuration has at most ", kLargestBytes));
  }
  std::ifstream file(path, std::ios::binary);
  std::string text(facts.st_size, '\0');
  if (!file.read(&text[0], text.size())) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": cannot be read: ", std::strerror(errno)));
  }
  return text;
}

absl::StatusOr<json> ParseConfigText(const std::string& text, const std::string& file) {
  std::string problem;
  try {
    if (absl::StripAsciiWhitespace(text).empty()) throw Refused("is empty");
    // The parser takes its callback by copy, so it gets a reference.
    Watch watch;
    json document = json::parse(text, std::ref(watch));
    if (!document.is_object()) {
      throw Refused(absl::StrCat("holds a JSON ", document.type_name(), "; expected an object"));
    }
    return document;
  } catch (const Refused& refused) {
    problem = refused.what();
  } catch (const json::parse_error& error) {
    problem = absl::StrCat("is not JSON at ", LineAndColumn(text, error.byte), ": ");
    if (const absl::string_view word = NotFiniteAt(text, error.byte); !word.empty()) {
      absl::StrAppend(&problem, word, " is no JSON value; numbers are finite");
    } else {
      absl::StrAppend(&problem, ParserSays(error.what()));
    }
  } catch (const json::exception& error) {
    // A number that no double holds.
    absl::string_view what = error.what();
    problem = absl::StrCat("is not usable JSON: ",
                           what.substr(std::min(what.find("] ") + 2, what.size())));
  }
  return absl::InvalidArgumentError(absl::StrCat(file, ": ", problem));
}

}  // namespace tf_hps
