#include "cc/storage/redis_scanner.h"

#include <algorithm>
#include <string>
#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tf_hps {
namespace {

class RedisScanner : public RowScanner {
 public:
  RedisScanner(RedisTable* table, const EmbeddingStore* store, Key first, Key last)
      : table_(*table),
        store_(*store),
        first_(first),
        last_(last),
        pattern_(absl::StrCat("{", table->id(), ".*}*:*")) {}

  absl::Status Next(size_t max_rows, RowBlock* block) override {
    block->Clear();
    while (next_ == page_.size() && !is_at_end_) {
      if (absl::Status status = ReadPage(); !status.ok()) return status;
    }
    const size_t row_bytes = table_.spec().row_bytes();
    const size_t end = std::min(page_.size(), next_ + max_rows);
    const auto at = [](auto& all, size_t i) {
      return all.begin() + static_cast<std::ptrdiff_t>(i);
    };
    block->keys.assign(at(page_.keys, next_), at(page_.keys, end));
    block->rows.assign(at(page_.rows, next_ * row_bytes), at(page_.rows, end * row_bytes));
    next_ = end;
    return absl::OkStatus();
  }

 private:
  absl::Status ReadPage() {
    page_.Clear();
    next_ = 0;
    const auto reply =
        table_.client().CallServer(server_, {"SCAN", cursor_, "MATCH", pattern_, "COUNT", "1000"},
                                   table_.client().NewDeadline());
    if (absl::IsNotFound(reply.status())) {
      is_at_end_ = true;
      return absl::OkStatus();
    }
    if (!reply.ok()) return reply.status();
    if ((*reply)->elements != 2) return absl::UnavailableError("SCAN answers in an unknown form");
    cursor_ = (*reply)->element[0]->str;
    if (cursor_ == "0") ++server_;

    std::vector<Key> keys;
    const redisReply& names = *(*reply)->element[1];
    for (size_t i = 0; i < names.elements; ++i) {
      const absl::string_view name(names.element[i]->str, names.element[i]->len);
      const size_t brace = name.find('}');
      const size_t colon = name.find(':', brace);
      if (colon == absl::string_view::npos || name.size() != colon + 1 + kRedisKeyBytes) continue;
      const Key key = RedisKeyFromBytes(name.substr(colon + 1));
      if (key >= first_ && key <= last_ && seen_.insert(key).second) keys.push_back(key);
    }
    return FindRows(keys);
  }

  absl::Status FindRows(const std::vector<Key>& keys) {
    if (keys.empty()) return absl::OkStatus();
    const size_t row_bytes = table_.spec().row_bytes();
    std::vector<uint8_t> rows(keys.size() * row_bytes);
    const RowSink sink = RowSink::Raw(rows.data(), row_bytes);
    Pending pending = Pending::All(keys.size());
    if (absl::Status status = store_.Find(keys, sink, &pending); !status.ok()) return status;
    for (size_t i = 0, left = 0; i < keys.size(); ++i) {
      if (left < pending.size() && pending[left] == i) {
        ++left;  // of a former epoch, or gone meanwhile
        continue;
      }
      page_.keys.push_back(keys[i]);
      const uint8_t* const row = rows.data() + i * row_bytes;
      page_.rows.insert(page_.rows.end(), row, row + row_bytes);
    }
    return absl::OkStatus();
  }

  RedisTable& table_;
  const EmbeddingStore& store_;
  const Key first_, last_;
  const std::string pattern_;
  size_t server_ = 0;
  std::string cursor_ = "0";
  bool is_at_end_ = false;
  std::unordered_set<Key> seen_;
  RowBlock page_;
  size_t next_ = 0;
};

}  // namespace

std::unique_ptr<RowScanner> NewRedisScanner(RedisTable* table, const EmbeddingStore* store,
                                            Key first, Key last) {
  return std::make_unique<RedisScanner>(table, store, first, last);
}

}  // namespace tf_hps
