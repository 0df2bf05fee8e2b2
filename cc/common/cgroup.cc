#include "cc/common/cgroup.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace tf_hps {
namespace {

bool ReadFile(const std::string& path, std::string* text) {
  std::ifstream file(path);
  if (!file) return false;
  std::stringstream all;
  all << file.rdbuf();
  *text = all.str();
  return true;
}

// The first number of a file; false for "max", and where there is none.
bool ReadNumber(const std::string& path, int64_t* number) {
  std::string text;
  if (!ReadFile(path, &text)) return false;
  std::istringstream words(text);
  std::string word;
  return words >> word && absl::SimpleAtoi(word, number);
}

// "name number" or "name: number kB" in a file of such lines; 0 where there is none.
int64_t ReadNamed(const std::string& path, absl::string_view name) {
  std::ifstream file(path);
  std::string first;
  int64_t number = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    if (words >> first >> number && absl::StripSuffix(first, ":") == name) return number;
  }
  return 0;
}

// The group of this process among those of `controller` ("" for version 2), as /a/b.
std::string GroupOf(const std::string& proc, absl::string_view controller) {
  std::ifstream file(absl::StrCat(proc, "/self/cgroup"));
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    if (controllers == absl::StrCat(",", controller, ",") ||
        (!controller.empty() &&
         controllers.find(absl::StrCat(",", controller, ",")) != std::string::npos)) {
      return line.substr(second + 1);
    }
  }
  return "/";
}

struct MemoryFiles {
  const char* limit;
  const char* used;
  const char* idle;  // a line of memory.stat
};

// From the group up to the root. In a container the group's own folder may not be there: the root
// is it.
template <class Visit>
void ForEachGroup(const std::string& root, std::string group, const Visit& visit) {
  for (;;) {
    while (!group.empty() && group.back() == '/') group.pop_back();
    visit(absl::StrCat(root, group));
    if (group.empty()) return;
    group.resize(group.rfind('/'));
  }
}

void ReadMemory(const std::string& root, const std::string& group, const MemoryFiles& files,
                ResourceLimits* limits) {
  ForEachGroup(root, group, [&](const std::string& folder) {
    int64_t limit = 0, used = 0;
    const std::string file = absl::StrCat(folder, "/", files.limit);
    if (!ReadNumber(file, &limit)) return;
    if (!ReadNumber(absl::StrCat(folder, "/", files.used), &used)) used = 0;
    used = std::max<int64_t>(0, used - ReadNamed(absl::StrCat(folder, "/memory.stat"), files.idle));
    if (limits->memory_bytes != 0 && limit - used >= limits->memory_bytes - limits->memory_used) {
      return;
    }
    limits->memory_bytes = limit;
    limits->memory_used = used;
    limits->memory_from = file;
  });
}

void ReadCpus(const std::string& root, const std::string& proc, ResourceLimits* limits) {
  const auto take = [&](double quota, double period) {
    if (quota <= 0 || period <= 0) return;
    limits->cpus = limits->cpus == 0 ? quota / period : std::min(limits->cpus, quota / period);
  };
  ForEachGroup(root, GroupOf(proc, ""), [&](const std::string& folder) {
    std::ifstream file(absl::StrCat(folder, "/cpu.max"));
    double quota = 0, period = 0;
    if (file >> quota >> period) take(quota, period);
  });
  ForEachGroup(absl::StrCat(root, "/cpu"), GroupOf(proc, "cpu"), [&](const std::string& folder) {
    int64_t quota = 0, period = 0;
    if (ReadNumber(absl::StrCat(folder, "/cpu.cfs_quota_us"), &quota) &&
        ReadNumber(absl::StrCat(folder, "/cpu.cfs_period_us"), &period)) {
      take(static_cast<double>(quota), static_cast<double>(period));
    }
  });
}

}  // namespace

ResourceLimits ReadResourceLimits(const std::string& root, const std::string& proc) {
  ResourceLimits limits;
  const std::string meminfo = absl::StrCat(proc, "/meminfo");
  if (const int64_t total = ReadNamed(meminfo, "MemTotal"); total > 0) {
    limits.memory_bytes = total << 10;
    limits.memory_used = (total - ReadNamed(meminfo, "MemAvailable")) << 10;
    limits.memory_from = meminfo;
  }
  ReadMemory(root, GroupOf(proc, ""), {"memory.max", "memory.current", "inactive_file"}, &limits);
  ReadMemory(absl::StrCat(root, "/memory"), GroupOf(proc, "memory"),
             {"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"}, &limits);
  ReadCpus(root, proc, &limits);
  return limits;
}

ResourceLimits CurrentResourceLimits() {
  const char* const test = std::getenv("TF_HPS_TEST_CGROUP_ROOT");
  return test == nullptr || *test == '\0'
             ? ReadResourceLimits("/sys/fs/cgroup", "/proc")
             : ReadResourceLimits(absl::StrCat(test, "/cgroup"), absl::StrCat(test, "/proc"));
}

int AvailableCpus() {
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const double quota = CurrentResourceLimits().cpus;
  return quota == 0 ? cores : std::clamp(static_cast<int>(std::ceil(quota)), 1, cores);
}

}  // namespace tf_hps
