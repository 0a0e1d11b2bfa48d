#include "schedule/scheduler.h"

#include <algorithm>
#include <tuple>

#include "base/check.h"

namespace pagoda::schedule {

struct Scheduler::Sequence {
  SequenceId id;
  std::vector<std::int32_t> tokens;  // prompt, then answer
  std::int32_t known = 0;            // leading tokens that are no kFutureToken
  std::int32_t limit = 0;            // tokens of prompt and longest answer
  std::int32_t priority = 0;
  std::int64_t arrival = 0;
  std::uint64_t salt = 0;
  std::int32_t computed =
      0;  // leading tokens whose keys and values are in the cache when the next step begins
  std::int32_t prefix_hit = -1;  // at first admission
  bool planned = false;          // already in the plan that is being made
  cache::BlockTable table;

  std::int32_t size() const { return static_cast<std::int32_t>(tokens.size()); }
  std::int32_t pending() const { return size() - computed; }
  bool started() const { return prefix_hit >= 0; }
};

bool Scheduler::Order::operator()(const Sequence* a, const Sequence* b) const {
  return std::tie(a->priority, a->arrival) < std::tie(b->priority, b->arrival);
}

Scheduler::Scheduler(const SchedulerOptions& options, cache::BlockCache& cache)
    : options_(options), cache_(cache) {
  CHECK(options.max_num_batched_tokens >= options.max_num_seqs && options.max_num_seqs > 0);
}

Scheduler::~Scheduler() = default;

base::Status Scheduler::check_fits(std::size_t prompt_tokens, std::int64_t max_tokens) const {
  if (prompt_tokens == 0) return base::invalid("the prompt has no tokens");
  if (max_tokens < 1) return base::invalid("max_tokens is {}, it must be at least 1", max_tokens);
  const std::int64_t length = static_cast<std::int64_t>(prompt_tokens) + max_tokens;
  if (length > options_.max_model_len)
    return base::invalid("the prompt's {} tokens and max_tokens {} make {}, more than --max-model-len {}",
                         prompt_tokens, max_tokens, length, options_.max_model_len);
  // The last token is never read back, so it needs no room.
  const std::int32_t blocks = cache_.blocks_for(static_cast<std::int32_t>(length) - 1);
  if (blocks > cache_.pool().total())
    return base::invalid("the request needs {} KV blocks of {} tokens, the cache has {} (--kv-cache-memory)",
                         blocks, cache_.block_size(), cache_.pool().total());
  return {};
}

base::Status Scheduler::submit(NewSequence sequence) {
  RETURN_IF_ERROR(check_fits(sequence.prompt.size(), sequence.max_tokens));
  if (unstarted_ >= options_.max_waiting)
    return base::error(base::Code::kResourceExhausted, "{} requests are waiting, the limit is {}", unstarted_,
                       options_.max_waiting);
  auto added = std::make_unique<Sequence>();
  added->id = sequence.id;
  added->tokens = std::move(sequence.prompt);
  added->known = added->size();
  added->limit = added->known + sequence.max_tokens;
  added->priority = sequence.priority;
  added->arrival = arrivals_++;
  added->salt = sequence.salt;
  insert(waiting_, added.get());
  ++unstarted_;
  CHECK(sequences_.emplace(sequence.id, std::move(added)).second);
  return {};
}

StepPlan Scheduler::plan() {
  StepPlan plan;
  const std::int64_t preemptions = preemptions_;
  no_room_ = nullptr;
  for (Sequence* sequence : running_) sequence->planned = false;
  plan_running(plan, /*decodes=*/true);
  plan_running(plan, /*decodes=*/false);
  // Whoever was just preempted would take the blocks straight back.
  if (preemptions == preemptions_) plan_waiting(plan);
  return plan;
}

void Scheduler::plan_running(StepPlan& plan, bool decodes) {
  // By index: make_room removes sequences behind the current one.
  for (std::size_t i = 0; i < running_.size(); ++i) {
    Sequence& sequence = *running_[i];
    const std::int32_t budget = options_.max_num_batched_tokens - plan.num_tokens;
    const std::int32_t count = std::min(sequence.pending(), budget);
    if (sequence.planned || (sequence.pending() == 1) != decodes || count <= 0) continue;
    if (make_room(sequence, sequence.computed + count))
      add_to_plan(plan, sequence, count);
    else if (no_room_ == nullptr || Order()(&sequence, no_room_))
      no_room_ = &sequence;
  }
}

void Scheduler::plan_waiting(StepPlan& plan) {
  while (!waiting_.empty() && static_cast<std::int32_t>(running_.size()) < options_.max_num_seqs) {
    Sequence& sequence = *waiting_.front();
    if (sequence.known < sequence.size()) return;  // preempted with a token under way
    const std::int32_t budget = options_.max_num_batched_tokens - plan.num_tokens;
    if (budget <= 0) return;
    // Small ones that come later must not take the blocks that an earlier one is short of, or it may starve.
    if (no_room_ != nullptr && Order()(no_room_, &sequence)) return;
    // Leave each running sequence the block it may need next: admitting into the last blocks only to preempt
    // in the next step computes the prompt twice. At least one new block is wanted, so look no further if
    // none is left.
    const auto reserve = static_cast<std::int32_t>(running_.size());
    if (reserve >= cache_.available()) return;
    sequence.computed = cache_.start(sequence.table, sequence.tokens, sequence.salt);
    const std::int32_t count = std::min(sequence.pending(), budget);
    const std::int32_t wanted = cache_.blocks_for(sequence.computed + count) -
                                static_cast<std::int32_t>(sequence.table.blocks.size());
    if (wanted + reserve > cache_.available() || !cache_.grow(sequence.table, sequence.computed + count)) {
      cache_.undo_start(sequence.table, sequence.size());
      sequence.computed = 0;
      return;
    }
    if (!sequence.started()) {
      sequence.prefix_hit = sequence.computed;
      --unstarted_;
    }
    erase(waiting_, &sequence);
    insert(running_, &sequence);
    add_to_plan(plan, sequence, count);
  }
}

void Scheduler::add_to_plan(StepPlan& plan, Sequence& sequence, std::int32_t count) {
  sequence.planned = true;
  plan.num_tokens += count;
  plan.sequences.push_back({.id = sequence.id,
                            .first = sequence.computed,
                            .count = count,
                            .samples = count == sequence.pending(),
                            .tokens = std::span(sequence.tokens).subspan(sequence.computed, count),
                            .blocks = sequence.table.blocks});
}

bool Scheduler::make_room(Sequence& sequence, std::int32_t tokens) {
  while (!cache_.grow(sequence.table, tokens)) {
    // The last in order that is not in the plan yet; what is in the plan stays there.
    const auto victim = std::find_if(running_.rbegin(), running_.rend(), [&](const Sequence* candidate) {
      return candidate == &sequence || !candidate->planned;
    });
    if (*victim == &sequence) return false;
    preempt(**victim);
  }
  return true;
}

void Scheduler::preempt(Sequence& sequence) {
  cache_.release(sequence.table);
  sequence.computed = 0;
  erase(running_, &sequence);
  insert(waiting_, &sequence);
  ++preemptions_;
}

void Scheduler::submitted(const StepPlan& plan) {
  for (const ScheduledSequence& part : plan.sequences) {
    const auto found = sequences_.find(part.id);
    if (found == sequences_.end()) continue;
    Sequence& sequence = *found->second;
    sequence.computed = part.first + part.count;
    if (part.samples) sequence.tokens.push_back(kFutureToken);
    seal(sequence);
    if (sequence.size() < sequence.limit) continue;
    cache_.release(sequence.table);
    sequence.computed = 0;
    erase(running_, &sequence);
  }
}

void Scheduler::append(SequenceId id, std::int32_t token) {
  Sequence& sequence = *sequences_.at(id);
  CHECK(sequence.known < sequence.size());
  sequence.tokens[sequence.known++] = token;
  seal(sequence);
}

void Scheduler::seal(Sequence& sequence) {
  cache_.seal(sequence.table, sequence.tokens, std::min(sequence.computed, sequence.known));
}

void Scheduler::remove(SequenceId id) {
  const auto found = sequences_.find(id);
  if (found == sequences_.end()) return;
  Sequence& sequence = *found->second;
  if (!sequence.started()) --unstarted_;
  cache_.release(sequence.table);
  erase(waiting_, &sequence);
  erase(running_, &sequence);
  sequences_.erase(found);
}

std::int64_t Scheduler::cached_tokens() const {
  const std::int64_t block_size = cache_.block_size();
  std::int64_t tokens = cache_.pool().used() * block_size;
  // Shared blocks are full, so what is unused belongs to one sequence alone.
  for (const Sequence* sequence : running_)
    tokens -= static_cast<std::int64_t>(sequence->table.blocks.size()) * block_size - sequence->computed;
  return tokens;
}

std::span<const std::int32_t> Scheduler::tokens(SequenceId id) const { return sequences_.at(id)->tokens; }

std::int32_t Scheduler::prefix_hit_tokens(SequenceId id) const {
  return std::max(0, sequences_.at(id)->prefix_hit);
}

void Scheduler::insert(Queue& queue, Sequence* sequence) {
  queue.insert(std::upper_bound(queue.begin(), queue.end(), sequence, Order()), sequence);
}

void Scheduler::erase(Queue& queue, Sequence* sequence) {
  const auto found = std::find(queue.begin(), queue.end(), sequence);
  if (found != queue.end()) queue.erase(found);
}

void Scheduler::check_invariants() const {
  std::size_t leaving = 0;
  for (const auto& [id, sequence] : sequences_) {
    CHECK(sequence->known <= sequence->size() && sequence->size() <= sequence->limit);
    if (sequence->size() < sequence->limit) continue;
    CHECK(sequence->table.blocks.empty());
    ++leaving;
  }
  CHECK(running_.size() + waiting_.size() + leaving == sequences_.size());
  CHECK(static_cast<std::int32_t>(running_.size()) <= options_.max_num_seqs);
  CHECK(std::is_sorted(running_.begin(), running_.end(), Order()));
  CHECK(std::is_sorted(waiting_.begin(), waiting_.end(), Order()));
  std::vector<const cache::BlockTable*> tables;
  for (const Sequence* sequence : running_) {
    CHECK(sequence->computed <= sequence->size());
    CHECK(cache_.blocks_for(sequence->computed) <= static_cast<std::int32_t>(sequence->table.blocks.size()));
    tables.push_back(&sequence->table);
  }
  std::int32_t unstarted = 0;
  for (const Sequence* sequence : waiting_) {
    CHECK(sequence->table.blocks.empty() && sequence->computed == 0);
    unstarted += sequence->started() ? 0 : 1;
  }
  CHECK(unstarted == unstarted_);
  cache_.check_invariants(tables);
}

}  // namespace pagoda::schedule
