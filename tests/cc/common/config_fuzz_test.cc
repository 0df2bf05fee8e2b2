// Random edits of a good hps.json.

#include <random>

#include "cc/common/config.h"
#include "tests/cc/common/config_testing.h"

namespace tf_hps {
namespace {

using testing::HasSubstr;

constexpr char kGood[] = R"({"format_version": 1, "deployment": "ratings",
  "sample": {"rows": 8000, "rate": 0.25, "eviction": "lfu", "preload": false, "path": "../hps"},
  "remote": {"url": "redis://u:p@h", "password_env": "REMOTE_PW"},
  "tables": {"movie_id": {"generation": "5f0c", "embedding_dim": 2, "default_row": [0.5, -1],
    "out_of_range": "error", "vocabulary_size": 9724, "sample": {"rows": 10}, "remote": null}}})";

// Pieces that parsers trip over, and bytes of any kind.
std::string Edited(std::mt19937* random) {
  static const char* const kPieces[] = {"null",
                                        "NaN",
                                        "1e999",
                                        "-",
                                        "{",
                                        "}",
                                        "[",
                                        "]",
                                        "\"",
                                        ",",
                                        ":",
                                        "\\u0000",
                                        "\\ud800",
                                        "\xff",
                                        "\xc3",
                                        "true",
                                        "99999999999999999999",
                                        "{\"id\": 1}",
                                        "\"tables\"",
                                        "/",
                                        "\n",
                                        ""};
  std::string text = kGood;
  for (int edits = 1 + (*random)() % 4; edits > 0; --edits) {
    const size_t at = (*random)() % (text.size() + 1);
    const size_t length = (*random)() % 3 == 0 ? (*random)() % 20 : (*random)() % 3;
    std::string piece(1, static_cast<char>((*random)()));
    if ((*random)() % 2 == 0) piece = kPieces[(*random)() % std::size(kPieces)];
    text.replace(at, std::min(length, text.size() - at), piece);
  }
  return text;
}

using ConfigFuzzTest = ConfigTest;

TEST_F(ConfigFuzzTest, RandomEditsLoadOrAreRefusedWithTheFilesName) {
  ASSERT_TRUE(Load(kGood).ok()) << Load(kGood).status();
  int loaded = 0;
  for (unsigned seed = 0; seed < 20000; ++seed) {
    std::mt19937 random(seed);
    const std::string text = Edited(&random);
    const auto config = ParseConfig(text, folder_);
    if (config.ok()) {
      ++loaded;
      for (const auto& [name, table] : config->tables) {
        for (const auto& [section, options] : table.sections) EXPECT_NO_THROW(options.dump());
      }
      continue;
    }
    ASSERT_THAT(config.status().message(), HasSubstr(At("hps.json"))) << "seed " << seed;
    ASSERT_LT(config.status().message().size(), 2000) << "seed " << seed;
  }
  // Else the edits are too coarse to reach anything behind the parser.
  EXPECT_GT(loaded, 200);
}

}  // namespace
}  // namespace tf_hps
