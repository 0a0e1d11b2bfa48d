#include "engine/engine.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace pagoda::engine {
namespace {

schedule::SchedulerOptions scheduler_options(const execute::RunnerOptions& runner) {
  schedule::SchedulerOptions options;
  options.max_num_seqs = runner.max_num_seqs;
  options.max_num_batched_tokens = runner.max_num_batched_tokens;
  options.max_model_len = runner.max_model_len;
  options.max_waiting =
      std::numeric_limits<std::int32_t>::max();  // submit() bounds the queue before it gets here
  return options;
}

}  // namespace

Engine::Engine(std::unique_ptr<execute::Runner> runner, text::Tokenizer tokenizer,
               text::ChatTemplate chat_template, const EngineOptions& options)
    : tokenizer_(std::move(tokenizer)),
      chat_template_(std::move(chat_template)),
      options_(options),
      runner_(std::move(runner)),
      cache_(runner_->memory().kv_blocks, runner_->memory().kv_block_size, options.prefix_caching),
      scheduler_(scheduler_options(runner_->options()), cache_) {
  batch_.reserve(runner_->options().max_num_seqs);
  publish_stats();
  thread_ = std::thread([this] { loop(); });
}

Engine::~Engine() {
  {
    const std::lock_guard lock(mutex_);
    draining_ = stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

base::Result<RequestId> Engine::submit(Request request, Sink sink) {
  RETURN_IF_ERROR(execute::check_sampling(request.sampling));
  const std::int64_t vocab = runner_->weights().shape.vocab_size;
  for (const text::TokenId token : request.prompt)
    if (token.value < 0 || token.value >= vocab)
      return base::invalid("the prompt holds token id {}, the model has ids 0 to {}", token.value, vocab - 1);
  for (const std::string& stop : request.stop)
    if (stop.empty()) return base::invalid("a stop string is empty");
  const std::int64_t room =
      runner_->options().max_model_len - static_cast<std::int64_t>(request.prompt.size());
  if (request.max_tokens == 0)
    request.max_tokens = static_cast<std::int32_t>(std::max<std::int64_t>(room, 1));
  RETURN_IF_ERROR(scheduler_.check_fits(request.prompt.size(), request.max_tokens));

  RequestId id;
  {
    const std::lock_guard lock(mutex_);
    if (draining_) return base::error(base::Code::kFailedPrecondition, "the engine is shutting down");
    const std::int64_t waiting = published_.waiting + static_cast<std::int64_t>(inbox_.size());
    if (waiting >= options_.max_waiting)
      return base::error(base::Code::kResourceExhausted, "{} requests are waiting, the limit is {}", waiting,
                         options_.max_waiting);
    id = RequestId(next_id_++);
    ++live_;
    inbox_.push_back({id, std::move(request), std::move(sink), std::chrono::steady_clock::now()});
  }
  wake_.notify_one();
  return id;
}

void Engine::cancel(RequestId id) {
  {
    const std::lock_guard lock(mutex_);
    cancelled_.push_back(id);
  }
  wake_.notify_one();
}

Stats Engine::stats() const {
  const std::lock_guard lock(mutex_);
  Stats stats = published_;
  stats.waiting += static_cast<std::int32_t>(inbox_.size());
  return stats;
}

void Engine::drain() {
  std::unique_lock lock(mutex_);
  draining_ = true;
  idle_.wait(lock, [this] { return live_ == 0; });
}

void Engine::loop() {
  while (take_inbox()) {
    while (in_flight_.size() > steps_ahead()) collect();
    const schedule::StepPlan plan = scheduler_.plan();
    if (!plan.empty()) submit(plan);
    // Without a plan, those in flight are all there is to wait for.
    while (in_flight_.size() > (plan.empty() ? 0 : steps_ahead())) collect();
    publish_stats();
    emit();
  }
  while (!in_flight_.empty()) collect();
  publish_stats();
  emit();
}

bool Engine::take_inbox() {
  std::vector<Submission> submissions;
  std::vector<RequestId> cancelled;
  bool stopping = false;
  const bool idle = streams_.empty() && in_flight_.empty();
  {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return !idle || !inbox_.empty() || !cancelled_.empty() || stopping_; });
    submissions.swap(inbox_);
    cancelled.swap(cancelled_);
    stopping = stopping_;
    published_.waiting +=
        static_cast<std::int32_t>(submissions.size());  // until publish_stats() counts them anew
  }
  if (idle && options_.time_device) runner_->start_timing();
  for (Submission& submission : submissions) start(std::move(submission));
  if (stopping)
    for (const auto& [id, stream] : streams_) cancelled.push_back(id);
  for (const RequestId id : cancelled) {
    const auto found = streams_.find(id);
    if (found == streams_.end()) continue;
    pieces_.push_back({&found->second, found->second.end(FinishReason::kCancelled, "")});
    retire(id, FinishReason::kCancelled);
  }
  return !stopping;
}

void Engine::start(Submission submission) {
  schedule::NewSequence sequence;
  sequence.id = schedule::SequenceId(submission.id.value);
  for (const text::TokenId token : submission.request.prompt) sequence.prompt.push_back(token.value);
  sequence.max_tokens = submission.request.max_tokens;
  sequence.priority = submission.request.priority;
  sequence.salt = submission.request.salt;
  totals_.prompt_tokens += static_cast<std::int64_t>(sequence.prompt.size());
  if (!runner_->feeds_itself(submission.request.sampling)) ++synchronous_;
  CHECK(scheduler_.submit(std::move(sequence)).ok());  // checked by submit()
  const auto added = streams_.try_emplace(submission.id, submission.id, std::move(submission.request),
                                          std::move(submission.sink), tokenizer_, chat_template_.stop_ids());
  added.first->second.submitted(submission.when);
}

void Engine::submit(const schedule::StepPlan& plan) {
  batch_.clear();
  std::vector<StepPart>& parts = in_flight_.emplace_back();
  parts.reserve(plan.sequences.size());
  const Times::Point begin = std::chrono::steady_clock::now();
  for (const schedule::ScheduledSequence& part : plan.sequences) {
    const RequestId id(part.id.value);
    Stream& stream = streams_.at(id);
    stream.scheduled(begin);
    batch_.push_back({&part, scheduler_.tokens(part.id), &stream.request().sampling});
    parts.push_back({id, part.samples});
  }
  runner_->submit(batch_);
  scheduler_.submitted(plan);
}

void Engine::collect() {
  std::vector<execute::SampledToken> sampled = runner_->collect();
  const std::vector<StepPart> parts = std::move(in_flight_.front());
  in_flight_.pop_front();
  const Times::Point end = std::chrono::steady_clock::now();
  ++totals_.steps;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (!parts[i].samples) continue;
    const auto found = streams_.find(parts[i].request);
    if (found == streams_.end()) continue;  // stopped or cancelled while the step was under way
    Stream& stream = found->second;
    const schedule::SequenceId id(parts[i].request.value);
    stream.set_cached_tokens(scheduler_.prefix_hit_tokens(id));
    ++totals_.generated_tokens;
    scheduler_.append(id, sampled[i].token);
    pieces_.push_back({&stream, stream.accept(std::move(sampled[i]), end)});
    if (const auto reason = pieces_.back().delta.finish) retire(parts[i].request, *reason);
  }
}

void Engine::retire(RequestId id, FinishReason reason) {
  scheduler_.remove(schedule::SequenceId(id.value));
  ended_.push_back(streams_.extract(id));
  if (!runner_->feeds_itself(ended_.back().mapped().request().sampling)) --synchronous_;
  ++totals_.finished[static_cast<std::size_t>(reason)];
}

void Engine::emit() {
  for (const Piece& piece : pieces_) piece.stream->emit(piece.delta);
  pieces_.clear();
  if (ended_.empty()) return;
  const auto count = static_cast<std::int64_t>(ended_.size());
  ended_.clear();
  const std::lock_guard lock(mutex_);
  live_ -= count;
  if (live_ == 0) idle_.notify_all();
}

void Engine::publish_stats() {
  totals_.waiting = static_cast<std::int32_t>(scheduler_.num_waiting());
  totals_.running = static_cast<std::int32_t>(streams_.size()) - totals_.waiting;
  totals_.kv_blocks_total = cache_.pool().total();
  totals_.kv_blocks_used = cache_.pool().used();
  totals_.kv_blocks_cached = cache_.pool().idle();
  totals_.kv_tokens = scheduler_.cached_tokens();
  totals_.preemptions = scheduler_.preemptions();
  totals_.evictions = cache_.counters().evictions;
  totals_.prefix_queries_tokens = cache_.counters().prefix_queries_tokens;
  totals_.prefix_hits_tokens = cache_.counters().prefix_hits_tokens;
  totals_.device_time = runner_->device_time();
  const std::lock_guard lock(mutex_);
  published_ = totals_;
}

}  // namespace pagoda::engine
