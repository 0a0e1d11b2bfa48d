#pragma once
// Fetches files in pieces over several connections, checks each against its digest and gives it its name.
// Threads: one worker a connection, each with its own HttpClient; run() waits in the caller's thread and
// reports from there.
//
// The first piece of a file is asked for alone. If the server answers with the range, the other pieces follow
// in parallel; if it sends the whole file instead, that one connection takes it all.

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "base/status.h"
#include "hub/cache.h"
#include "hub/hub_api.h"
#include "hub/part_file.h"
#include "hub/pull_options.h"

namespace pagoda::hub {

struct PullProgress {
  std::size_t files_done = 0, files_total = 0;
  std::size_t files_checking = 0;  // all bytes are there, the digest is being computed
  std::uint64_t bytes_done = 0, bytes_total = 0;
};

// Both are called in the thread that pulls, and may be empty.
struct PullObserver {
  std::function<void(const PullProgress&)> progress;  // about ten times a second
  std::function<void(const std::string&)> notice;     // a line for the user: "...: trying again in 4 s"
};

class Download {
 public:
  // All references outlive it. The caller holds the cache's lock.
  Download(const PullOptions& options, const RepositoryCache& cache, const Listing& listing);

  // Makes every file of the listing be there. `done` are the files that are there already, by index.
  base::Status run(const std::vector<bool>& done, const PullObserver& observer);

  std::uint64_t fetched_bytes() const { return fetched_bytes_; }  // over the network, in all

 private:
  struct File {
    const RemoteFile* remote = nullptr;
    std::optional<PartFile> part;
    std::size_t open_pieces = 1;  // queued or with a worker; whoever ends the last one checks the file
    bool ranges = false;          // the server has answered with a range: all pieces have been queued
    std::string target;           // where the hub redirects to; empty: not known, or it no longer answers
    int wrong_digests = 0;
  };
  struct Piece {
    File* file;
    std::size_t index;
  };
  struct Attempt;

  void work();
  bool next(Piece* piece);
  base::Status fetch(HttpClient& client, const Piece& piece);
  base::Status attempt(HttpClient& client, const Piece& piece, Attempt* attempt);
  base::Status receive(const Piece& piece, const HttpReply& head, std::string_view bytes, Attempt* attempt);
  base::Status open(File* file);
  void queue_other_pieces(const Piece& first);
  base::Status end_piece(File* file);
  base::Status check(File* file);
  void wait(std::chrono::milliseconds delay);
  bool stopped() const { return stopped_ || options_.is_cancelled(); }
  void notice(const std::string& text);
  void fail(const base::Status& status);
  void report(const PullObserver& observer);

  const PullOptions& options_;
  const RepositoryCache& cache_;
  const Listing& listing_;
  std::vector<File> files_;

  std::atomic<bool> stopped_ = false;
  std::atomic<std::uint64_t> bytes_done_ = 0, fetched_bytes_ = 0;
  std::atomic<std::size_t> files_checking_ = 0;
  std::uint64_t bytes_total_ = 0;

  std::mutex mutex_;  // of all that follows, and of File's members
  std::condition_variable changed_;
  std::deque<Piece> queue_;
  std::size_t files_left_ = 0;
  base::Status status_;
  std::vector<std::string> notices_;
  std::string last_notice_;
  std::chrono::steady_clock::time_point last_notice_at_;
};

// Before attempt `failures` + 1: doubles with each, with some chance in it so that connections cut together
// do not all come back together.
std::chrono::milliseconds retry_delay(const PullOptions& options, int failures);

}  // namespace pagoda::hub
