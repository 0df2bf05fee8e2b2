#include "cc/redis/redis_tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "hiredis/hiredis_ssl.h"

namespace tf_hps {
namespace {

struct FreeSsl {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};

std::string LastError() {
  const unsigned long code = ERR_get_error();
  char text[256] = "no reason given";
  if (code != 0) ERR_error_string_n(code, text, sizeof(text));
  ERR_clear_error();
  return text;
}

absl::Status CannotUse(const std::string& what, const std::string& file) {
  return absl::FailedPreconditionError(
      absl::StrCat("`redis.", what, "` ", file, " cannot be used: ", LastError()));
}

}  // namespace

absl::Status StartRedisTls(const RedisTlsOptions& options, const std::string& host,
                           const std::string& name, redisContext* context) {
  // A context for each connection: they are few, and a renewed certificate is read again.
  const std::unique_ptr<SSL_CTX, FreeSsl> settings(SSL_CTX_new(TLS_client_method()));
  if (settings == nullptr) return absl::InternalError(absl::StrCat("TLS: ", LastError()));
  SSL_CTX_set_min_proto_version(settings.get(), TLS1_2_VERSION);
  SSL_CTX_set_verify(settings.get(), SSL_VERIFY_PEER, nullptr);
  if (options.ca_file.empty()) {
    SSL_CTX_set_default_verify_paths(settings.get());
  } else if (SSL_CTX_load_verify_locations(settings.get(), options.ca_file.c_str(), nullptr) != 1) {
    return CannotUse("tls_ca_file", options.ca_file);
  }
  if (!options.certificate_file.empty()) {
    if (SSL_CTX_use_certificate_chain_file(settings.get(), options.certificate_file.c_str()) != 1) {
      return CannotUse("tls_cert_file", options.certificate_file);
    }
    if (SSL_CTX_use_PrivateKey_file(settings.get(), options.key_file.c_str(), SSL_FILETYPE_PEM) !=
        1) {
      return CannotUse("tls_key_file", options.key_file);
    }
  }
  std::unique_ptr<SSL, FreeSsl> ssl(SSL_new(settings.get()));
  if (ssl == nullptr) return absl::InternalError(absl::StrCat("TLS: ", LastError()));
  const std::string& wanted = options.server_name.empty() ? host : options.server_name;
  // Taken where it is an address.
  if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), wanted.c_str()) != 1) {
    SSL_set1_host(ssl.get(), wanted.c_str());
    SSL_set_tlsext_host_name(ssl.get(), wanted.c_str());
  }
  SSL* const handed_over = ssl.release();
  if (redisInitiateSSL(context, handed_over) == REDIS_OK) return absl::OkStatus();
  const long verified = SSL_get_verify_result(handed_over);
  const bool hostile = verified != X509_V_OK;
  const std::string message = absl::StrCat(
      name, ": TLS failed: ", hostile ? X509_verify_cert_error_string(verified) : context->errstr);
  // hiredis leaves it with us unless it took it.
  if (context->privctx == nullptr) SSL_free(handed_over);
  return hostile ? absl::FailedPreconditionError(message) : absl::UnavailableError(message);
}

}  // namespace tf_hps
