// Stands in for libFuzzer where there is none: runs the fuzz target over every file of the folders given, and
// over mutations of each, always the same ones. Finds what a regression brings back, not what is new; run.sh
// does that.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
// Optional, as in libFuzzer.
extern "C" __attribute__((weak)) int LLVMFuzzerInitialize(int* argc, char*** argv);

namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::uint8_t>;

constexpr int kMutationsPerFile = 300;

Bytes read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(file), {});
}

// A copy of exactly this size, so that the address sanitizer sees a read past the end.
void run(const Bytes& bytes) {
  const Bytes exact(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

std::size_t below(std::mt19937_64& random, std::size_t limit) { return limit == 0 ? 0 : random() % limit; }

void insert(Bytes* bytes, std::size_t at, const Bytes& what) {
  bytes->insert(bytes->begin() + static_cast<std::ptrdiff_t>(at), what.begin(), what.end());
}

void mutate(Bytes* bytes, std::mt19937_64& random) {
  static const std::string kTokens[] = {"{",     "}",       "[",    "]",       "\"",
                                        ",",     ":",       "null", "-1",      "9223372036854775808",
                                        "1e999", "\\u0000", "\xff", "\xe2\x82"};
  const std::size_t at = below(random, bytes->size());
  const std::size_t length = std::min(bytes->size() - at, 1 + below(random, 16));
  const auto begin = bytes->begin() + static_cast<std::ptrdiff_t>(at);
  const auto end = begin + static_cast<std::ptrdiff_t>(length);
  switch (random() % 6) {
    case 0:  // one bit
      if (!bytes->empty()) (*bytes)[at] ^= static_cast<std::uint8_t>(1u << below(random, 8));
      break;
    case 1:  // one byte
      if (!bytes->empty()) (*bytes)[at] = static_cast<std::uint8_t>(random());
      break;
    case 2:
      bytes->erase(begin, end);
      break;
    case 3: {  // a piece again elsewhere
      const Bytes piece(begin, end);
      insert(bytes, below(random, bytes->size() + 1), piece);
      break;
    }
    case 4: {
      const std::string& token = kTokens[below(random, std::size(kTokens))];
      insert(bytes, at, Bytes(token.begin(), token.end()));
      break;
    }
    default:
      if (random() % 4 == 0) bytes->resize(at);
  }
}

void replay(const fs::path& path) {
  const Bytes original = read(path);
  run(original);
  std::mt19937_64 random(original.size());
  for (int i = 0; i < kMutationsPerFile; ++i) {
    Bytes mutated = original;
    for (std::size_t count = 1 + below(random, 4); count > 0; --count) mutate(&mutated, random);
    run(mutated);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (LLVMFuzzerInitialize != nullptr) LLVMFuzzerInitialize(&argc, &argv);
  std::vector<fs::path> paths;
  for (int i = 1; i < argc; ++i)
    for (const auto& entry : fs::recursive_directory_iterator(argv[i]))
      if (entry.is_regular_file()) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  for (const fs::path& path : paths) replay(path);
  std::printf("%zu files, %d mutations of each\n", paths.size(), kMutationsPerFile);
  return paths.empty() ? 1 : 0;  // an empty corpus tests nothing
}
