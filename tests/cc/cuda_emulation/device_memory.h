#ifndef TF_HPS_TESTS_CC_CUDA_EMULATION_DEVICE_MEMORY_H_
#define TF_HPS_TESTS_CC_CUDA_EMULATION_DEVICE_MEMORY_H_

#include <cstddef>
#include <string>

namespace cuda_emulation {

[[noreturn]] void Fail(const std::string& what);

// Memory comes from malloc: AddressSanitizer knows its ends. Beside it lies a shadow of the bytes
// that were written.
void* AllocateDevice(size_t bytes, int device);  // null: none left
void FreeDevice(void* memory);
void* AllocatePinned(size_t bytes);
void FreePinned(void* memory);
bool IsDevice(const void* at);
// Device memory's device; -1 for pinned memory, -2 for other memory of the host.
int DeviceOf(const void* at);

// For copies: the device's part of a transfer.
void CheckCopyFrom(const void* from, size_t bytes);
void CheckCopyTo(void* to, size_t bytes);

}  // namespace cuda_emulation

#endif  // TF_HPS_TESTS_CC_CUDA_EMULATION_DEVICE_MEMORY_H_
