#ifndef TF_HPS_CC_HIERARCHY_CLOSED_GENERATIONS_H_
#define TF_HPS_CC_HIERARCHY_CLOSED_GENERATIONS_H_

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <tuple>

#include "cc/common/config.h"
#include "cc/common/mutex.h"

namespace tf_hps {

// Looks after what is left when a generation of a table is closed beside another one: its memory
// goes to that at once, and what this server kept of it on its own disk is dropped a while later,
// when it is clear that nobody comes back to it. Thread-safe; works on one thread of its own.
class ClosedGenerations {
 public:
  struct Name {
    std::string deployment, table;
    bool operator<(const Name& other) const {
      return std::tie(deployment, table) < std::tie(other.deployment, other.table);
    }
  };
  // `share`: memory of the open generations is to be shared anew. `drop`: what is kept of those
  // that are not open is to be dropped; false where none is open, so that nothing was replaced.
  ClosedGenerations(std::function<void(const Name&)> share,
                    std::function<bool(const Name&, const TableConfig&)> drop);
  ~ClosedGenerations();

  void Closed(const Name& name, const TableConfig& config);
  // A process that was killed may have left something of generations before this one.
  void Opened(const Name& name, const TableConfig& config);
  void SetDelays(std::chrono::milliseconds after_close, std::chrono::milliseconds after_open);

 private:
  using Clock = std::chrono::steady_clock;
  struct Entry {
    TableConfig config;
    bool to_share = false;
    bool was_closed = false;
    Clock::time_point drop_at;
  };

  void Run();
  Entry& EntryOf(const Name& name, const TableConfig& config) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::function<void(const Name&)> share_;
  const std::function<bool(const Name&, const TableConfig&)> drop_;

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::chrono::milliseconds after_close_ ABSL_GUARDED_BY(mutex_);
  std::chrono::milliseconds after_open_ ABSL_GUARDED_BY(mutex_);
  std::map<Name, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_ ABSL_GUARDED_BY(mutex_);  // from the first entry on
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_CLOSED_GENERATIONS_H_
