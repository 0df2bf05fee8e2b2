#ifndef TF_HPS_CC_STORAGE_ADDRESS_RANGE_H_
#define TF_HPS_CC_STORAGE_ADDRESS_RANGE_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tf_hps {

// Addresses that are reserved at once and get memory from the front as it is needed, so that what
// lies there never moves. Reads as zeros. Not thread-safe.
//
// It lies in huge pages where most of one is used: lookups at random wait for the address as long
// as for the row otherwise (26 tables of 12.8 MB, 256 keys each: 63 ns a key, 45 with huge pages).
class AddressRange {
 public:
  // From here on memory comes as huge pages; below, a half-used one would be a good part of the
  // whole, and small pages are put together when they are full.
  static constexpr size_t kHugeFrom = size_t{16} << 20;

  AddressRange() = default;
  // `expected` bytes will be used as far as known. ResourceExhausted: no such room in the address
  // space.
  static absl::StatusOr<AddressRange> Reserve(size_t bytes, size_t expected);
  ~AddressRange();
  AddressRange(AddressRange&& other) noexcept { *this = static_cast<AddressRange&&>(other); }
  AddressRange& operator=(AddressRange&& other) noexcept;

  uint8_t* data() const { return data_; }
  size_t reserved() const { return reserved_; }
  size_t committed() const { return committed_; }

  // Makes at least the first `bytes` usable, in steps. ResourceExhausted when the system refuses.
  absl::Status Commit(size_t bytes);
  // Of what lies behind the first `bytes` and is not shared with them in a step, up to `most` bytes
  // go back to the system, the last ones first. They may still be read, as zeros, by who came late.
  absl::Status GiveBack(size_t bytes, size_t most);

 private:
  // Memory comes and goes in steps of so much where the first `bytes` are in use.
  size_t StepAt(size_t bytes) const;

  void* mapping_ = nullptr;
  size_t mapping_bytes_ = 0;
  uint8_t* data_ = nullptr;
  size_t reserved_ = 0;
  size_t committed_ = 0;
  size_t huge_ = 0;  // the front that huge pages were asked for
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_ADDRESS_RANGE_H_
