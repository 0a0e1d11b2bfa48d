#pragma once
// A file on its way: its bytes at their final places in NAME.part, and in NAME.state how many of each piece
// are there. The count is written after the bytes it counts, so a process that is killed leaves a state that
// claims too little, never too much. (After a power cut it may claim too much; the digest at the end finds
// that.) Different pieces may be written by different threads, one piece by one thread at a time.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "hub/http_client.h"

namespace pagoda::hub {

// An open file descriptor, closed on destruction.
class FileHandle {
 public:
  explicit FileHandle(int fd = -1) : fd_(fd) {}
  FileHandle(FileHandle&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  FileHandle& operator=(FileHandle&& other) noexcept;
  ~FileHandle();
  int get() const { return fd_; }

 private:
  int fd_;
};

class PartFile {
 public:
  // Continues `stem`.part and `stem`.state if they are of the same size and `identity` (the digest; any line
  // without blanks), in the pieces they were begun with; else begins anew. Room for all bytes is taken on the
  // disk at once.
  static base::Result<PartFile> open(const std::string& stem, std::uint64_t bytes,
                                     const std::string& identity, std::uint64_t piece_bytes);
  // How many bytes open() would find, and how much disk they hold already.
  struct Found {
    std::uint64_t bytes = 0, disk_bytes = 0;
  };
  static Found look(const std::string& stem, std::uint64_t bytes, const std::string& identity);
  static void remove(const std::string& stem);

  std::uint64_t bytes() const { return bytes_; }
  std::size_t pieces() const { return pieces_; }  // 0 for an empty file
  ByteRange piece(std::size_t index) const;
  // What of the piece is still to come; begin == end if it is complete.
  ByteRange missing(std::size_t index) const;
  // pieces() if everything is there.
  std::size_t first_incomplete() const;

  // Appends to a piece. kInternal where the bytes go beyond its end; kResourceExhausted on a full disk.
  base::Status append(std::size_t index, std::string_view bytes);
  // Bytes of the whole file from `offset` on, sent in order by one thread; what is there already is passed
  // over. Returns how many were new.
  base::Result<std::uint64_t> append_in_order(std::uint64_t offset, std::string_view bytes);

  int fd() const { return data_.get(); }
  // Writes all to the disk and gives the file its name. The state is removed. Nobody may be writing.
  base::Status finish(const std::string& path);

 private:
  PartFile() = default;

  std::string stem_;
  std::uint64_t bytes_ = 0, piece_bytes_ = 0;
  std::size_t pieces_ = 0;
  FileHandle data_, state_;
  std::size_t header_bytes_ = 0;                        // of the state file; the counts follow
  std::unique_ptr<std::atomic<std::uint64_t>[]> done_;  // bytes of each piece
};

}  // namespace pagoda::hub
