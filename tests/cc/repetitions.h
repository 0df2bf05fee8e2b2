#ifndef TF_HPS_TESTS_CC_REPETITIONS_H_
#define TF_HPS_TESTS_CC_REPETITIONS_H_

namespace tf_hps {

// How often a randomized test goes round. Release builds look for wrong results, round after round;
// the sanitizers look at the code that runs, which is the same in each, and take 3 to 20 times as
// long for one.
constexpr int Repetitions(int in_release) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return in_release / 4 + 1;
#else
  return in_release;
#endif
}

}  // namespace tf_hps

#endif  // TF_HPS_TESTS_CC_REPETITIONS_H_
