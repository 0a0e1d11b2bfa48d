#include "hub/download.h"

#include <algorithm>
#include <random>
#include <thread>

namespace pagoda::hub {
namespace {

constexpr std::chrono::milliseconds kTick{100};
constexpr std::chrono::seconds kLongestDelay{30};
constexpr std::chrono::seconds kLongestRetryAfter{
    300};  // more is an answer of its own: come back another day
// A server that gives this much before each cut is slow, not broken: the count of failures starts anew.
constexpr std::uint64_t kProgressThatCounts = 1 << 20;

}  // namespace

std::chrono::milliseconds retry_delay(const PullOptions& options, int failures) {
  thread_local std::minstd_rand random(std::random_device{}());
  const double doubled =
      static_cast<double>(options.retry_delay.count()) * static_cast<double>(1 << std::min(failures, 16));
  const double longest = std::chrono::milliseconds(kLongestDelay).count();
  return std::chrono::milliseconds(static_cast<std::int64_t>(
      std::min(doubled, longest) * std::uniform_real_distribution<>(0.75, 1.25)(random)));
}

// What one request has come to.
struct Download::Attempt {
  HttpReply reply;
  std::uint64_t gained = 0;  // bytes that were not there before
  std::uint64_t offset = 0;  // of the next byte, where the whole file is sent
  bool started = false;      // the first bytes have been looked at
  bool whole = false;        // the answer is the file from its beginning, not the range
  std::string problem;       // why the answer is not what was asked for; worth another attempt
  base::Status status;       // of our side (disk): not worth one
};

Download::Download(const PullOptions& options, const RepositoryCache& cache, const Listing& listing)
    : options_(options), cache_(cache), listing_(listing), files_(listing.files.size()) {}

base::Status Download::run(const std::vector<bool>& done, const PullObserver& observer) {
  // Small files first: configuration and licence are there, and wrong tokens found, before the weights.
  std::vector<File*> order;
  for (std::size_t i = 0; i < files_.size(); ++i) {
    const RemoteFile& remote = listing_.files[i];
    files_[i].remote = &remote;
    bytes_total_ += remote.bytes;
    if (done[i])
      bytes_done_ += remote.bytes;
    else
      order.push_back(&files_[i]);
  }
  std::stable_sort(order.begin(), order.end(),
                   [](const File* a, const File* b) { return a->remote->bytes < b->remote->bytes; });
  for (File* file : order) {
    if (file->remote->digest.kind == DigestKind::kNone) {
      // Nothing would tell whether the beginning belongs to the same content, so it is not continued.
      PartFile::remove(cache_.part_stem(*file->remote));
      notices_.push_back(file->remote->path + ": the hub gives no hash for it, only its size can be checked");
    }
    bytes_done_ +=
        PartFile::look(cache_.part_stem(*file->remote), file->remote->bytes, file->remote->digest.hex).bytes;
    queue_.push_back({file, 0});
  }
  files_left_ = order.size();
  std::vector<std::thread> workers;
  for (int i = 0; i < options_.connections; ++i) workers.emplace_back([this] { work(); });
  while (true) {
    report(observer);
    std::unique_lock lock(mutex_);
    if (files_left_ == 0 || stopped()) break;
    changed_.wait_for(lock, kTick);
  }
  for (std::thread& worker : workers) worker.join();
  report(observer);
  if (status_.ok() && files_left_ > 0)
    return base::error(base::Code::kCancelled,
                       "stopped; what was fetched is kept, and the same command goes on with it");
  return status_;
}

void Download::report(const PullObserver& observer) {
  std::vector<std::string> notices;
  PullProgress progress;
  {
    const std::lock_guard lock(mutex_);
    notices.swap(notices_);
    progress.files_done = files_.size() - files_left_;
  }
  progress.files_total = files_.size();
  progress.files_checking = files_checking_;
  progress.bytes_done = bytes_done_;
  progress.bytes_total = bytes_total_;
  if (observer.notice)
    for (const std::string& text : notices) observer.notice(text);
  if (observer.progress) observer.progress(progress);
}

void Download::work() {
  HttpClient client(options_, [this] { return stopped(); });
  Piece piece;
  while (next(&piece)) {
    base::Status status = fetch(client, piece);
    if (!status.ok()) fail(status);
  }
}

bool Download::next(Piece* piece) {
  std::unique_lock lock(mutex_);
  while (!stopped() && files_left_ > 0) {
    if (!queue_.empty()) {
      *piece = queue_.front();
      queue_.pop_front();
      return true;
    }
    changed_.wait_for(lock, kTick);
  }
  return false;
}

base::Status Download::open(File* file) {
  const RemoteFile& remote = *file->remote;
  RETURN_IF_ERROR(cache_.prepare_directories(listing_.commit, remote));
  ASSIGN_OR_RETURN(PartFile part, PartFile::open(cache_.part_stem(remote), remote.bytes, remote.digest.hex,
                                                 options_.piece_bytes));
  const std::lock_guard lock(mutex_);
  file->part = std::move(part);
  return {};
}

base::Status Download::fetch(HttpClient& client, const Piece& queued) {
  Piece piece = queued;
  File* file = piece.file;
  if (!file->part) RETURN_IF_ERROR(open(file));
  int failures = 0;
  for (std::uint64_t gained = 0; !stopped();) {
    // Until the server has shown that it knows ranges, this one request stands for the whole file.
    if (!file->ranges) piece.index = file->part->first_incomplete();
    if (piece.index == file->part->pieces()) return end_piece(file);
    Attempt attempt;
    const base::Status status = this->attempt(client, piece, &attempt);
    if (!attempt.status.ok()) return attempt.status;
    if (status.ok()) return end_piece(file);
    gained += attempt.gained;
    if (gained >= kProgressThatCounts) gained = 0, failures = 0;
    const HttpReply& reply = attempt.reply;
    if (attempt.problem.empty() && !worth_retrying(reply)) return status;
    if (failures == options_.retries) return status;
    std::chrono::milliseconds delay = retry_delay(options_, failures++);
    if (reply.status == 429 || reply.status == 503) {
      if (reply.retry_after.value_or(std::chrono::seconds(0)) > kLongestRetryAfter) return status;
      delay = std::max(delay, std::chrono::milliseconds(reply.retry_after.value_or(std::chrono::seconds(0))));
    }
    notice(fmt::format("{}; trying again in {:.1f} s", status.message(),
                       std::chrono::duration<double>(delay).count()));
    wait(delay);
  }
  return base::error(base::Code::kCancelled, "stopped");
}

// One request. Ok: the piece (or, where the server knows no ranges, the file) is complete.
base::Status Download::attempt(HttpClient& client, const Piece& piece, Attempt* attempt) {
  File* file = piece.file;
  const ByteRange missing = file->part->missing(piece.index);
  // A file in one piece of which nothing is there needs no range, and every server can send it.
  const bool plain = file->part->pieces() == 1 && missing.begin == 0;
  std::string url;
  {
    const std::lock_guard lock(mutex_);
    url = file->target;
  }
  const bool straight = !url.empty();
  if (!straight) url = file_url(options_, listing_, file->remote->path);
  attempt->reply = client.get(url, plain ? std::nullopt : std::optional(missing),
                              [&](const HttpReply& head, std::string_view bytes) {
                                attempt->status = receive(piece, head, bytes, attempt);
                                return attempt->status.ok() && attempt->problem.empty();
                              });
  const HttpReply& reply = attempt->reply;
  RETURN_IF_ERROR(attempt->status);
  const bool complete = attempt->whole ? file->part->first_incomplete() == file->part->pieces()
                                       : file->part->missing(piece.index).begin == missing.end;
  {
    const std::lock_guard lock(mutex_);
    // Links to a CDN expire: after any trouble the hub is asked anew.
    file->target = reply.ok() && complete && (straight || reply.redirected) ? reply.url : "";
  }
  // Complete but cut: all that was asked for is there.
  if (attempt->problem.empty() && complete) return {};
  const std::string& path = file->remote->path;
  if (attempt->problem.empty() && reply.ok()) attempt->problem = "the answer is shorter than the file";
  // An expired link, or a CDN in trouble: what it answers says nothing about the repository.
  if (attempt->problem.empty() && reply.outcome == HttpReply::Outcome::kAnswered &&
      (straight || reply.redirected) && origin_of(reply.url) != origin_of(options_.endpoint) &&
      !worth_retrying(reply))
    attempt->problem = fmt::format("{} answers {}", origin_of(reply.url), reply.status);
  if (attempt->problem.empty() && reply.status == 416)
    attempt->problem = "the hub has fewer bytes than its list says";
  if (attempt->problem.empty()) return refusal(reply, options_, listing_.repository, path);
  return base::data_loss("{}: {}", path, attempt->problem);
}

base::Status Download::receive(const Piece& piece, const HttpReply& head, std::string_view bytes,
                               Attempt* attempt) {
  PartFile& part = *piece.file->part;
  if (!attempt->started) {
    attempt->started = true;
    attempt->whole = head.status != 206;
    if (attempt->whole && piece.file->ranges) {
      attempt->problem = "the server ignores the range this time";
      return {};
    }
    if (!attempt->whole) {
      const auto sent = parse_content_range(head.content_range);
      const ByteRange missing = part.missing(piece.index);
      if (!sent.ok() || sent->range.begin != missing.begin || sent->range.end > missing.end ||
          sent->total != part.bytes()) {
        attempt->problem =
            sent.ok() ? "the server sends another range than was asked for, or of a file of another size"
                      : sent.status().message();
        return {};
      }
      queue_other_pieces(piece);
    }
  }
  // Each answer is taken up to the end of what was asked for; more of it is a fault.
  const std::uint64_t room = attempt->whole ? part.bytes() - attempt->offset
                                            : part.missing(piece.index).end - part.missing(piece.index).begin;
  if (bytes.size() > room) {
    attempt->problem = fmt::format("the answer is longer than the {} bytes expected", part.bytes());
    return {};
  }
  fetched_bytes_ += bytes.size();
  std::uint64_t added = bytes.size();
  if (attempt->whole) {
    ASSIGN_OR_RETURN(added, part.append_in_order(attempt->offset, bytes));
    attempt->offset += bytes.size();
  } else {
    RETURN_IF_ERROR(part.append(piece.index, bytes));
  }
  attempt->gained += added;
  bytes_done_ += added;
  return {};
}

void Download::queue_other_pieces(const Piece& first) {
  const std::lock_guard lock(mutex_);
  File* file = first.file;
  if (file->ranges) return;
  file->ranges = true;
  // In front of other files, so that one is finished before the next is begun.
  for (std::size_t i = file->part->pieces(); i-- > 0;) {
    const ByteRange missing = file->part->missing(i);
    if (i == first.index || missing.begin == missing.end) continue;
    queue_.push_front({file, i});
    ++file->open_pieces;
  }
  changed_.notify_all();
}

base::Status Download::end_piece(File* file) {
  {
    const std::lock_guard lock(mutex_);
    if (--file->open_pieces > 0) return {};
  }
  return check(file);
}

// Nobody else has a piece of the file any more.
base::Status Download::check(File* file) {
  const RemoteFile& remote = *file->remote;
  ++files_checking_;
  const auto digest =
      digest_file(file->part->fd(), remote.bytes, remote.digest.kind, [this] { return stopped(); });
  --files_checking_;
  if (!digest.ok() && digest.status().code() == base::Code::kCancelled) return digest.status();
  if (digest.ok() && *digest == remote.digest) {
    RETURN_IF_ERROR(file->part->finish(cache_.snapshot(listing_.commit) + "/" + remote.path));
    const std::lock_guard lock(mutex_);
    file->part.reset();
    --files_left_;
    changed_.notify_all();
    return {};
  }
  PartFile::remove(cache_.part_stem(remote));
  const std::string problem =
      digest.ok() ? fmt::format("its hash is {}, the hub's list says {}", digest->hex, remote.digest.hex)
                  : digest.status().message();
  if (++file->wrong_digests == 2)
    return base::data_loss("{}: {}, and so it was after a second try; it is deleted", remote.path, problem);
  notice(fmt::format("{}: {}; it is fetched once more", remote.path, problem));
  bytes_done_ -= remote.bytes;
  const std::lock_guard lock(mutex_);
  file->part.reset();
  file->ranges = false;
  file->target.clear();
  file->open_pieces = 1;
  queue_.push_back({file, 0});
  changed_.notify_all();
  return {};
}

void Download::wait(std::chrono::milliseconds delay) {
  const auto end = std::chrono::steady_clock::now() + delay;
  std::unique_lock lock(mutex_);
  while (!stopped() && std::chrono::steady_clock::now() < end)
    changed_.wait_for(
        lock, std::min<std::chrono::steady_clock::duration>(kTick, end - std::chrono::steady_clock::now()));
}

void Download::notice(const std::string& text) {
  const std::lock_guard lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  // Eight connections that are cut together say so once.
  const std::string subject = text.substr(0, text.find(';'));
  if (subject == last_notice_ && now - last_notice_at_ < std::chrono::seconds(2)) return;
  last_notice_ = subject;
  last_notice_at_ = now;
  notices_.push_back(text);
}

void Download::fail(const base::Status& status) {
  const std::lock_guard lock(mutex_);
  if (status_.ok() && status.code() != base::Code::kCancelled) status_ = status;
  stopped_ = true;
  changed_.notify_all();
}

}  // namespace pagoda::hub
