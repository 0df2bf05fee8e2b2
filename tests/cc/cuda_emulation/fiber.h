#ifndef TF_HPS_TESTS_CC_CUDA_EMULATION_FIBER_H_
#define TF_HPS_TESTS_CC_CUDA_EMULATION_FIBER_H_

#include <cstddef>
#include <functional>
#include <memory>

namespace cuda_emulation {

// A function with a stack of its own. Switching costs some 10 ns: no system call, unlike
// ucontext's. One host thread uses all of them.
class Fiber {
 public:
  explicit Fiber(std::function<void()> run);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  void Resume();  // from outside: goes on until the next Yield or the end
  static void Yield();
  bool done() const { return done_; }

 private:
  static void Main();

  std::function<void()> run_;
  char* stack_;
  void* stack_pointer_;
  bool done_ = false;
  void* fake_stack_ = nullptr;  // AddressSanitizer's
};

}  // namespace cuda_emulation

#endif  // TF_HPS_TESTS_CC_CUDA_EMULATION_FIBER_H_
