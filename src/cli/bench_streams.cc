#include "cli/bench_streams.h"

#include <fmt/core.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>

#include "engine/generate.h"

namespace pagoda::cli {
namespace {

// Sequences grow to this length; the waste is sampled around a mean length of 200 tokens.
constexpr std::int32_t kSequenceTokens = 250;
constexpr std::int64_t kSampledFrom = 150;

// Samples how full the used blocks are while the engine runs.
class WasteMeter {
 public:
  explicit WasteMeter(const engine::Engine& engine) : thread_([this, &engine] { watch(engine); }) {}
  double stop() {
    stop_ = true;
    thread_.join();
    return samples_ == 0 ? 0 : sum_ / samples_;
  }

 private:
  void watch(const engine::Engine& engine) {
    while (!stop_) {
      const engine::Stats stats = engine.stats();
      if (stats.kv_blocks_used > 0 && stats.kv_tokens >= kSampledFrom * stats.running) {
        sum_ += 1 - static_cast<double>(stats.kv_tokens) /
                        (static_cast<double>(stats.kv_blocks_used) * engine.limits().block_size);
        ++samples_;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  double sum_ = 0;
  int samples_ = 0;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace

base::Result<StreamRequest> stream_request(const engine::Engine& engine, std::int32_t stream,
                                           std::int32_t round) {
  StreamRequest made;
  // Different beginnings, and different lengths.
  made.text =
      fmt::format("{}. Translate the following segment into French, without additional explanation.\n\n",
                  1000 * round + stream);
  for (std::int32_t i = 0; i <= stream % 4; ++i)
    made.text += "The train to the mountains leaves at nine in the morning. ";
  engine::Request& request = made.request;
  ASSIGN_OR_RETURN(request.prompt,
                   engine.chat_template().render(engine.tokenizer(), {{text::Role::kUser, made.text}}));
  request.max_tokens = kSequenceTokens - static_cast<std::int32_t>(request.prompt.size());
  request.ignore_eos = true;
  request.salt = static_cast<std::uint64_t>(stream);
  return made;
}

base::Result<StreamsRow> run_streams(engine::Engine& engine, const StreamsOptions& options) {
  std::vector<engine::Request> requests;
  for (std::int32_t i = 0; i < options.streams; ++i) {
    ASSIGN_OR_RETURN(StreamRequest made, stream_request(engine, i, options.round));
    requests.push_back(std::move(made.request));
  }
  std::optional<WasteMeter> meter;
  if (options.measure_waste) meter.emplace(engine);
  const execute::DeviceTime before = engine.stats().device_time;
  const auto start = std::chrono::steady_clock::now();
  const auto completions = engine::generate_all(engine, std::move(requests), options.streams, nullptr);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const double waste = meter ? meter->stop() : 0;
  if (!completions.ok()) return completions.status();
  std::int64_t tokens = 0;
  for (const engine::Completion& completion : *completions) tokens += completion.usage.completion_tokens;
  return StreamsRow{options.streams, tokens, static_cast<double>(tokens) / seconds.count(), waste,
                    (engine.stats().device_time - before).idle_fraction()};
}

}  // namespace pagoda::cli
