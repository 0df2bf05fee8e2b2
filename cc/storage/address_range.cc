#include "cc/storage/address_range.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tf_hps {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kSmallStep = size_t{64} << 10;

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25  // Linux 6.1; older C library headers do not have it
#endif

size_t RoundUp(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }
size_t RoundDown(size_t n, size_t unit) { return n / unit * unit; }

// The part of `bytes` that huge pages are worth: whole ones, and one that is three quarters used.
size_t HugeBytes(size_t bytes) { return RoundDown(bytes + kHugePage / 4, kHugePage); }

}  // namespace

absl::StatusOr<AddressRange> AddressRange::Reserve(size_t bytes, size_t expected) {
  AddressRange range;
  range.huge_ = HugeBytes(std::min(expected, bytes));
  range.reserved_ = std::max(RoundUp(std::max<size_t>(bytes, 1), kPage), range.huge_);
  range.mapping_bytes_ = range.reserved_ + kHugePage;
  void* const mapping = mmap(nullptr, range.mapping_bytes_, PROT_NONE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no room for ", bytes, " bytes in the address space: ", std::strerror(errno)));
  }
  range.mapping_ = mapping;
  range.data_ =
      reinterpret_cast<uint8_t*>(RoundUp(reinterpret_cast<uintptr_t>(mapping), kHugePage));
  // Advice, here and below: a kernel without huge pages refuses, and nothing is lost but speed.
  if (range.huge_ > 0) (void)madvise(range.data_, range.huge_, MADV_HUGEPAGE);
  const size_t huge_from = std::max(range.huge_, kHugeFrom);
  if (range.reserved_ > huge_from) {
    (void)madvise(range.data_ + huge_from, range.reserved_ - huge_from, MADV_HUGEPAGE);
  }
  return range;
}

AddressRange::~AddressRange() {
  if (mapping_ != nullptr) munmap(mapping_, mapping_bytes_);
}

AddressRange& AddressRange::operator=(AddressRange&& other) noexcept {
  std::swap(mapping_, other.mapping_);
  std::swap(mapping_bytes_, other.mapping_bytes_);
  std::swap(data_, other.data_);
  std::swap(reserved_, other.reserved_);
  std::swap(committed_, other.committed_);
  std::swap(huge_, other.huge_);
  return *this;
}

size_t AddressRange::StepAt(size_t bytes) const {
  return bytes < kHugePage && bytes > huge_ ? kSmallStep : kHugePage;
}

absl::Status AddressRange::Commit(size_t bytes) {
  if (bytes <= committed_) return absl::OkStatus();
  const size_t wanted = std::min(RoundUp(bytes, StepAt(bytes)), reserved_);
  if (mprotect(data_ + committed_, wanted - committed_, PROT_READ | PROT_WRITE) != 0) {
    return absl::ResourceExhaustedError(absl::StrCat("the system refuses more than ", committed_,
                                                     " bytes: ", std::strerror(errno)));
  }
  // Who asks for more has used what there was.
  const size_t used = std::min(RoundDown(committed_, kHugePage), kHugeFrom);
  if (used > huge_) {
    (void)madvise(data_ + huge_, used - huge_, MADV_HUGEPAGE);
    (void)madvise(data_ + huge_, used - huge_, MADV_COLLAPSE);
    huge_ = used;
  }
  committed_ = wanted;
  return absl::OkStatus();
}

absl::Status AddressRange::GiveBack(size_t bytes, size_t most) {
  const size_t kept = std::max(RoundUp(bytes, StepAt(bytes)),
                               RoundDown(committed_ - std::min(committed_, most), kHugePage));
  if (kept >= committed_) return absl::OkStatus();
  // Whole huge pages: a part of one leaves this process, but not the machine's memory.
  if (madvise(data_ + kept, committed_ - kept, MADV_DONTNEED) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("the system does not take back ", committed_ - kept,
                     " bytes: ", std::strerror(errno), " (memory that is locked stays)"));
  }
  committed_ = kept;
  return absl::OkStatus();
}

}  // namespace tf_hps
