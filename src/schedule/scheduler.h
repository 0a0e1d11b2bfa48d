#pragma once
// Who runs in the next step, and with how many tokens. Host only; owned by the engine thread.
//
// Continuous batching: a step takes one token of every sequence that is generating, then spends what is left
// of the token budget on prompts, cut into chunks. Order: priority (lower value first, as in vLLM), then
// arrival. When blocks run out, the last in that order among the running gives its blocks back and waits; it
// is recomputed later (its sealed blocks often survive in the cache until then). Swapping to host memory will
// be the other choice at that one place, `preempt`.
//
// Progress: submit refuses what does not fit into the empty cache. A sequence that finds no room keeps its
// blocks and sits out the step; the first in order can take the blocks of all others unless they are in the
// plan already, so while anything runs, no plan is empty. Nobody after it in order is admitted while it sits
// out, so it waits at most until those that were generating already are done.
//
// Running ahead: a step may be planned before the tokens of those before it are known. Steps are computed one
// after another, so submitted() counts one as computed at once. What a later step reads, an earlier one has
// written by then; and blocks can be given away while a step still to come writes to them: their next owner's
// step comes after it. Only tokens are late: in place of each stands kFutureToken until append() brings it,
// and until then its block is not sealed. Where an answer must end is known in advance, so a sequence whose
// last token is under way runs no more and holds no blocks. One that turns out to have ended earlier is
// removed as always; what steps under way still compute of it is for its owner to ignore.

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "base/status.h"
#include "base/strong_id.h"
#include "cache/block_cache.h"

namespace pagoda::schedule {

using SequenceId = base::StrongId<struct SequenceTag, std::int64_t>;

// Stands for a token that a submitted step samples. Only the last of a sequence's tokens is ever computed as
// one: the device has it by then.
inline constexpr std::int32_t kFutureToken = -1;

struct SchedulerOptions {
  std::int32_t max_num_seqs = 64;             // sequences in a step
  std::int32_t max_num_batched_tokens = 512;  // tokens in a step; at least max_num_seqs
  std::int32_t max_model_len = 4096;          // prompt and answer of one sequence
  // Bound of the queue. Those that ran already and were preempted do not count: they cannot be refused any
  // more, and must not make submit refuse what its caller was promised room for.
  std::int32_t max_waiting = 1024;
};

struct NewSequence {
  SequenceId id;
  std::vector<std::int32_t> prompt;  // not empty
  std::int32_t max_tokens = 0;       // of the answer
  std::int32_t priority = 0;         // lower runs first
  std::uint64_t salt = 0;            // sequences share prefixes only with the same salt
};

// The part of one sequence in a step.
struct ScheduledSequence {
  SequenceId id;
  std::int32_t first = 0;                // index of the first token to compute, = tokens already in the cache
  std::int32_t count = 0;                // tokens to compute
  bool samples = false;                  // the last of them is the last known: its logits give the next token
  std::span<const std::int32_t> tokens;  // the `count` tokens
  std::span<const cache::BlockId> blocks;  // covers first + count tokens
};

// Valid until the next call that changes the scheduler.
struct StepPlan {
  std::vector<ScheduledSequence> sequences;
  std::int32_t num_tokens = 0;
  bool empty() const { return sequences.empty(); }
};

class Scheduler {
 public:
  Scheduler(const SchedulerOptions& options, cache::BlockCache& cache);
  ~Scheduler();

  // kInvalidArgument with the number that was broken if such a sequence can never run. Safe from any thread.
  base::Status check_fits(std::size_t prompt_tokens, std::int64_t max_tokens) const;
  // As check_fits; kResourceExhausted if the queue is full.
  base::Status submit(NewSequence sequence);
  StepPlan plan();
  // The step will be computed before any that is planned from now on. Sequences that sample are one token
  // longer.
  void submitted(const StepPlan& plan);
  // The first of the sequence's tokens that was not known.
  void append(SequenceId id, std::int32_t token);
  // Finished or cancelled, in any state: its blocks are released. Unknown ids are ignored.
  void remove(SequenceId id);

  // Without those whose last token is under way.
  std::size_t num_running() const { return running_.size(); }
  std::size_t num_waiting() const { return waiting_.size(); }
  std::int64_t preemptions() const { return preemptions_; }
  // Tokens held in blocks of running sequences, for the measure of waste: those of a shared block count once.
  // The cache must be this scheduler's alone.
  std::int64_t cached_tokens() const;
  // Prompt and answer so far; tokens not known yet are kFutureToken.
  std::span<const std::int32_t> tokens(SequenceId id) const;
  // Tokens of the prompt that came from the prefix cache at first admission.
  std::int32_t prefix_hit_tokens(SequenceId id) const;

  void check_invariants() const;  // aborts; for tests and debug builds

 private:
  struct Sequence;
  struct Order {
    bool operator()(const Sequence* a, const Sequence* b) const;
  };
  using Queue = std::vector<Sequence*>;  // kept sorted by Order

  void add_to_plan(StepPlan& plan, Sequence& sequence, std::int32_t count);
  // Makes room for `tokens` tokens of `sequence`, preempting those after it in order. False: it must sit out
  // this step.
  bool make_room(Sequence& sequence, std::int32_t tokens);
  void preempt(Sequence& sequence);
  void seal(Sequence& sequence);
  void plan_running(StepPlan& plan, bool decodes);
  void plan_waiting(StepPlan& plan);
  static void insert(Queue& queue, Sequence* sequence);
  static void erase(Queue& queue, Sequence* sequence);

  SchedulerOptions options_;
  cache::BlockCache& cache_;
  std::map<SequenceId, std::unique_ptr<Sequence>> sequences_;
  Queue waiting_, running_;
  std::int32_t unstarted_ = 0;  // of the waiting, those that never ran
  std::int64_t arrivals_ = 0;
  std::int64_t preemptions_ = 0;
  const Sequence* no_room_ = nullptr;  // first in order of those that sit out the plan being made
};

}  // namespace pagoda::schedule
