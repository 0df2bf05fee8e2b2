#include "cc/hierarchy/table_handle.h"

#include <cstring>
#include <numeric>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cc/hierarchy/followed_table.h"
#include "cc/hierarchy/inspect_row.h"
#include "cc/hierarchy/table_health.h"

namespace tf_hps {
namespace {

RowFormat PlainFormat(ElementType type) {
  switch (type) {
    case ElementType::kFloat32:
      return RowFormat::kFloat32;
    case ElementType::kFloat16:
      return RowFormat::kFloat16;
    case ElementType::kBfloat16:
      return RowFormat::kBfloat16;
  }
  return RowFormat::kFloat32;
}

}  // namespace

absl::StatusOr<std::shared_ptr<TableHandle>> TableHandle::Create(
    std::shared_ptr<EmbeddingTable> table, const TableConfig& config) {
  return Create(std::move(table), config, nullptr);
}

absl::StatusOr<std::shared_ptr<TableHandle>> TableHandle::Create(
    std::shared_ptr<EmbeddingTable> table, const TableConfig& config,
    std::unique_ptr<FollowedTable> followed) {
  std::shared_ptr<TableHandle> handle(
      new TableHandle(std::move(table), config, std::move(followed)));
  if (absl::Status status = handle->ResolveDefaultRow(config.default_row); !status.ok()) {
    return status;
  }
  return handle;
}

TableHandle::TableHandle(std::shared_ptr<EmbeddingTable> table, const TableConfig& config,
                         std::unique_ptr<FollowedTable> followed)
    : table_(std::move(table)),
      followed_(std::move(followed)),
      out_of_range_(config.out_of_range),
      vocabulary_size_(config.vocabulary_size),
      miss_deadline_(config.miss_deadline_us),
      default_buckets_(config.default_buckets()) {}

TableHandle::~TableHandle() = default;

nlohmann::json TableHandle::Stats() const {
  nlohmann::json stats = table_->Stats();
  if (followed_ != nullptr) {
    stats["updates"] = followed_->Stats();
    if (const auto growth = stats["updates"].find("growth"); growth != stats["updates"].end()) {
      stats["rows"] = (*growth)["rows"];  // counted where a store may only estimate
      stats["rows_exact"] = true;
    }
    stats["health"] = TableHealthName(HealthOf(stats));
  }
  return stats;
}

nlohmann::json TableHandle::Inspect(Key key) const {
  nlohmann::json seen = {{"table", spec().name},
                         {"key", key},
                         {"generation", spec().generation},
                         {"tiers", InspectRow(*table_, key)}};
  if (followed_ != nullptr) seen.update(followed_->Place());
  return seen;
}

absl::Status TableHandle::WaitUntil(const std::string& position,
                                    std::chrono::milliseconds timeout) const {
  if (followed_ != nullptr) return followed_->WaitUntil(position, timeout);
  return absl::FailedPreconditionError(absl::StrCat(
      spec().Described(), " follows no stream: its deployment has no section \"updates\""));
}

absl::Status TableHandle::ResolveDefaultRow(const nlohmann::json& wanted) {
  const int64_t dim = spec().embedding_dim;
  const size_t count = default_buckets_.count;
  size_t stored_bytes = dim * sizeof(float);
  std::vector<uint8_t> stored(stored_bytes);
  DecodeRow decode[3];
  for (int t = 0; t < 3; ++t) {
    decode[t] = SelectDecodeRow(RowFormat::kFloat32, static_cast<ElementType>(t), SelectedCpuIsa());
  }
  if (wanted.is_object()) {
    std::vector<Key> ids(count);
    std::iota(ids.begin(), ids.end(), wanted.at("id").get<Key>());
    stored_bytes = spec().row_bytes();
    stored.resize(count * stored_bytes);
    const std::unique_ptr<bool[]> found(new bool[count]);
    absl::Status status = table_->FindRaw(ids, stored.data(), found.get());
    if (!status.ok()) return status;
    for (size_t i = 0; i < count; ++i) {
      if (found[i]) continue;
      return absl::InvalidArgumentError(absl::StrCat(spec().Described(),
                                                     ": `default_row` names id ", ids[i],
                                                     ", which the table does not hold"));
    }
    for (int t = 0; t < 3; ++t) {
      decode[t] = SelectDecodeRow(spec().row_format, static_cast<ElementType>(t), SelectedCpuIsa());
    }
  } else if (wanted.is_array()) {
    if (static_cast<int64_t>(wanted.size()) != dim) {
      return absl::InvalidArgumentError(
          absl::StrCat(spec().Described(), ": `default_row` has ", wanted.size(),
                       " elements, the table's embedding_dim is ", dim));
    }
    for (int64_t i = 0; i < dim; ++i) {
      const float element = wanted[i].get<float>();
      std::memcpy(stored.data() + i * sizeof(float), &element, sizeof(float));
    }
  }
  for (int t = 0; t < 3; ++t) {
    const size_t bytes = RowBytes(PlainFormat(static_cast<ElementType>(t)), dim);
    default_rows_[t].resize(count * bytes);
    for (size_t i = 0; i < count; ++i) {
      decode[t](stored.data() + i * stored_bytes, default_rows_[t].data() + i * bytes, dim);
    }
  }
  return absl::OkStatus();
}

RowSink TableHandle::SinkFor(ElementType type, void* destination) const {
  RowSink sink;
  sink.destination = static_cast<uint8_t*>(destination);
  sink.stride = sink.out_bytes = RowBytes(PlainFormat(type), spec().embedding_dim);
  sink.decode = IsPlainCopy(spec().row_format, type)
                    ? nullptr
                    : SelectDecodeRow(spec().row_format, type, SelectedCpuIsa());
  sink.embedding_dim = spec().embedding_dim;
  sink.default_row = default_rows_[static_cast<int>(type)].data();
  sink.default_buckets = default_buckets_;
  return sink;
}

absl::Status TableHandle::CheckRange(absl::Span<Key> keys) const {
  if (!ChecksRange()) return absl::OkStatus();
  for (size_t i = 0; i < keys.size(); ++i) {
    if (keys[i] >= 0 && keys[i] < vocabulary_size_) continue;
    if (!WrapsNegatives() || keys[i] >= 0 || keys[i] < -vocabulary_size_) {
      return OutOfRangeError(i, keys[i]);
    }
    keys[i] += vocabulary_size_;
  }
  return absl::OkStatus();
}

absl::Status TableHandle::OutOfRangeError(size_t position, Key id) const {
  const bool wraps = WrapsNegatives();
  return absl::InvalidArgumentError(
      absl::StrCat(spec().Described(), ": ids[", position, "] = ", id, " is not in [",
                   wraps ? -vocabulary_size_ : 0, ", ", vocabulary_size_,
                   "), and `out_of_range` is \"", wraps ? "wrap_negatives" : "error", "\""));
}

}  // namespace tf_hps
