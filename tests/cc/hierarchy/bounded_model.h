#ifndef TF_HPS_TESTS_CC_HIERARCHY_BOUNDED_MODEL_H_
#define TF_HPS_TESTS_CC_HIERARCHY_BOUNDED_MODEL_H_

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

#include "cc/common/config.h"
#include "cc/common/key.h"

namespace tf_hps {

// What docs/updates.md says of a bounded table, row by row.
class BoundedModel {
 public:
  struct Row {
    int64_t time_us;
    float value;
  };

  BoundedModel() = default;
  explicit BoundedModel(const GrowthBounds& bounds) : bounds_(bounds) {}

  const GrowthBounds& bounds() const { return bounds_; }
  const std::map<Key, Row>& rows() const { return rows_; }
  int64_t expired() const { return expired_; }
  int64_t evicted() const { return evicted_; }
  int64_t rejected() const { return rejected_; }

  BoundedModel WithoutCounts() const {
    BoundedModel model = *this;
    model.expired_ = model.evicted_ = model.rejected_ = 0;
    return model;
  }

  // Before the first commit: older than all of it.
  void Load(Key key, float value) { rows_[key] = {0, value}; }

  void Commit(int64_t time_us, const std::vector<Key>& keys, float value,
              const std::vector<Key>& erased) {
    clock_us_ = std::max(time_us, clock_us_ + 1);
    if (loaded_us_ == 0) loaded_us_ = clock_us_;
    for (Key key : erased) rows_.erase(key);
    std::vector<Key> new_ids;
    for (Key key : keys) {
      if (std::count(erased.begin(), erased.end(), key) > 0) continue;
      if (rows_.count(key) > 0) {
        rows_[key] = {clock_us_, value};
      } else if (std::count(new_ids.begin(), new_ids.end(), key) == 0) {
        new_ids.push_back(key);
      }
    }
    for (auto row = rows_.begin(); row != rows_.end();) {
      const int64_t updated = row->second.time_us == 0 ? loaded_us_ : row->second.time_us;
      const bool old = bounds_.ttl_s > 0 && updated < clock_us_ - bounds_.ttl_s * 1000000;
      expired_ += old;
      row = old ? rows_.erase(row) : std::next(row);
    }
    for (Key key : new_ids) {
      if (bounds_.rejects && IsFull(0)) {
        ++rejected_;
      } else {
        rows_[key] = {clock_us_, value};
      }
    }
    for (; IsFull(1); ++evicted_) {
      rows_.erase(std::min_element(rows_.begin(), rows_.end(), [](const auto& a, const auto& b) {
        return std::pair(a.second.time_us, a.first) < std::pair(b.second.time_us, b.first);
      }));
    }
  }

 private:
  bool IsFull(int64_t beyond) const {
    return bounds_.max_rows > 0 && static_cast<int64_t>(rows_.size()) >= bounds_.max_rows + beyond;
  }

  GrowthBounds bounds_;
  std::map<Key, Row> rows_;
  int64_t clock_us_ = 0, loaded_us_ = 0;
  int64_t expired_ = 0, evicted_ = 0, rejected_ = 0;
};

}  // namespace tf_hps

#endif  // TF_HPS_TESTS_CC_HIERARCHY_BOUNDED_MODEL_H_
