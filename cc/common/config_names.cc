#include "cc/common/config_names.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "nlohmann/json.hpp"

namespace tf_hps {
namespace {

constexpr size_t kLongestQuote = 120;

// Whether `text` is runs of `allowed` characters, with single separators inside.
template <typename Allowed>
bool IsSeparatedRuns(absl::string_view text, char separator, Allowed allowed) {
  bool in_run = false;
  for (const char c : text) {
    if (!allowed(c) && !(c == separator && in_run)) return false;
    in_run = c != separator;
  }
  return in_run;
}

// Edits (insert, delete, replace, swap neighbours) that make `b` of `a`.
size_t EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        d[i][j] = i + j;
        continue;
      }
      const size_t replace = d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

std::string Closest(absl::string_view unknown, const std::vector<std::string>& known) {
  if (unknown.size() > 64) return "";
  const std::string lower = absl::AsciiStrToLower(unknown);
  std::string closest;
  size_t fewest = 1 + std::max<size_t>(1, unknown.size() / 3);
  for (const std::string& name : known) {
    const size_t edits = EditDistance(lower, absl::AsciiStrToLower(name));
    if (edits < fewest) {
      fewest = edits;
      closest = name;
    }
  }
  return closest;
}

}  // namespace

bool IsConfigName(absl::string_view name) {
  return IsSeparatedRuns(
      name, '/', [](char c) { return absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '-'; });
}

bool IsGeneration(absl::string_view generation) {
  return IsSeparatedRuns(generation, '-',
                         [](char c) { return absl::ascii_islower(c) || absl::ascii_isdigit(c); });
}

bool IsVariableName(absl::string_view name) {
  if (name.empty() || absl::ascii_isdigit(name[0])) return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return absl::ascii_isalnum(c) || c == '_'; });
}

bool IsCleanText(const std::string& text) {
  if (text.find('\0') != std::string::npos) return false;
  try {
    nlohmann::json(text).dump();
  } catch (const nlohmann::json::exception&) {
    return false;
  }
  return true;
}

bool LooksLikeSecret(absl::string_view name) {
  const std::string lower = absl::AsciiStrToLower(name);
  for (const char* word : {"password", "passwd", "passphrase", "secret", "token", "credential",
                           "api_key", "apikey", "private_key"}) {
    if (absl::StrContains(lower, word)) return true;
  }
  return false;
}

std::string KnownNames(absl::string_view unknown, const std::vector<std::string>& known) {
  std::string text;
  if (LooksLikeSecret(unknown)) {
    absl::StrAppend(&text,
                    "A secret is not written into the configuration: give the path of a file that "
                    "holds it as <name>_file, or the name of an environment variable that holds it "
                    "as <name>_env. ");
  } else if (const std::string closest = Closest(unknown, known); !closest.empty()) {
    absl::StrAppend(&text, "Did you mean \"", closest, "\"? ");
  }
  absl::StrAppend(&text, "Known: ", known.empty() ? "none" : absl::StrJoin(known, ", "));
  return text;
}

std::string Quoted(const std::string& text) {
  std::string quoted = nlohmann::json(MaskCredentials(text))
                           .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (quoted.size() <= kLongestQuote) return quoted;
  size_t end = kLongestQuote;
  while ((static_cast<unsigned char>(quoted[end]) & 0xC0) == 0x80) --end;  // not inside a character
  return absl::StrCat(absl::string_view(quoted).substr(0, end), "...\" (", text.size(), " bytes)");
}

namespace {

// "?password=pw&db=1" becomes "?password=***&db=1".
std::string MaskQuery(absl::string_view url) {
  std::string masked;
  size_t start = url.find('?');
  if (start == absl::string_view::npos) return std::string(url);
  while (start != absl::string_view::npos) {
    const size_t end = url.find('&', start + 1);
    const absl::string_view word = url.substr(start, end - start);
    const size_t equals = word.find('=');
    const std::string name = absl::AsciiStrToLower(word.substr(1, equals - 1));
    const bool is_secret = equals != absl::string_view::npos &&
                           (LooksLikeSecret(name) || name == "auth" || name == "pw" ||
                            name == "pass" || name == "key" || name == "pwd");
    if (masked.empty()) masked.assign(url.data(), start);
    absl::StrAppend(&masked, is_secret ? word.substr(0, equals + 1) : word, is_secret ? "***" : "");
    start = end;
  }
  return masked;
}

}  // namespace

std::string MaskCredentials(absl::string_view text) {
  std::string masked;
  for (size_t at = text.find("://"); at != absl::string_view::npos; at = text.find("://")) {
    masked.append(text.data(), at + 3);
    text.remove_prefix(at + 3);
    // Up to the last "@" before white space or the next URL: an unescaped "/" or "@" in a password
    // must not show the rest of it.
    const absl::string_view url =
        text.substr(0, std::min(text.find("://"), text.find_first_of(" \t\r\n")));
    if (const size_t host = url.rfind('@'); host != absl::string_view::npos) {
      masked.append("***");
      text.remove_prefix(host);
    }
    const size_t end = std::min(text.find("://"), text.find_first_of(" \t\r\n"));
    masked.append(MaskQuery(text.substr(0, end)));
    text.remove_prefix(std::min(end, text.size()));
  }
  return masked.append(text.data(), text.size());
}

}  // namespace tf_hps
