#ifndef TF_HPS_CC_COMMON_TABLE_SPEC_H_
#define TF_HPS_CC_COMMON_TABLE_SPEC_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "cc/common/row_format.h"
#include "cc/common/update_position.h"

namespace tf_hps {

// What a table holds. The first three are its identity in the process (TableRegistry) and in every
// tier; a generation names content, so two tables of equal identity may share rows.
struct TableSpec {
  std::string deployment;
  std::string name;
  std::string generation;
  int64_t embedding_dim = 0;
  RowFormat row_format = RowFormat::kFloat32;
  int64_t rows = 0;  // as far as known when the table is opened; 0: not known
  // Whether a tier keeps the rows when the process ends, and whether they changed there since they
  // were loaded: then the generation no longer says which rows these are.
  bool is_kept = false;
  bool is_updated = false;
  // The update of a stream that the rows are at, where nothing else has changed them: equal places
  // of one stream mean equal rows. No stream: there is none, or who changed them is not known.
  UpdatePosition applied;

  std::string Described() const { return "table \"" + name + "\""; }
  size_t row_bytes() const { return RowBytes(row_format, embedding_dim); }
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_TABLE_SPEC_H_
