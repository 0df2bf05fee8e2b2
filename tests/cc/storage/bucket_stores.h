#ifndef TF_HPS_TESTS_CC_STORAGE_BUCKET_STORES_H_
#define TF_HPS_TESTS_CC_STORAGE_BUCKET_STORES_H_

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <string>

#include "cc/common/sha256.h"
#include "nlohmann/json.hpp"

namespace tf_hps {

using FileContents = std::map<std::string, std::string>;  // by name

inline std::string RandomText(size_t bytes, std::mt19937* random) {
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>((*random)());
  return text;
}

inline std::string ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

inline FileContents ReadFolder(const std::string& folder) {
  FileContents files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    files[entry.path().filename().string()] = ReadText(entry.path().string());
  }
  return files;
}

inline std::string Sha256Of(const std::string& text) {
  Sha256 digest;
  digest.Add(text.data(), text.size());
  return digest.Finish();
}

// As tf_hps.export does it for a store's folder.
inline void WriteManifest(const std::string& folder) {
  nlohmann::json files = nlohmann::json::array();
  for (const auto& [name, text] : ReadFolder(folder)) {
    if (name == "LOCK" || name.rfind("LOG", 0) == 0 || name == "tf_hps_manifest.json") continue;
    files.push_back({{"name", name}, {"bytes", text.size()}, {"sha256", Sha256Of(text)}});
  }
  std::ofstream(folder + "/tf_hps_manifest.json")
      << nlohmann::json({{"format_version", 1}, {"files", files}}).dump();
}

// Files that RocksDB never wrote, with a manifest.
inline void WriteStore(const std::string& folder, const FileContents& files) {
  std::filesystem::create_directories(folder);
  for (const auto& [name, text] : files) {
    std::ofstream(folder + "/" + name, std::ios::binary) << text;
  }
  WriteManifest(folder);
}

}  // namespace tf_hps

#endif  // TF_HPS_TESTS_CC_STORAGE_BUCKET_STORES_H_
