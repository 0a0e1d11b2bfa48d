#include "simulation.h"

namespace pagoda::simulate {
namespace {

constexpr std::int32_t kVocabulary = 5;  // small: prompts often begin alike by chance too

// The fake model: a function of the whole prefix, so one wrong slot changes all that follows.
std::int32_t next_token(Content content) { return static_cast<std::int32_t>(mix(content + 7) % kVocabulary); }

// The answer as one request alone would get it, without scheduler and cache.
std::vector<std::int32_t> run_alone(std::span<const std::int32_t> prompt, std::uint64_t salt,
                                    std::int32_t answer_size) {
  std::vector<std::int32_t> tokens(prompt.begin(), prompt.end());
  Content content = content_root(salt);
  for (std::size_t i = 0; tokens.size() < prompt.size() + answer_size; ++i) {
    content = content_after(content, tokens[i]);
    if (i + 1 == tokens.size()) tokens.push_back(next_token(content));
  }
  return tokens;
}

}  // namespace

std::string Simulation::step(bool arrivals) {
  ++step_;
  ++totals_.steps;
  for (int i = 0; arrivals && i < 4 && random_.chance(scenario_.arrivals_per_mille); ++i) {
    if (std::string wrong = submit(); !wrong.empty()) return wrong;
  }
  if (random_.chance(scenario_.cancels_per_mille)) remove_random();
  schedule::StepPlan plan = scheduler_.plan();
  scheduler_.check_invariants();
  if (sabotage_ && !sabotaged_) sabotaged_ = sabotage_(plan, sabotaged_blocks_);
  if (std::string wrong = check_plan(plan); !wrong.empty()) return wrong;
  if (std::string wrong = check_order(plan); !wrong.empty()) return wrong;
  if (std::string wrong = submit_step(plan); !wrong.empty()) return wrong;
  scheduler_.check_invariants();
  kv_.poison_free(cache_.pool());
  return {};
}

std::vector<std::int32_t> Simulation::random_tokens(std::int32_t longest) {
  std::vector<std::int32_t> tokens(random_.between(0, longest));
  for (std::int32_t& token : tokens) token = random_.between(0, kVocabulary - 1);
  return tokens;
}

std::string Simulation::submit() {
  Request request;
  request.tokens = prefixes_[random_.between(0, scenario_.prefixes - 1)];
  const auto prefix_size = static_cast<std::int32_t>(request.tokens.size());
  request.tokens.resize(random_.chance(300) ? 0 : random_.between(0, prefix_size));
  for (const std::int32_t token :
       random_tokens(random_.chance(300) ? scenario_.prompt_max / 8 : scenario_.prompt_max / 2))
    request.tokens.push_back(token);
  const std::int32_t max_tokens = random_.between(random_.chance(10) ? 0 : 1, scenario_.answer_max);
  request.prompt_size = static_cast<std::int32_t>(request.tokens.size());
  // Many answers end before their limit.
  request.answer_size = random_.chance(500) || max_tokens == 0 ? max_tokens : random_.between(1, max_tokens);
  request.known = request.prompt_size;
  request.max_tokens = max_tokens;
  request.priority = random_.between(0, scenario_.priorities - 1);
  request.salt = random_.between(0, scenario_.salts - 1);

  const std::int32_t length = request.prompt_size + max_tokens;
  const bool possible = request.prompt_size > 0 && max_tokens > 0 &&
                        length <= scenario_.scheduler.max_model_len &&
                        length - 1 <= scenario_.num_blocks * scenario_.block_size;
  base::Code expected = base::Code::kOk;
  if (!possible)
    expected = base::Code::kInvalidArgument;
  else if (unstarted_ >= scenario_.scheduler.max_waiting)
    expected = base::Code::kResourceExhausted;
  const std::int64_t id = next_id_++;
  const base::Status status = scheduler_.submit({.id = schedule::SequenceId(id),
                                                 .prompt = request.tokens,
                                                 .max_tokens = max_tokens,
                                                 .priority = request.priority,
                                                 .salt = request.salt});
  if (status.code() != expected)
    return fmt::format("submit of {} + {} tokens: {} ({}), expected {}", request.prompt_size, max_tokens,
                       base::code_name(status.code()), status.message(), base::code_name(expected));
  ++(status.ok() ? totals_.accepted : totals_.refused);
  if (!status.ok()) return {};
  Content content = content_root(request.salt);
  for (const std::int32_t token : request.tokens)
    request.contents.push_back(content = content_after(content, token));
  live_.emplace(id, std::move(request));
  ++unstarted_;
  return {};
}

void Simulation::remove(std::int64_t id) {
  scheduler_.remove(schedule::SequenceId(id));
  const auto found = live_.find(id);
  if (found == live_.end()) return;
  if (!found->second.started) --unstarted_;
  live_.erase(found);
}

void Simulation::remove_random() {
  if (live_.empty() || random_.chance(100)) return remove(next_id_ + 1);  // nobody has that id
  ++totals_.cancelled;
  remove(std::next(live_.begin(), random_.between(0, static_cast<std::int32_t>(live_.size()) - 1))->first);
}

std::string Simulation::check_plan(const schedule::StepPlan& plan) {
  if (plan.empty() && !live_.empty() && in_flight_.empty())
    return fmt::format("the plan is empty, {} requests are not over", live_.size());
  if (static_cast<std::int32_t>(plan.sequences.size()) > scenario_.scheduler.max_num_seqs)
    return fmt::format("{} sequences in the plan", plan.sequences.size());
  std::int32_t num_tokens = 0;
  admitted_.clear();
  for (const schedule::ScheduledSequence& part : plan.sequences) {
    const auto found = live_.find(part.id.value);
    if (found == live_.end()) return fmt::format("sequence {} is in the plan, it is over", part.id.value);
    if (!found->second.started || part.first != found->second.computed) admitted_.push_back(part.id.value);
    if (std::string wrong = check_part(part, found->second); !wrong.empty())
      return fmt::format("sequence {}: {}", part.id.value, wrong);
    num_tokens += part.count;
  }
  if (num_tokens != plan.num_tokens || num_tokens > scenario_.scheduler.max_num_batched_tokens)
    return fmt::format("{} tokens in the plan, it says {}", num_tokens, plan.num_tokens);
  return {};
}

std::string Simulation::check_part(const schedule::ScheduledSequence& part, Request& request) {
  const auto size = static_cast<std::int32_t>(request.tokens.size());
  if (request.planned_in == step_) return "twice in the plan";
  if (part.first < 0 || part.count < 1 || part.first + part.count > size)
    return fmt::format("tokens {} to {} of {}", part.first, part.first + part.count - 1, size);
  for (std::int32_t i = 0; i < part.count; ++i) {
    const std::int32_t position = part.first + i;
    const bool known = position < request.known;
    if (part.tokens[i] != (known ? request.tokens[position] : schedule::kFutureToken))
      return "not its tokens";
    if (!known && i + 1 < part.count) return "more than its last token is to come";
  }
  if (part.samples != (part.first + part.count == size)) return fmt::format("samples is {}", part.samples);
  // Work is lost by preemption alone, and what is found again is whole blocks.
  const bool may_restart = !request.started || request.preemptions_then != scheduler_.preemptions();
  if (part.first != request.computed && !may_restart)
    return fmt::format("begins at {}, {} were computed", part.first, request.computed);
  if (part.first != request.computed &&
      (part.first % scenario_.block_size != 0 || (part.first > 0 && !scenario_.prefix_caching)))
    return fmt::format("begins again at {}", part.first);
  if (!request.started) {
    --unstarted_;
    if (scheduler_.prefix_hit_tokens(part.id) != part.first)
      return "prefix_hit_tokens is not where it begins";
  }
  request.started = true;
  request.planned_in = step_;
  request.preemptions_then = scheduler_.preemptions();
  return {};
}

std::string Simulation::check_order(const schedule::StepPlan& plan) {
  const auto before = [](const auto& a, const auto& b) {
    return std::tie(a.second.priority, a.first) < std::tie(b.second.priority, b.first);
  };
  // Nobody is let in past one that comes first and got nothing. (Budget is left when anybody is let in.)
  if (!admitted_.empty()) {
    const auto last = std::max_element(
        admitted_.begin(), admitted_.end(),
        [&](std::int64_t a, std::int64_t b) { return before(*live_.find(a), *live_.find(b)); });
    for (const auto& candidate : live_) {
      if (candidate.second.planned_in != step_ && !is_leaving(candidate.second) &&
          before(candidate, *live_.find(*last)))
        return fmt::format("sequence {} is let in, {} comes first and is not in the plan", *last,
                           candidate.first);
    }
  }
  // The first of all has to wait at most until those that were quicker are over.
  if (plan.empty()) return {};
  const auto first = std::min_element(live_.begin(), live_.end(), before);
  first_absent_ = first->second.planned_in == step_ || first->first != first_id_ ? 0 : first_absent_ + 1;
  first_id_ = first->first;
  if (first_absent_ > drain_bound()) return fmt::format("sequence {} is first and starves", first_id_);
  return {};
}

std::string Simulation::submit_step(const schedule::StepPlan& plan) {
  if (!plan.empty()) {
    Sampled sampled;
    if (std::string wrong = compute(plan, sampled); !wrong.empty()) return wrong;
    // A client may leave while the step is computed.
    if (random_.chance(scenario_.cancels_per_mille)) remove_random();
    scheduler_.submitted(plan);
    in_flight_.push_back(std::move(sampled));
  }
  scheduler_.check_invariants();
  while (static_cast<std::int32_t>(in_flight_.size()) > (plan.empty() ? 0 : scenario_.steps_ahead)) {
    if (random_.chance(scenario_.cancels_per_mille)) remove_random();
    const Sampled sampled = std::move(in_flight_.front());
    in_flight_.pop_front();
    if (std::string wrong = deliver(sampled); !wrong.empty()) return wrong;
  }
  return {};
}

// What the device does: at once, while the scheduler hears of it later. Blocks that are freed meanwhile are
// emptied, and used by the next step, as they are on a device that computes steps in order.
std::string Simulation::compute(const schedule::StepPlan& plan, Sampled& sampled) {
  std::vector<SimulatedKv::Expected> expected;
  std::vector<std::vector<std::int32_t>> tokens(plan.sequences.size());
  schedule::StepPlan resolved = plan;
  for (std::size_t i = 0; i < plan.sequences.size(); ++i) {
    schedule::ScheduledSequence& part = resolved.sequences[i];
    const Request& request = live_.at(part.id.value);
    expected.push_back({content_root(request.salt), request.contents});
    tokens[i].assign(part.tokens.begin(), part.tokens.end());
    if (tokens[i].back() == schedule::kFutureToken) tokens[i].back() = request.tokens.back();
    part.tokens = tokens[i];
  }
  if (std::string wrong = kv_.step(resolved, expected, cache_.pool()); !wrong.empty()) return wrong;
  totals_.tokens += plan.num_tokens;
  for (const schedule::ScheduledSequence& part : plan.sequences) {
    Request& request = live_.at(part.id.value);
    request.computed = part.first + part.count;
    if (!part.samples) continue;
    sampled.emplace_back(part.id.value, next_token(kv_.last_content(part)));
    push_token(request, sampled.back().second);
  }
  return {};
}

std::string Simulation::deliver(const Sampled& sampled) {
  for (const auto& [id, token] : sampled) {
    const auto found = live_.find(id);
    if (found == live_.end()) {
      ++totals_.ignored;
      continue;
    }
    Request& request = found->second;
    scheduler_.append(schedule::SequenceId(id), token);
    if (++request.known < request.prompt_size + request.answer_size) continue;
    if (std::string wrong = finish(id, request); !wrong.empty()) return wrong;
  }
  return {};
}

void Simulation::push_token(Request& request, std::int32_t token) {
  request.tokens.push_back(token);
  request.contents.push_back(content_after(request.contents.back(), token));
}

std::string Simulation::finish(std::int64_t id, const Request& request) {
  const auto alone =
      run_alone(std::span(request.tokens).first(request.prompt_size), request.salt, request.answer_size);
  const auto got = scheduler_.tokens(schedule::SequenceId(id));
  const auto known = got.begin() + request.known;
  if (!std::equal(got.begin(), known, alone.begin(), alone.end()) ||
      !std::all_of(known, got.end(), [](std::int32_t token) { return token == schedule::kFutureToken; }))
    return fmt::format("the tokens of sequence {} are not those it has alone", id);
  ++totals_.finished;
  remove(id);
  return {};
}

std::int64_t Simulation::drain_bound() const {
  std::int64_t bound = 1 + scenario_.steps_ahead;
  for (const auto& [id, request] : live_)
    bound += (request.prompt_size + request.answer_size) * (1 + scenario_.steps_ahead);
  return bound;
}

std::string Simulation::check_empty() const {
  const cache::BlockPool& pool = cache_.pool();
  if (scheduler_.num_running() + scheduler_.num_waiting() != 0) return "sequences are left";
  if (pool.used() != 0) return fmt::format("{} blocks are in use by nobody", pool.used());
  if (!scenario_.prefix_caching && pool.free() != pool.total())
    return "blocks are kept without prefix caching";
  if (scheduler_.cached_tokens() != 0) return "tokens are held by nobody";
  return {};
}

void Simulation::add_counters() const {
  totals_.preemptions += scheduler_.preemptions();
  totals_.evictions += cache_.counters().evictions;
  totals_.prefix_hits_tokens += cache_.counters().prefix_hits_tokens;
}

}  // namespace pagoda::simulate
