#ifndef TF_HPS_CC_STORAGE_READER_GATE_H_
#define TF_HPS_CC_STORAGE_READER_GATE_H_

#include <atomic>
#include <cstdint>
#include <thread>

namespace tf_hps {

// Tells who replaces a structure when its last reader has left it, at the cost of two atomic
// additions a batch on a cache line that few threads share (in the manner of the kernel's sleepable
// RCU). A reader enters, then loads the pointer; a writer stores the new pointer, then waits. All
// of that is sequentially consistent: a reader whose entry the writer's wait did not see loads the
// new pointer.
class ReaderGate {
 public:
  class Reader {
   public:
    explicit Reader(ReaderGate* gate)
        : count_(&gate->stripes_[ThreadStripe()].readers[gate->phase_.load()]) {
      count_->fetch_add(1);
    }
    ~Reader() { count_->fetch_sub(1, std::memory_order_release); }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

   private:
    std::atomic<int64_t>* const count_;
  };

  // One caller at a time. Readers that come meanwhile are not waited for, they count under the
  // other phase. Two rounds: a reader may have read the phase long ago and count only now.
  void WaitForReaders() {
    for (int round = 0; round < 2; ++round) {
      const int phase = phase_.load();
      phase_.store(1 - phase);
      for (Stripe& stripe : stripes_) {
        while (stripe.readers[phase].load() != 0) std::this_thread::yield();
      }
    }
  }

 private:
  static constexpr int kStripes = 16;
  struct alignas(64) Stripe {
    std::atomic<int64_t> readers[2] = {{0}, {0}};
  };
  static int ThreadStripe() {
    static std::atomic<int> next{0};
    thread_local const int stripe = next.fetch_add(1, std::memory_order_relaxed) % kStripes;
    return stripe;
  }

  std::atomic<int> phase_{0};
  Stripe stripes_[kStripes];
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_READER_GATE_H_
