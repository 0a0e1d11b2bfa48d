#pragma once
// How the next token is chosen. Semantics of each field are those of Hugging Face's logits processors, in
// this order: repetition penalty (over prompt and answer), temperature, top-k, top-p, min-p.

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"

namespace pagoda::execute {

struct Sampling {
  float temperature = 0;         // 0: greedy
  std::int32_t top_k = 0;        // 0 or -1: off
  float top_p = 1;               // (0, 1]
  float min_p = 0;               // [0, 1]
  float repetition_penalty = 1;  // > 0; logit > 0 is divided, else multiplied
  std::uint64_t seed = 0;        // the draw depends on seed and position alone
  std::int32_t logprobs = -1;    // -1: none; n: the chosen token's and the n likeliest ones'
};

// kInvalidArgument naming field and value.
base::Status check_sampling(const Sampling& sampling);
inline constexpr std::int32_t kMaxLogprobs = 20;

struct TokenLogprob {
  std::int32_t token = 0;
  float logprob = 0;
};

struct SampledToken {
  std::int32_t token = 0;
  float logprob = 0;  // of the model's distribution, before penalty and temperature; if asked for
  std::vector<TokenLogprob> top_logprobs;  // likeliest first; if asked for
};

// Chooses from logits [vocab], which are overwritten. `history`: prompt and answer so far. The position of
// the new token is history.size(). Scratch is reused between calls; one sampler a thread.
class Sampler {
 public:
  SampledToken sample(std::span<float> logits, std::span<const std::int32_t> history,
                      const Sampling& sampling);

 private:
  void penalise(std::span<float> logits, std::span<const std::int32_t> history, float penalty);
  std::int32_t draw(std::span<float> logits, std::uint64_t position, const Sampling& sampling);

  struct Candidate {
    float logit;
    std::int32_t token;
  };
  std::vector<Candidate> candidates_;
  std::vector<float> weights_;
  std::vector<bool> seen_;
};

// The largest element's index; the first of equals.
std::int32_t argmax(std::span<const float> values);

}  // namespace pagoda::execute
