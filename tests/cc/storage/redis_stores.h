#ifndef TF_HPS_TESTS_CC_STORAGE_REDIS_STORES_H_
#define TF_HPS_TESTS_CC_STORAGE_REDIS_STORES_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cc/redis/redis_options.h"
#include "tests/cc/storage/redis_servers.h"
#include "tests/cc/storage/store_kinds.h"
#include "tests/cc/storage/store_verbs.h"

namespace tf_hps {

inline TableSpec RedisSpec() {
  TableSpec spec;
  spec.deployment = "test";
  spec.name = "movie_id";
  spec.generation = "live-0";
  spec.embedding_dim = 4;
  return spec;
}

inline nlohmann::json WithDefaults(const nlohmann::json& given) {
  nlohmann::json options = nlohmann::json::object();
  for (const ConfigField& field : RedisConfigFields()) options[field.name] = field.default_value;
  options.update(given);
  return options;
}

inline std::unique_ptr<EmbeddingStore> OpenRedis(const nlohmann::json& options,
                                                 const TableSpec& spec = RedisSpec()) {
  auto store = FindBackend("redis")->open(spec, WithDefaults(options));
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? *std::move(store) : nullptr;
}

}  // namespace tf_hps

#endif  // TF_HPS_TESTS_CC_STORAGE_REDIS_STORES_H_
