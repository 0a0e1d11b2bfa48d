// The device's sampler draws the tokens of execute/sampler.cc.

#include <algorithm>

#include "cuda_on_device.h"
#include "execute/sampling.h"

namespace pagoda::kernels {
namespace {

class CudaSample : public CudaTest {
 protected:
  static constexpr std::int64_t kVocab = 5003;
  static constexpr std::int32_t kSlots = 40;

  // One row a sampling, slot = row; returns the tokens.
  std::vector<std::int32_t> sample(const std::vector<float>& logits,
                                   const std::vector<execute::Sampling>& samplings,
                                   const std::vector<std::vector<std::int32_t>>& histories) {
    const auto rows = static_cast<std::int64_t>(samplings.size());
    cuda_->reserve({.max_tokens = 8,
                    .max_features = 128,
                    .num_heads = 4,
                    .kv = {1, 1, 128, 16},
                    .max_sequences = rows,
                    .max_context = 64});
    auto* seen = to_device(std::vector<std::uint32_t>(kSlots * ((kVocab + 31) / 32)));
    auto* sampled = to_device(std::vector<std::int32_t>(kSlots));
    auto* out = to_device(std::vector<std::int32_t>(rows));
    std::vector<SampleRow> sample_rows;
    bool all_greedy = true;
    for (std::size_t i = 0; i < samplings.size(); ++i) {
      const execute::Sampling& s = samplings[i];
      if (!histories[i].empty())
        cuda_->set_seen(seen, kVocab, static_cast<std::int32_t>(i), to_device(histories[i]),
                        static_cast<std::int64_t>(histories[i].size()));
      sample_rows.push_back({.temperature = s.temperature,
                             .top_p = s.top_p,
                             .min_p = s.min_p,
                             .repetition_penalty = s.repetition_penalty,
                             .top_k = s.top_k,
                             .slot = static_cast<std::int32_t>(i),
                             .seed = s.seed,
                             .position = histories[i].size()});
      all_greedy = all_greedy && s.temperature == 0;
    }
    const tensor::View view = tensor::View::of(to_device(logits), rows, kVocab, kVocab);
    cuda_->sample(view, to_device(sample_rows), all_greedy, sampled, out, seen);
    return to_host(out, rows);
  }
};

TEST_F(CudaSample, EqualsTheHostSampler) {
  Random random(11);
  execute::Sampler sampler;
  int different = 0, total = 0;
  for (int round = 0; round < 20; ++round) {
    std::vector<execute::Sampling> samplings;
    std::vector<std::vector<std::int32_t>> histories;
    std::vector<float> logits;
    for (int row = 0; row < kSlots; ++row) {
      execute::Sampling s;
      if (row % 4 != 0) {
        s.temperature = 0.3f + 0.1f * static_cast<float>(row % 9);
        s.top_k = row % 5 == 0 ? 1 : random.between(2, kMaxDeviceTopK);
        s.top_p = row % 3 == 0 ? 1.0f : 0.6f;
        s.min_p = row % 7 == 0 ? 0.05f : 0.0f;
      }
      if (row % 2 == 0) s.repetition_penalty = 1.05f + 0.01f * static_cast<float>(row);
      s.seed = static_cast<std::uint64_t>(round) * 1000 + row;
      samplings.push_back(s);
      std::vector<std::int32_t> history(random.between(0, 60));
      for (std::int32_t& token : history) token = random.between(0, kVocab - 1);
      histories.push_back(history);
      for (int i = 0; i < kVocab; ++i)
        // Coarse values: many ties.
        logits.push_back(row % 8 == 1 ? static_cast<float>(random.between(-20, 20)) / 4
                                      : 4 * random.normal());
    }
    const std::vector<std::int32_t> actual = sample(logits, samplings, histories);
    for (int row = 0; row < kSlots; ++row, ++total) {
      std::vector<float> values(logits.begin() + row * kVocab, logits.begin() + (row + 1) * kVocab);
      const std::int32_t expected = sampler.sample(values, histories[row], samplings[row]).token;
      // exp() of host and device differ in the last bit, which decides a draw once in a while.
      if (actual[row] != expected) ++different;
      if (samplings[row].temperature == 0) {
        EXPECT_EQ(actual[row], expected) << "greedy row " << row;
      }
    }
  }
  EXPECT_LE(different, total / 200);
}

TEST_F(CudaSample, TokensOfTheLastStepAreFilledIn) {
  const auto* sampled = to_device(std::vector<std::int32_t>{70, 71, 72});
  auto* tokens = to_device(std::vector<std::int32_t>{5, -1, 9, -3});
  cuda_->resolve_tokens(tokens, 4, sampled);
  EXPECT_EQ(to_host(tokens, 4), (std::vector<std::int32_t>{5, 70, 9, 72}));
}

}  // namespace
}  // namespace pagoda::kernels
