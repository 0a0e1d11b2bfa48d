#include "engine/generate.h"

#include <condition_variable>
#include <mutex>
#include <tuple>

namespace pagoda::engine {
namespace {

// Collects answers from the engine's thread for a thread that waits.
class Collector {
 public:
  explicit Collector(std::size_t count) : completions_(count) {}

  Sink sink(std::size_t index) {
    return [this, index](const Delta& delta) {
      Completion& completion = completions_[index];  // one request's pieces come one after another
      completion.text += delta.text;
      for (const execute::SampledToken& token : delta.tokens) completion.tokens.push_back(token);
      if (!delta.finish) return;
      completion.finish = *delta.finish;
      completion.error = delta.error;
      completion.usage = delta.usage;
      completion.times = delta.times;
      const std::lock_guard lock(mutex_);
      ++finished_;
      generated_ += delta.usage.completion_tokens;
      changed_.notify_one();
    };
  }

  // Waits until at least `count` answers are complete; returns how many are, and their tokens.
  std::pair<std::size_t, std::int64_t> wait(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return finished_ >= count; });
    return {finished_, generated_};
  }
  std::vector<Completion> take() { return std::move(completions_); }

 private:
  std::vector<Completion> completions_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t finished_ = 0;
  std::int64_t generated_ = 0;
};

}  // namespace

base::Result<std::vector<Completion>> generate_all(
    Engine& engine, std::vector<Request> requests, std::size_t in_flight,
    const std::function<void(std::size_t, std::int64_t)>& done) {
  const std::size_t count = requests.size();
  Collector collector(count);
  std::size_t submitted = 0;
  base::Status refused;
  for (std::size_t finished = 0; finished < submitted || (submitted < count && refused.ok());) {
    while (refused.ok() && submitted < count && submitted - finished < in_flight) {
      const base::Result<RequestId> id =
          engine.submit(std::move(requests[submitted]), collector.sink(submitted));
      if (id.ok())
        ++submitted;
      else
        refused = id.status();
    }
    if (finished == submitted) break;
    std::int64_t generated = 0;
    std::tie(finished, generated) = collector.wait(finished + 1);
    if (done) done(finished, generated);
  }
  if (!refused.ok()) return refused;
  return collector.take();
}

base::Result<Completion> generate(Engine& engine, Request request) {
  std::vector<Request> requests;
  requests.push_back(std::move(request));
  ASSIGN_OR_RETURN(std::vector<Completion> completions,
                   generate_all(engine, std::move(requests), 1, nullptr));
  return std::move(completions.front());
}

}  // namespace pagoda::engine
