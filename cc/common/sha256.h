#ifndef TF_HPS_CC_COMMON_SHA256_H_
#define TF_HPS_CC_COMMON_SHA256_H_

#include <cstddef>
#include <memory>
#include <string>

struct evp_md_ctx_st;

namespace tf_hps {

// The SHA-256 of bytes that come in pieces.
class Sha256 {
 public:
  Sha256();
  void Add(const void* bytes, size_t n);
  // 64 hexadecimal digits. Afterwards it begins anew.
  std::string Finish();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  void Begin();

  const std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_SHA256_H_
