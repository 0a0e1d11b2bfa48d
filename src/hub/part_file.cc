#include "hub/part_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

namespace pagoda::hub {
namespace {

constexpr std::size_t kMaxPieces = 1 << 22;
constexpr std::size_t kMaxHeaderBytes = 256;

base::Status write_error(const std::string& path) {
  const bool full = errno == ENOSPC || errno == EDQUOT;
  return base::error(full ? base::Code::kResourceExhausted : base::Code::kInternal, "cannot write {}: {}",
                     path, std::strerror(errno));
}

base::Status write_at(int fd, const void* data, std::size_t bytes, std::uint64_t offset,
                      const std::string& path) {
  const char* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = ::pwrite(fd, next, bytes, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return write_error(path);
    next += written;
    bytes -= static_cast<std::size_t>(written);
    offset += static_cast<std::uint64_t>(written);
  }
  return {};
}

std::string state_header(std::uint64_t bytes, const std::string& identity, std::uint64_t piece_bytes) {
  return fmt::format("pagoda part 1 {} {} {}\n", bytes, identity, piece_bytes);
}

std::size_t piece_count(std::uint64_t bytes, std::uint64_t piece_bytes) {
  return static_cast<std::size_t>((bytes + piece_bytes - 1) / piece_bytes);
}

struct State {
  std::uint64_t piece_bytes = 0;  // 0: there is no usable state
  std::vector<std::uint64_t> done;
};

// Whatever does not fit together counts as nothing: the file is then fetched anew.
State read_state(const std::string& stem, std::uint64_t bytes, const std::string& identity) {
  struct stat info;
  if (::stat((stem + ".part").c_str(), &info) != 0 || static_cast<std::uint64_t>(info.st_size) != bytes)
    return {};
  const FileHandle file(::open((stem + ".state").c_str(), O_RDONLY | O_CLOEXEC));
  char head[kMaxHeaderBytes] = "";
  const ssize_t got = ::pread(file.get(), head, sizeof head - 1, 0);
  const std::string_view line(head, got > 0 ? static_cast<std::size_t>(got) : 0);
  const std::size_t end = line.find('\n'), blank = line.rfind(' ', end);
  if (end == line.npos || blank == line.npos) return {};
  State state;
  state.piece_bytes = std::strtoull(head + blank, nullptr, 10);
  if (state.piece_bytes == 0 || piece_count(bytes, state.piece_bytes) > kMaxPieces ||
      line.substr(0, end + 1) != state_header(bytes, identity, state.piece_bytes))
    return {};
  state.done.resize(piece_count(bytes, state.piece_bytes));
  const std::size_t size = state.done.size() * sizeof(std::uint64_t);
  if (::pread(file.get(), state.done.data(), size, static_cast<off_t>(end + 1)) != static_cast<ssize_t>(size))
    return {};
  for (std::size_t i = 0; i < state.done.size(); ++i)
    if (state.done[i] > std::min(state.piece_bytes, bytes - i * state.piece_bytes)) return {};
  return state;
}

// The disk is taken now, so that a disk which fills up is noticed before hours of fetching.
base::Status reserve(int fd, std::uint64_t bytes, const std::string& path) {
  if (::ftruncate(fd, static_cast<off_t>(bytes)) != 0) return write_error(path);
  if (bytes == 0 || ::fallocate(fd, 0, 0, static_cast<off_t>(bytes)) == 0) return {};
  // A file system without the call (some network ones) takes the space as the bytes come.
  return errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL ? base::Status() : write_error(path);
}

}  // namespace

FileHandle& FileHandle::operator=(FileHandle&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

FileHandle::~FileHandle() {
  if (fd_ >= 0) ::close(fd_);
}

PartFile::Found PartFile::look(const std::string& stem, std::uint64_t bytes, const std::string& identity) {
  const State state = read_state(stem, bytes, identity);
  struct stat info;
  if (state.piece_bytes == 0 || ::stat((stem + ".part").c_str(), &info) != 0) return {};
  Found found;
  for (const std::uint64_t done : state.done) found.bytes += done;
  found.disk_bytes = std::min<std::uint64_t>(bytes, static_cast<std::uint64_t>(info.st_blocks) * 512);
  return found;
}

void PartFile::remove(const std::string& stem) {
  ::unlink((stem + ".state").c_str());
  ::unlink((stem + ".part").c_str());
}

base::Result<PartFile> PartFile::open(const std::string& stem, std::uint64_t bytes,
                                      const std::string& identity, std::uint64_t piece_bytes) {
  const State state = read_state(stem, bytes, identity);
  const bool anew = state.piece_bytes == 0;
  if (anew) remove(stem);
  PartFile part;
  part.stem_ = stem;
  part.bytes_ = bytes;
  part.piece_bytes_ = anew ? std::max(piece_bytes, bytes / kMaxPieces + 1) : state.piece_bytes;
  part.pieces_ = piece_count(bytes, part.piece_bytes_);
  part.done_ = std::make_unique<std::atomic<std::uint64_t>[]>(part.pieces_);
  for (std::size_t i = 0; i < part.pieces_; ++i) part.done_[i] = anew ? 0 : state.done[i];
  part.data_ = FileHandle(::open((stem + ".part").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (part.data_.get() < 0) return write_error(stem + ".part");
  part.state_ = FileHandle(::open((stem + ".state").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (part.state_.get() < 0) return write_error(stem + ".state");
  const std::string header = state_header(bytes, identity, part.piece_bytes_);
  part.header_bytes_ = header.size();
  if (anew) {
    RETURN_IF_ERROR(reserve(part.data_.get(), bytes, stem + ".part"));
    const std::vector<std::uint64_t> zeros(part.pieces_);
    RETURN_IF_ERROR(write_at(part.state_.get(), zeros.data(), zeros.size() * sizeof(std::uint64_t),
                             header.size(), stem + ".state"));
    // Last, because the header makes it valid.
    RETURN_IF_ERROR(write_at(part.state_.get(), header.data(), header.size(), 0, stem + ".state"));
  }
  return part;
}

ByteRange PartFile::piece(std::size_t index) const {
  const std::uint64_t begin = index * piece_bytes_;
  return {begin, std::min(begin + piece_bytes_, bytes_)};
}

ByteRange PartFile::missing(std::size_t index) const {
  ByteRange range = piece(index);
  range.begin += done_[index];
  return range;
}

std::size_t PartFile::first_incomplete() const {
  std::size_t index = 0;
  while (index < pieces_ && missing(index).begin == missing(index).end) ++index;
  return index;
}

base::Status PartFile::append(std::size_t index, std::string_view bytes) {
  const ByteRange rest = missing(index);
  if (bytes.size() > rest.end - rest.begin)
    return base::error(base::Code::kInternal, "{} bytes do not fit into a piece with {} missing",
                       bytes.size(), rest.end - rest.begin);
  RETURN_IF_ERROR(write_at(data_.get(), bytes.data(), bytes.size(), rest.begin, stem_ + ".part"));
  const std::uint64_t done = done_[index] += bytes.size();
  return write_at(state_.get(), &done, sizeof done, header_bytes_ + index * sizeof done, stem_ + ".state");
}

base::Result<std::uint64_t> PartFile::append_in_order(std::uint64_t offset, std::string_view bytes) {
  if (offset > bytes_ || bytes.size() > bytes_ - offset)
    return base::error(base::Code::kInternal, "more bytes than the {} of the file", bytes_);
  std::uint64_t added = 0;
  while (!bytes.empty()) {
    const std::size_t index = static_cast<std::size_t>(offset / piece_bytes_);
    const ByteRange whole = piece(index), rest = missing(index);
    const std::size_t here =
        static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), whole.end - offset));
    const std::size_t there = static_cast<std::size_t>(
        std::min<std::uint64_t>(here, rest.begin > offset ? rest.begin - offset : 0));
    RETURN_IF_ERROR(append(index, bytes.substr(there, here - there)));
    added += here - there;
    offset += here;
    bytes.remove_prefix(here);
  }
  return added;
}

base::Status PartFile::finish(const std::string& path) {
  if (::fsync(data_.get()) != 0) return write_error(stem_ + ".part");
  if (::rename((stem_ + ".part").c_str(), path.c_str()) != 0) return write_error(path);
  ::unlink((stem_ + ".state").c_str());
  return {};
}

}  // namespace pagoda::hub
