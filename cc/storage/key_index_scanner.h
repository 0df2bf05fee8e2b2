#ifndef TF_HPS_CC_STORAGE_KEY_INDEX_SCANNER_H_
#define TF_HPS_CC_STORAGE_KEY_INDEX_SCANNER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "cc/storage/embedding_store.h"
#include "cc/storage/key_index.h"

namespace tf_hps {

// Goes through the keys of an index and looks each one up. An index that is outgrown meanwhile
// stays for the scanner as it was; in one that is in use keys must not move to another home
// (`keys_stay` sees to that, for as long as it lives). A key that leaves and comes back during the
// scan may be seen twice.
class KeyIndexScanner : public RowScanner {
 public:
  // Puts the rows of keys that are stored; the others stay pending.
  using Find = std::function<void(absl::Span<const Key>, const RowSink&, Pending*)>;

  KeyIndexScanner(std::shared_ptr<KeyIndex> index, Key first, Key last, size_t row_bytes,
                  std::shared_ptr<void> keys_stay, Find find);

  absl::Status Next(size_t max_rows, RowBlock* block) override;

 private:
  std::vector<Key> NextKeys(size_t max_keys);
  void FindRows(std::vector<Key> keys, RowBlock* block) const;

  const std::shared_ptr<KeyIndex> index_;
  const Key first_, last_;
  const size_t row_bytes_;
  const std::shared_ptr<void> keys_stay_;
  const Find find_;
  const std::vector<std::pair<Key, uint32_t>> overflow_;
  uint64_t next_way_ = 0;  // set * KeySet::kWays + way
  size_t next_overflow_ = 0;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_KEY_INDEX_SCANNER_H_
