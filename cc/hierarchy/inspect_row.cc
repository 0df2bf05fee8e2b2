#include "cc/hierarchy/inspect_row.h"

#include <string>
#include <vector>

#include "cc/common/row_codec.h"
#include "cc/common/rows.h"

namespace tf_hps {

nlohmann::json InspectRow(const EmbeddingTable& table, Key key) {
  const TableSpec& spec = table.spec();
  std::vector<float> row(spec.embedding_dim);
  const std::vector<float> default_row(spec.embedding_dim);
  RowSink sink;
  sink.destination = reinterpret_cast<uint8_t*>(row.data());
  sink.stride = sink.out_bytes = row.size() * sizeof(float);
  sink.decode = SelectDecodeRow(spec.row_format, ElementType::kFloat32, SelectedCpuIsa());
  sink.embedding_dim = spec.embedding_dim;
  sink.default_row = reinterpret_cast<const uint8_t*>(default_row.data());

  nlohmann::json tiers = nlohmann::json::array();
  for (const EmbeddingStore* store : table.Stores()) {
    Pending pending = Pending::All(1);
    const absl::Status status = store->Find({&key, 1}, sink, &pending);
    nlohmann::json tier = {{"kind", store->kind()}};
    if (!status.ok()) {
      tier["state"] = "failed";
      tier["error"] = std::string(status.message());
    } else if (!pending.empty()) {
      tier["state"] = "unknown";
    } else if (pending.absent() > 0) {
      tier["state"] = "absent";
    } else {
      tier["state"] = "stored";
      tier["row"] = row;
    }
    tiers.push_back(std::move(tier));
  }
  return tiers;
}

}  // namespace tf_hps
