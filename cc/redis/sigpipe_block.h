#ifndef TF_HPS_CC_REDIS_SIGPIPE_BLOCK_H_
#define TF_HPS_CC_REDIS_SIGPIPE_BLOCK_H_

#include <pthread.h>
#include <signal.h>
#include <time.h>

namespace tf_hps {

// Keeps a write to a closed socket from ending the program: SIGPIPE's default in a C++ server, and
// neither hiredis nor OpenSSL asks for less. The signal is held back for this thread and taken off
// again; what the program itself does with SIGPIPE stays as it is.
class SigpipeBlock {
 public:
  SigpipeBlock() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~SigpipeBlock() {
    sigset_t pending;
    sigpending(&pending);
    if (!was_pending_ && sigismember(&pending, SIGPIPE) == 1) {
      const timespec now = {0, 0};
      sigtimedwait(&pipe_, nullptr, &now);
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  SigpipeBlock(const SigpipeBlock&) = delete;
  SigpipeBlock& operator=(const SigpipeBlock&) = delete;

 private:
  sigset_t pipe_, before_;
  bool was_pending_;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_REDIS_SIGPIPE_BLOCK_H_
