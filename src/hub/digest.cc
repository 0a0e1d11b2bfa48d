#include "hub/digest.h"

#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "base/check.h"

namespace pagoda::hub {
namespace {

// One running hash. Only an OpenSSL without these algorithms can make a call fail, which is our build's
// fault.
class Hash {
 public:
  explicit Hash(const EVP_MD* algorithm) : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    CHECK(context_ != nullptr);
    CHECK(EVP_DigestInit_ex(context_.get(), algorithm, nullptr) == 1);
  }
  void add(const void* data, std::size_t bytes) { CHECK(EVP_DigestUpdate(context_.get(), data, bytes) == 1); }
  std::string hex() {
    unsigned char value[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    CHECK(EVP_DigestFinal_ex(context_.get(), value, &size) == 1);
    std::string text;
    for (unsigned int i = 0; i < size; ++i) {
      text += "0123456789abcdef"[value[i] >> 4];
      text += "0123456789abcdef"[value[i] & 15];
    }
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

bool is_hex(std::string_view text, std::size_t digits) {
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == text.npos;
}

std::string sha256_hex(std::string_view bytes) {
  Hash hash(EVP_sha256());
  hash.add(bytes.data(), bytes.size());
  return hash.hex();
}

base::Result<Digest> digest_file(int fd, std::uint64_t bytes, DigestKind kind,
                                 const std::function<bool()>& stop) {
  if (kind == DigestKind::kNone) return Digest{};
  Hash hash(kind == DigestKind::kSha256 ? EVP_sha256() : EVP_sha1());
  if (kind == DigestKind::kGitSha1) {
    const std::string header = fmt::format("blob {}", bytes);
    hash.add(header.c_str(), header.size() + 1);
  }
  std::vector<char> buffer(1 << 20);
  for (std::uint64_t offset = 0; offset < bytes;) {
    if (stop()) return base::error(base::Code::kCancelled, "stopped");
    const std::size_t wanted = std::min<std::uint64_t>(buffer.size(), bytes - offset);
    const ssize_t got = ::pread(fd, buffer.data(), wanted, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0)
      return base::data_loss("cannot read back: {}",
                             got == 0 ? "the file is too short" : std::strerror(errno));
    hash.add(buffer.data(), static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  return Digest{kind, hash.hex()};
}

}  // namespace pagoda::hub
