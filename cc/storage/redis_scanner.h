#ifndef TF_HPS_CC_STORAGE_REDIS_SCANNER_H_
#define TF_HPS_CC_STORAGE_REDIS_SCANNER_H_

#include <memory>

#include "cc/storage/embedding_store.h"
#include "cc/storage/redis_table.h"

namespace tf_hps {

// Walks all keys of all servers, other tables' too, and asks `store` for the rows. Remembers the
// keys it has seen: SCAN may bring one twice. `table` and `store` outlive it.
std::unique_ptr<RowScanner> NewRedisScanner(RedisTable* table, const EmbeddingStore* store,
                                            Key first, Key last);

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_REDIS_SCANNER_H_
