#ifndef TF_HPS_CC_STORAGE_ROW_AGES_H_
#define TF_HPS_CC_STORAGE_ROW_AGES_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "cc/common/key.h"

namespace tf_hps {

// When a row was updated last, in microseconds of a table's own clock.
struct RowAge {
  static constexpr int64_t kNone = -1;   // there is no such row
  static constexpr int64_t kLoaded = 0;  // not since it was loaded

  int64_t time_us = kNone;
  Key key = 0;

  bool operator<(const RowAge& other) const {
    return time_us != other.time_us ? time_us < other.time_us : key < other.key;
  }
};

// What a commit does to the ages of a table: the keys it touches, each once.
struct AgesChange {
  struct Move {
    Key key;
    int64_t from, to;  // kNone: the row comes, or goes
  };
  std::vector<Move> moves;
  std::string record;  // what Record() gives from then on
};

// The ages of a table whose growth is bounded: of each row one. A store that keeps rows keeps them
// beside these, and writes both in one commit (EmbeddingStore::AddTo). One thread at a time.
class RowAges {
 public:
  virtual ~RowAges() = default;

  // Of the commit that was written last; empty: of none, and then every row is kLoaded.
  virtual absl::StatusOr<std::string> Record() const = 0;
  // Before the first commit: what it will go on from. The rows counted then are loaded_rows().
  virtual absl::Status PutRecord(const std::string& record) = 0;
  virtual int64_t loaded_rows() const = 0;

  // Ascending keys, each once. `may_be_loaded`: whether rows of age kLoaded are left.
  virtual absl::Status Find(absl::Span<const Key> keys, bool may_be_loaded,
                            std::vector<int64_t>* times) const = 0;
  // Ascending, from `first` on, until `visit` returns false.
  virtual absl::Status VisitFrom(const RowAge& first,
                                 const std::function<bool(const RowAge&)>& visit) const = 0;
  // The commit was written; for ages that no commit writes.
  virtual void Apply(const AgesChange& change) {}
};

// For a table that is in memory alone: begins empty, as its rows do. About 100 bytes a row.
std::unique_ptr<RowAges> NewMemoryRowAges();

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_ROW_AGES_H_
