#pragma once
// The narrow interface between those who want text and those who compute it. README.md of this folder is the
// contract.
//
// submit, cancel, stats and drain may be called from any thread but the engine's own (that is: not from a
// sink).

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/status.h"
#include "cache/block_cache.h"
#include "engine/request.h"
#include "engine/stream.h"
#include "execute/runner.h"
#include "schedule/scheduler.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace pagoda::engine {

struct EngineOptions {
  execute::RunnerOptions runner;
  std::int32_t max_waiting = 1024;  // accepted requests that no step has started yet
  bool prefix_caching = true;
  // Steps that may be planned and submitted while the device computes the one before: 0 or 1. A step is
  // collected at once where the executor or a request does not allow more.
  std::int32_t steps_ahead = 1;
  bool time_device = false;  // fill Stats::device_time
};

struct Stats {
  std::int32_t running = 0, waiting = 0;
  std::int32_t kv_blocks_total = 0, kv_blocks_used = 0, kv_blocks_cached = 0;  // the rest is free
  std::int64_t kv_tokens = 0;  // tokens of running sequences that the used blocks hold
  std::int64_t steps = 0, preemptions = 0, evictions = 0;
  std::int64_t prompt_tokens = 0, generated_tokens = 0;
  std::int64_t prefix_queries_tokens = 0, prefix_hits_tokens = 0;
  std::int64_t finished[4] = {};    // by FinishReason
  execute::DeviceTime device_time;  // of the steps; without the time in which there was nothing to do
};

class Engine {
 public:
  // `tokenizer` and `chat_template` belong to the runner's model. Starts the engine's thread.
  Engine(std::unique_ptr<execute::Runner> runner, text::Tokenizer tokenizer, text::ChatTemplate chat_template,
         const EngineOptions& options);
  // Cancels what is left.
  ~Engine();

  // Checks and accepts a request; its sink hears everything from then on. kInvalidArgument with the number
  // that was broken, kResourceExhausted when the queue is full, kFailedPrecondition when draining: then the
  // sink hears nothing.
  base::Result<RequestId> submit(Request request, Sink sink);
  // Ends it with kCancelled at the next step, if it is not over by then. Unknown ids are ignored.
  void cancel(RequestId id);
  Stats stats() const;
  // Refuses new requests from now on and returns when all accepted ones are over.
  void drain();

  const text::Tokenizer& tokenizer() const { return tokenizer_; }
  const text::ChatTemplate& chat_template() const { return chat_template_; }
  const execute::MemoryPlan& memory() const { return runner_->memory(); }
  const execute::RunnerOptions& limits() const { return runner_->options(); }
  bool on_device() const { return runner_->ops().on_device(); }
  std::string device() const { return runner_->ops().description(); }

 private:
  struct Submission {
    RequestId id;
    Request request;
    Sink sink;
    Times::Point when;
  };
  void loop();
  // Waits for work if there is none. False when the engine shall end.
  bool take_inbox();
  void start(Submission submission);
  void submit(const schedule::StepPlan& plan);
  // Takes the tokens of the step that was submitted longest ago.
  void collect();
  // Steps that may be in flight when the next is planned.
  std::size_t steps_ahead() const {
    return synchronous_ == 0 ? static_cast<std::size_t>(options_.steps_ahead) : 0;
  }
  // Takes a request that is over out of all books but `live_`, and keeps it in `ended_` until its last piece
  // is sent.
  void retire(RequestId id, FinishReason reason);
  void publish_stats();
  // Sends the pieces of this step. Last of all, so that whoever hears the end of a request finds its blocks
  // released and the stats up to date.
  void emit();

  // Immutable after construction.
  text::Tokenizer tokenizer_;
  text::ChatTemplate chat_template_;
  EngineOptions options_;

  // The engine thread's.
  std::unique_ptr<execute::Runner> runner_;
  cache::BlockCache cache_;
  schedule::Scheduler scheduler_;
  std::map<RequestId, Stream> streams_;
  Stats totals_;
  std::int32_t synchronous_ = 0;  // of the streams, those whose tokens the executor cannot feed to itself
  std::vector<execute::StepSequence> batch_;
  struct StepPart {
    RequestId request;  // may be over by the time the step is collected
    bool samples;
  };
  std::deque<std::vector<StepPart>> in_flight_;  // submitted steps, in order
  struct Piece {
    const Stream* stream;  // in streams_ or ended_
    Delta delta;
  };
  std::vector<Piece> pieces_;
  std::vector<std::map<RequestId, Stream>::node_type> ended_;

  // Shared, under mutex_.
  mutable std::mutex mutex_;
  std::condition_variable wake_, idle_;
  std::vector<Submission> inbox_;
  std::vector<RequestId> cancelled_;
  Stats published_;
  std::int64_t next_id_ = 1;
  std::int64_t live_ = 0;  // accepted and not over
  bool draining_ = false, stopping_ = false;

  std::thread thread_;  // last: starts when all else is there
};

}  // namespace pagoda::engine
