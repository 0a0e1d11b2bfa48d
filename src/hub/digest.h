#pragma once
// The hashes by which hubs name contents, computed by OpenSSL. Any thread.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace pagoda::hub {

enum class DigestKind {
  kNone,     // the hub gives none: only the size can be checked
  kSha256,   // of the content: large files, and all of ModelScope
  kGitSha1,  // of "blob <size>\0" and the content, as git names it: small files of Hugging Face
};

struct Digest {
  DigestKind kind = DigestKind::kNone;
  std::string hex;  // lower case; empty with kNone

  bool operator==(const Digest&) const = default;
};

bool is_hex(std::string_view text, std::size_t digits);  // lower case

std::string sha256_hex(std::string_view bytes);

// The digest of the first `bytes` bytes of an open file. Reads 1 MiB at a time; `stop` is asked between reads
// and gives kCancelled. kDataLoss where the file is shorter or cannot be read.
base::Result<Digest> digest_file(int fd, std::uint64_t bytes, DigestKind kind,
                                 const std::function<bool()>& stop);

}  // namespace pagoda::hub
