#include <set>
#include <unordered_map>

#include "cc/storage/row_ages.h"

namespace tf_hps {
namespace {

class MemoryRowAges : public RowAges {
 public:
  absl::StatusOr<std::string> Record() const override { return record_; }
  absl::Status PutRecord(const std::string& record) override {
    record_ = record;
    return absl::OkStatus();
  }
  int64_t loaded_rows() const override { return 0; }

  absl::Status Find(absl::Span<const Key> keys, bool may_be_loaded,
                    std::vector<int64_t>* times) const override {
    times->clear();
    for (const Key key : keys) {
      const auto found = by_key_.find(key);
      times->push_back(found == by_key_.end() ? RowAge::kNone : found->second->time_us);
    }
    return absl::OkStatus();
  }

  absl::Status VisitFrom(const RowAge& first,
                         const std::function<bool(const RowAge&)>& visit) const override {
    for (auto age = by_age_.lower_bound(first); age != by_age_.end() && visit(*age);) ++age;
    return absl::OkStatus();
  }

  void Apply(const AgesChange& change) override {
    for (const AgesChange::Move& move : change.moves) {
      if (move.from != RowAge::kNone) {
        const auto found = by_key_.find(move.key);
        by_age_.erase(found->second);
        by_key_.erase(found);
      }
      // New ages are the greatest there are: no search.
      if (move.to != RowAge::kNone) {
        by_key_[move.key] = by_age_.insert(by_age_.end(), {move.to, move.key});
      }
    }
    record_ = change.record;
  }

 private:
  std::set<RowAge> by_age_;
  std::unordered_map<Key, std::set<RowAge>::const_iterator> by_key_;
  std::string record_;
};

}  // namespace

std::unique_ptr<RowAges> NewMemoryRowAges() { return std::make_unique<MemoryRowAges>(); }

}  // namespace tf_hps
