#include <algorithm>
#include <cmath>
#include <limits>

#include "execute/sampling.h"

namespace pagoda::execute {
namespace {

// Uniform on [0, 1), a pure function of its arguments: neither batch order nor preemption changes a draw.
double uniform(std::uint64_t seed, std::uint64_t position) {
  std::uint64_t x = seed + (position + 1) * 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  x ^= x >> 31;
  return static_cast<double>(x >> 11) * 0x1.0p-53;
}

// Sixteen running maxima, so that the compiler can use vector registers.
float maximum(std::span<const float> values) {
  constexpr std::size_t kLanes = 16;
  float lanes[kLanes];
  std::fill(std::begin(lanes), std::end(lanes), -std::numeric_limits<float>::infinity());
  std::size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes)
    for (std::size_t j = 0; j < kLanes; ++j) lanes[j] = values[i + j] > lanes[j] ? values[i + j] : lanes[j];
  for (; i < values.size(); ++i) lanes[0] = std::max(lanes[0], values[i]);
  return *std::max_element(std::begin(lanes), std::end(lanes));
}

double log_sum_exp(std::span<const float> values) {
  const float largest = maximum(values);
  double sum = 0;
  for (const float value : values) sum += std::exp(value - largest);
  return largest + std::log(sum);
}

// Ties by token id, so that the order, and with it the draw, is defined.
constexpr auto likelier = [](const auto& a, const auto& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
};

}  // namespace

std::int32_t argmax(std::span<const float> values) {
  const float largest = maximum(values);
  const auto found = std::find(values.begin(), values.end(), largest);
  return found == values.end() ? 0 : static_cast<std::int32_t>(found - values.begin());  // all NaN: the first
}

base::Status check_sampling(const Sampling& s) {
  if (!(s.temperature >= 0 && s.temperature <= 100))
    return base::invalid("temperature is {}, it must be between 0 and 100", s.temperature);
  if (s.top_k < -1) return base::invalid("top_k is {}, it must be -1 or 0 (off) or positive", s.top_k);
  if (!(s.top_p > 0 && s.top_p <= 1)) return base::invalid("top_p is {}, it must be in (0, 1]", s.top_p);
  if (!(s.min_p >= 0 && s.min_p <= 1)) return base::invalid("min_p is {}, it must be in [0, 1]", s.min_p);
  if (!(s.repetition_penalty > 0 && s.repetition_penalty <= 100))
    return base::invalid("repetition_penalty is {}, it must be in (0, 100]", s.repetition_penalty);
  if (s.logprobs < -1 || s.logprobs > kMaxLogprobs)
    return base::invalid("logprobs is {}, it must be between 0 and {}", s.logprobs, kMaxLogprobs);
  return {};
}

SampledToken Sampler::sample(std::span<float> logits, std::span<const std::int32_t> history,
                             const Sampling& sampling) {
  SampledToken result;
  double log_total = 0;
  std::vector<float> raw;
  if (sampling.logprobs >= 0) {
    raw.assign(logits.begin(), logits.end());
    log_total = log_sum_exp(raw);
    candidates_.clear();
    for (std::size_t i = 0; i < raw.size(); ++i)
      candidates_.push_back({raw[i], static_cast<std::int32_t>(i)});
    const auto count = std::min<std::size_t>(sampling.logprobs, raw.size());
    std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(count),
                      candidates_.end(), likelier);
    for (std::size_t i = 0; i < count; ++i)
      result.top_logprobs.push_back(
          {candidates_[i].token, static_cast<float>(candidates_[i].logit - log_total)});
  }
  if (sampling.repetition_penalty != 1) penalise(logits, history, sampling.repetition_penalty);
  result.token = sampling.temperature == 0 ? argmax(logits) : draw(logits, history.size(), sampling);
  if (sampling.logprobs >= 0) result.logprob = static_cast<float>(raw[result.token] - log_total);
  return result;
}

void Sampler::penalise(std::span<float> logits, std::span<const std::int32_t> history, float penalty) {
  seen_.assign(logits.size(), false);
  for (const std::int32_t token : history) {
    if (token < 0 || token >= static_cast<std::int32_t>(logits.size()) || seen_[token]) continue;
    seen_[token] = true;
    logits[token] = logits[token] > 0 ? logits[token] / penalty : logits[token] * penalty;
  }
}

std::int32_t Sampler::draw(std::span<float> logits, std::uint64_t position, const Sampling& sampling) {
  const float largest = maximum(logits);
  if (!std::isfinite(largest)) return argmax(logits);  // a broken model: there is nothing to weigh
  candidates_.clear();
  for (std::size_t i = 0; i < logits.size(); ++i) {
    // The largest becomes 0 before the division, which then cannot overflow. NaN has no place in an order.
    const float logit = (logits[i] - largest) / sampling.temperature;
    candidates_.push_back(
        {std::isnan(logit) ? -std::numeric_limits<float>::infinity() : logit, static_cast<std::int32_t>(i)});
  }
  std::size_t count = candidates_.size();
  if (sampling.top_k > 0 && static_cast<std::size_t>(sampling.top_k) < count) {
    count = sampling.top_k;
    std::nth_element(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(count),
                     candidates_.end(), likelier);
    candidates_.resize(count);
  }
  std::sort(candidates_.begin(), candidates_.end(), likelier);
  weights_.resize(count);
  double total = 0;
  for (std::size_t i = 0; i < count; ++i) total += weights_[i] = std::exp(candidates_[i].logit);
  if (sampling.top_p < 1) {
    // The smallest set whose probability reaches top_p; always at least one.
    double kept = 0;
    std::size_t keep = 0;
    while (keep < count && kept < sampling.top_p * total) kept += weights_[keep++];
    count = std::max<std::size_t>(keep, 1);
    total = kept;
  }
  if (sampling.min_p > 0) {
    std::size_t keep = 1;
    total = weights_[0];
    while (keep < count && weights_[keep] >= sampling.min_p) total += weights_[keep++];
    count = keep;
  }
  double target = uniform(sampling.seed, position) * total;
  for (std::size_t i = 0; i < count; ++i)
    if ((target -= weights_[i]) < 0) return candidates_[i].token;
  return candidates_[count - 1].token;
}

}  // namespace pagoda::execute
