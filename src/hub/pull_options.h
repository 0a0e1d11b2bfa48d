#pragma once
// What a pull is told: which hub, where the copy goes, and how patient it is. Plain values; a pull reads them
// from several threads and changes none.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace pagoda::hub {

enum class Hub { kHuggingFace, kModelScope };

base::Result<Hub> parse_hub(std::string_view name);
std::string_view hub_name(Hub hub);

struct PullOptions {
  Hub hub = Hub::kHuggingFace;
  std::string endpoint;    // "https://huggingface.co"; empty: the environment's, else the hub's own
  std::string revision;    // branch, tag or commit; empty: the hub's default branch
  std::string token;       // empty: the environment's, else none
  std::string cache;       // directory; empty: $PAGODA_CACHE, else ~/.cache/pagoda
  bool all_files = false;  // otherwise only what the loader needs, and the documents
  int connections = 8;
  std::uint64_t piece_bytes = 32ull << 20;       // large files are fetched in ranges of this size
  std::uint64_t min_free_bytes = 256ull << 20;   // stay free on the disk
  int retries = 6;                               // in a row, for one piece, without progress
  std::chrono::milliseconds retry_delay{1000};   // before the first retry; doubles
  std::chrono::seconds stall{30};                // less than 1 KiB/s for so long: the connection is given up
  const std::atomic<bool>* cancelled = nullptr;  // set by anybody (a signal handler): the pull ends soon

  bool is_cancelled() const { return cancelled != nullptr && cancelled->load(); }
};

// Fills what is empty from the environment and the defaults, and checks every value. HF_ENDPOINT and HF_TOKEN
// are honoured for Hugging Face, MODELSCOPE_ENDPOINT and MODELSCOPE_API_TOKEN for ModelScope.
base::Result<PullOptions> complete_options(PullOptions options);

// Scheme, host and port in one spelling, "https://huggingface.co:443"; empty where `url` is not http or
// https.
std::string origin_of(const std::string& url);

// Whether `name` reads as ORG/NAME of a repository, and not as a path.
bool is_repository_name(std::string_view name);

}  // namespace pagoda::hub
