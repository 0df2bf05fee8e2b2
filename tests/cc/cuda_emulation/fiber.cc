#include "tests/cc/cuda_emulation/fiber.h"

#include <cstdint>
#include <cstdlib>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if !defined(__x86_64__)
#error "the CUDA emulation switches stacks on x86-64 only"
#endif

namespace cuda_emulation {
namespace {

constexpr size_t kStackBytes = 64 << 10;

Fiber* current = nullptr;
void* outside = nullptr;  // the stack pointer of who resumed
const void* outside_stack = nullptr;
size_t outside_bytes = 0;
std::vector<char*>* const idle_stacks = new std::vector<char*>;

// Saves what a called function must keep, changes stacks, and returns there.
extern "C" __attribute__((naked, noinline)) void CudaEmulationSwitch(void** /*from*/,
                                                                     void* /*to*/) {
  asm("pushq %rbp\n pushq %rbx\n pushq %r12\n pushq %r13\n pushq %r14\n pushq %r15\n"
      "movq %rsp, (%rdi)\n movq %rsi, %rsp\n"
      "popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rbx\n popq %rbp\n ret\n");
}

void StartSwitch(void** fake_stack, const void* stack, size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(fake_stack, stack, bytes);
#endif
}
void FinishSwitch(void* fake_stack, const void** old_stack, size_t* old_bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake_stack, old_stack, old_bytes);
#endif
}

}  // namespace

Fiber::Fiber(std::function<void()> run) : run_(std::move(run)) {
  if (idle_stacks->empty()) {
    stack_ = static_cast<char*>(std::aligned_alloc(4096, kStackBytes));
  } else {
    stack_ = idle_stacks->back();
    idle_stacks->pop_back();
  }
  // As if Main had been called: six registers, its address, and an odd number of words above.
  void** top = reinterpret_cast<void**>(stack_ + kStackBytes);
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(&Fiber::Main);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  stack_pointer_ = top;
}

Fiber::~Fiber() {
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(stack_, kStackBytes);
#endif
  idle_stacks->push_back(stack_);
}

void Fiber::Resume() {
  current = this;
  void* fake_stack = nullptr;
  StartSwitch(&fake_stack, stack_, kStackBytes);
  CudaEmulationSwitch(&outside, stack_pointer_);
  FinishSwitch(fake_stack, nullptr, nullptr);
  current = nullptr;
}

void Fiber::Yield() {
  Fiber* const self = current;
  StartSwitch(self->done_ ? nullptr : &self->fake_stack_, outside_stack, outside_bytes);
  CudaEmulationSwitch(&self->stack_pointer_, outside);
  FinishSwitch(self->fake_stack_, &outside_stack, &outside_bytes);
}

void Fiber::Main() {
  FinishSwitch(nullptr, &outside_stack, &outside_bytes);
  current->run_();
  current->done_ = true;
  Yield();
}

}  // namespace cuda_emulation
