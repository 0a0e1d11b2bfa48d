#pragma once
// A file mapped read-only into memory. Movable; unmapped on destruction. Safe to read from any thread.

#include <cstddef>
#include <span>
#include <string>

#include "base/status.h"

namespace pagoda::base {

class MappedFile {
 public:
  static Result<MappedFile> open(const std::string& path);
  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }
  // Tells the kernel that the range was read for the last time, so that its pages leave our resident memory.
  void release(std::size_t offset, std::size_t length) const;

 private:
  std::string path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// The whole file as a string, for small ones (JSON); one sentence on failure.
Result<std::string> read_file(const std::string& path, std::size_t max_bytes);

}  // namespace pagoda::base
