#pragma once
// A run: requests go out when they arrive, at most so many at a time, until all are over. One thread.

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "load/client.h"

namespace pagoda::load {

struct RunOptions {
  std::vector<double> arrivals_s;   // ascending, one a prompt
  std::size_t max_concurrency = 0;  // 0: no limit. Who must wait for a place goes out in the order of arrival
  // Called on this thread after each request with the number that is over; may be empty.
  std::function<void(std::size_t)> done;
};

struct RunResult {
  std::vector<Outcome> outcomes;  // in the order of the prompts
  double seconds = 0;             // from the start to the end of the last request
};

// The time that a request waits for a place under max_concurrency is not part of its outcome.
RunResult run(Client& client, std::span<const Prompt> prompts, const RunOptions& options);

// One request, at once.
Outcome send_one(Client& client, const Prompt& prompt);

// The model's name for OpenAI endpoints: the first that GET /v1/models gives.
base::Result<std::string> ask_model(Client& client);

}  // namespace pagoda::load
