#include "tests/cc/cuda_emulation/device_memory.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

#include "cuda_runtime.h"
#include "tests/cc/cuda_emulation/scheduler.h"

namespace cuda_emulation {
namespace {

struct Block {
  size_t bytes;
  bool is_device;
  int device;
  std::vector<uint8_t> written;  // of device memory, by byte
};

using Blocks = std::map<uintptr_t, Block>;
Blocks& AllBlocks() {
  static Blocks* const blocks = new Blocks;
  return *blocks;
}
size_t free_bytes = size_t{1} << 30;

uintptr_t AddressOf(const void* at) { return reinterpret_cast<uintptr_t>(at); }

Blocks::iterator BlockAt(const void* at) {
  auto block = AllBlocks().upper_bound(AddressOf(at));
  if (block == AllBlocks().begin()) return AllBlocks().end();
  --block;
  return AddressOf(at) < block->first + block->second.bytes ? block : AllBlocks().end();
}

void* Allocate(size_t bytes, bool is_device, int device) {
  void* const memory = std::aligned_alloc(256, std::max<size_t>((bytes + 255) / 256 * 256, 256));
  if (is_device) std::memset(memory, 0xa5, bytes);
  AllBlocks()[AddressOf(memory)] = {bytes, is_device, device,
                                    std::vector<uint8_t>(is_device ? bytes : 0)};
  return memory;
}

void Free(void* memory, bool is_device) {
  const auto block = AllBlocks().find(AddressOf(memory));
  if (block == AllBlocks().end() || block->second.is_device != is_device) {
    Fail("memory is freed that was not allocated so");
  }
  if (is_device) free_bytes += block->second.bytes;
  AllBlocks().erase(block);
  std::free(memory);
}

// The block of all the bytes; ends the process where there is none.
Block& Whole(const void* at, size_t bytes, uintptr_t* offset, const char* doing) {
  const auto block = BlockAt(at);
  if (block == AllBlocks().end()) {
    Fail(std::string(doing) + " outside of device and pinned memory");
  }
  *offset = AddressOf(at) - block->first;
  if (*offset + bytes > block->second.bytes) {
    Fail(std::string(doing) + " beyond the end of an allocation");
  }
  return block->second;
}

void CheckWritten(const Block& block, uintptr_t offset, size_t bytes) {
  if (!block.is_device) return;
  for (size_t i = 0; i < bytes; ++i) {
    if (!block.written[offset + i]) Fail("device memory is read that nobody wrote");
  }
}

}  // namespace

void* AllocateDevice(size_t bytes, int device) {
  if (bytes > free_bytes) return nullptr;
  free_bytes -= bytes;
  return Allocate(bytes, true, device);
}
void FreeDevice(void* memory) { Free(memory, true); }
void* AllocatePinned(size_t bytes) { return Allocate(bytes, false, -1); }
void FreePinned(void* memory) { Free(memory, false); }

int DeviceOf(const void* at) {
  const auto block = BlockAt(at);
  return block == AllBlocks().end() ? -2 : block->second.device;
}

bool IsDevice(const void* at) {
  const auto block = BlockAt(at);
  return block != AllBlocks().end() && block->second.is_device;
}

void CheckCopyFrom(const void* from, size_t bytes) {
  if (!IsDevice(from)) return;
  uintptr_t offset;
  const Block& block = Whole(from, bytes, &offset, "a copy");
  CheckWritten(block, offset, bytes);
}

void CheckCopyTo(void* to, size_t bytes) {
  if (!IsDevice(to)) return;
  uintptr_t offset;
  Block& block = Whole(to, bytes, &offset, "a copy");
  std::fill_n(block.written.begin() + offset, bytes, 1);
}

void CheckRead(const void* from, size_t bytes) {
  if (AddressOf(from) % bytes != 0) Fail("a kernel reads at an address that is not aligned");
  uintptr_t offset;
  const Block& block = Whole(from, bytes, &offset, "a kernel reads");
  CheckWritten(block, offset, bytes);
}

void CheckWrite(void* to, size_t bytes) {
  if (AddressOf(to) % bytes != 0) Fail("a kernel writes at an address that is not aligned");
  uintptr_t offset;
  Block& block = Whole(to, bytes, &offset, "a kernel writes");
  if (block.is_device) std::fill_n(block.written.begin() + offset, bytes, 1);
}

void SetFreeMemory(size_t bytes) {
  const DeviceLock device_lock;
  free_bytes = bytes;
}

}  // namespace cuda_emulation

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  const cuda_emulation::DeviceLock device_lock;
  *free = *total = cuda_emulation::free_bytes;
  return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* at) {
  const cuda_emulation::DeviceLock device_lock;
  const int device = cuda_emulation::DeviceOf(at);
  attributes->type = device >= 0    ? cudaMemoryTypeDevice
                     : device == -1 ? cudaMemoryTypeHost
                                    : cudaMemoryTypeUnregistered;
  attributes->device = device;
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  const cuda_emulation::DeviceLock device_lock;
  if (cuda_emulation::IsForbiddenByCapture()) return cudaErrorStreamCaptureUnsupported;
  *memory = cuda_emulation::AllocatePinned(bytes);
  return cudaSuccess;
}
