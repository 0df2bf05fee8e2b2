#include "cc/update/update_commit.h"

#include <cstring>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "cc/common/row_codec.h"

namespace tf_hps {
namespace {

// In one loop without a branch, which the compiler makes vector code of.
bool AllFinite(const float* elements, size_t n) {
  constexpr uint32_t kExponent = 0x7f800000;
  uint32_t any = 0;
  for (size_t i = 0; i < n; ++i) {
    uint32_t bits;
    std::memcpy(&bits, elements + i, sizeof(bits));
    any |= static_cast<uint32_t>((bits & kExponent) == kExponent);
  }
  return any == 0;
}

}  // namespace

int64_t UpdateCommit::rows() const {
  size_t keys = 0;
  for (const UpdateFrame& frame : changes) keys += frame.keys.size();
  return static_cast<int64_t>(keys);
}

absl::StatusOr<UpdateCommit> ReadUpdateCommit(const UpdateSource::Commit& commit) {
  const std::string where = absl::StrCat("commit ", commit.position);
  const auto wrong = [&](const auto&... what) {
    return absl::DataLossError(absl::StrCat("update ", where, ": ", what...));
  };
  absl::Span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(commit.frames.data()),
                                  commit.frames.size());
  UpdateCommit read;
  read.position = commit.position;
  for (bool ended = false; !ended;) {
    const size_t at = commit.frames.size() - bytes.size();
    if (bytes.empty())
      return wrong("it ends after ", read.changes.size(), " frames, none of kind commit");
    absl::StatusOr<UpdateFrame> frame = ReadUpdateFrame(&bytes, absl::StrCat(where, ", byte ", at));
    if (!frame.ok()) return frame.status();
    if (at == 0) {
      read.deployment = frame->deployment;
      read.publisher = frame->publisher;
      read.first_sequence = read.next_sequence = frame->sequence;
    }
    if (frame->publisher != read.publisher || frame->deployment != read.deployment) {
      return wrong("a frame at byte ", at, " is of publisher ", frame->publisher,
                   " for deployment ", frame->deployment, ", the first one of ", read.publisher,
                   " for ", read.deployment);
    }
    if (frame->sequence != read.next_sequence) {
      return wrong("the frame at byte ", at, " has sequence ", frame->sequence, " after ",
                   read.next_sequence - 1);
    }
    ++read.next_sequence;
    ended = frame->kind == UpdateFrame::Kind::kCommit;
    if (!ended) {
      read.changes.push_back(*std::move(frame));
    } else if (frame->frames != static_cast<int64_t>(read.changes.size())) {
      return wrong("it has ", read.changes.size(), " frames, its end says ", frame->frames);
    } else {
      read.time_us = frame->time_us;
    }
  }
  if (!bytes.empty()) return wrong(bytes.size(), " bytes come after its end");
  return read;
}

absl::Status TableRows::Add(const UpdateFrame& frame) {
  if (frame.kind == UpdateFrame::Kind::kRows) {
    if (frame.embedding_dim != spec_.embedding_dim) {
      return absl::InvalidArgumentError(
          absl::StrCat(spec_.Described(), ": rows of ", frame.embedding_dim,
                       " elements came, the table has embedding_dim ", spec_.embedding_dim));
    }
    if (absl::Status status = CheckFinite(frame); !status.ok()) return status;
  }
  frames_.push_back(&frame);
  return absl::OkStatus();
}

absl::Status TableRows::CheckFinite(const UpdateFrame& frame) const {
  const size_t dim = frame.embedding_dim;
  if (AllFinite(frame.rows.data(), frame.rows.size())) return absl::OkStatus();
  size_t row = 0;
  while (AllFinite(frame.rows.data() + row * dim, dim)) ++row;
  return absl::InvalidArgumentError(absl::StrCat(spec_.Described(), ": the row of key ",
                                                 frame.keys[row], " has a NaN or an infinity"));
}

UpdateBatch TableRows::Batch() {
  const size_t row_bytes = spec_.row_bytes();
  const EncodeRow encode = IsPlainCopy(spec_.row_format, ElementType::kFloat32)
                               ? nullptr
                               : SelectEncodeRow(ElementType::kFloat32, spec_.row_format);
  bool erases_before_rows = false;
  size_t n = 0;
  for (const UpdateFrame* frame : frames_) {
    if (frame->kind == UpdateFrame::Kind::kErase) {
      erased_.insert(erased_.end(), frame->keys.begin(), frame->keys.end());
    } else {
      erases_before_rows = erases_before_rows || !erased_.empty();
      n += frame->keys.size();
    }
  }
  keys_.reserve(n);
  rows_.resize(n * row_bytes);
  uint8_t* to = rows_.data();
  for (const UpdateFrame* frame : frames_) {
    if (frame->kind != UpdateFrame::Kind::kRows) continue;
    keys_.insert(keys_.end(), frame->keys.begin(), frame->keys.end());
    const auto* from = reinterpret_cast<const uint8_t*>(frame->rows.data());
    const size_t element_bytes = spec_.embedding_dim * sizeof(float);
    if (encode == nullptr) {
      if (!frame->rows.empty()) std::memcpy(to, from, frame->keys.size() * row_bytes);
      to += frame->keys.size() * row_bytes;
      continue;
    }
    for (size_t i = 0; i < frame->keys.size(); ++i, to += row_bytes) {
      encode(from + i * element_bytes, to, spec_.embedding_dim);
    }
  }
  // A batch's erases come after its rows.
  if (erases_before_rows) KeepLastOfEachKey();
  return {keys_, RowsView(rows_.data(), row_bytes), erased_};
}

void TableRows::KeepLastOfEachKey() {
  std::unordered_map<Key, bool> is_erased;
  for (const UpdateFrame* frame : frames_) {
    for (Key key : frame->keys) is_erased[key] = frame->kind == UpdateFrame::Kind::kErase;
  }
  std::vector<Key> erased;
  for (const auto& [key, gone] : is_erased) {
    if (gone) erased.push_back(key);
  }
  erased_ = std::move(erased);
}

}  // namespace tf_hps
