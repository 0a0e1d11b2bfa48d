// Logits and greedy tokens of whole models against those of transformers (tests/data/README.md): three random
// checkpoints that cover the spellings and families, a real small model in BF16, and the bundled one. The
// reference backend with float weights must agree to rounding; the CPU backend to what BF16 operands allow.
// Prints the largest error and the share of positions with the same most likely token.

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "execute/runner.h"

namespace pagoda::execute {
namespace {

using checkpoint::Checkpoint;
using checkpoint::SafetensorsFile;

const std::string kData = PAGODA_SOURCE_DIR "/tests/data/";

std::string shared_directory() {
  const char* shared = std::getenv("PAGODA_SHARED");
  return shared != nullptr ? shared : PAGODA_SOURCE_DIR "/../shared";
}

template <typename T>
std::vector<T> read(const SafetensorsFile& file, const std::string& name) {
  const auto bytes = file.bytes(file.tensors().at(name));
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

// One sequence with all blocks for itself.
class Solo {
 public:
  explicit Solo(Runner& runner) : runner_(runner) {
    for (std::int32_t b = 0; b < runner.memory().kv_blocks; ++b) blocks_.push_back(cache::BlockId(b));
  }
  // Logits after tokens [first, first + count) of `tokens`, whose predecessors were computed before.
  std::vector<float> logits(std::span<const std::int32_t> tokens, std::int32_t first, std::int32_t count) {
    const std::int32_t used =
        (first + count + runner_.options().block_size - 1) / runner_.options().block_size;
    const schedule::ScheduledSequence part{
        schedule::SequenceId(1),       first, count, /*samples=*/true, tokens.subspan(first, count),
        std::span(blocks_).first(used)};
    const StepSequence sequence{&part, {}, &greedy_};
    const tensor::View view = runner_.compute({&sequence, 1});
    return {view.row(0), view.row(0) + view.cols};
  }
  std::vector<std::int32_t> greedy(std::vector<std::int32_t> tokens, std::size_t count) {
    const std::size_t prompt = tokens.size();
    std::vector<float> last = logits(tokens, 0, static_cast<std::int32_t>(prompt));
    while (true) {
      tokens.push_back(argmax(last));
      if (tokens.size() == prompt + count)
        return {tokens.begin() + static_cast<std::ptrdiff_t>(prompt), tokens.end()};
      last = logits(tokens, static_cast<std::int32_t>(tokens.size()) - 1, 1);
    }
  }

 private:
  Runner& runner_;
  std::vector<cache::BlockId> blocks_;
  Sampling greedy_;
};

struct Agreement {
  double max_error = 0;
  int positions = 0, same_top = 0, greedy_tokens = 0, same_greedy = 0;
  void compare_greedy(const std::vector<std::int32_t>& actual, const std::vector<std::int32_t>& expected) {
    for (std::size_t i = 0; i < expected.size(); ++i) {
      ++greedy_tokens;
      same_greedy += actual[i] == expected[i] ? 1 : 0;
    }
  }
  void print(const std::string& model, const std::string& backend) const {
    fmt::print("{:<18} {:<34} max abs error {:.2e}, top-1 {}/{}, greedy {}/{}\n", model, backend, max_error,
               same_top, positions, same_greedy, greedy_tokens);
  }
};

std::unique_ptr<Runner> load(const std::string& directory, bool reference, const std::string& isa) {
  const auto checkpoint = Checkpoint::open(directory);
  EXPECT_TRUE(checkpoint.ok()) << checkpoint.status().message();
  RunnerOptions options;
  options.max_num_seqs = 1;
  options.max_num_batched_tokens = 64;
  options.max_model_len = 128;
  options.num_kv_blocks = 8;
  if (reference) options.float_format = kernels::WeightFormat::kF32;
  auto ops = reference ? kernels::make_reference_ops()
                       : kernels::make_cpu_ops({.threads = 2, .deterministic = false, .isa = isa});
  auto runner = Runner::load(*checkpoint, std::move(ops), options, nullptr);
  EXPECT_TRUE(runner.ok()) << runner.status().message();
  return std::move(runner).value();
}

Agreement compare_tiny(Runner& runner, const SafetensorsFile& golden) {
  Agreement agreement;
  Solo solo(runner);
  for (const char* prompt : {"prompt_0", "prompt_1"}) {
    const std::string prefix = std::string(prompt) + ".";
    const auto ids = read<std::int32_t>(golden, prefix + "ids");
    const auto expected = read<float>(golden, prefix + "logits");
    const std::size_t vocab = expected.size() / ids.size();
    for (std::size_t position = 0; position < ids.size();
         ++position) {  // one token at a time, through the cache
      const std::vector<float> actual = solo.logits(ids, static_cast<std::int32_t>(position), 1);
      const std::span<const float> want = std::span(expected).subspan(position * vocab, vocab);
      EXPECT_EQ(actual.size(), vocab);
      for (std::size_t i = 0; i < vocab; ++i)
        agreement.max_error =
            std::max(agreement.max_error, std::abs(static_cast<double>(actual[i]) - want[i]));
      ++agreement.positions;
      agreement.same_top += argmax(actual) == argmax(want) ? 1 : 0;
    }
    const auto greedy = read<std::int32_t>(golden, prefix + "greedy");
    agreement.compare_greedy(solo.greedy(ids, greedy.size()), greedy);
  }
  return agreement;
}

// Greedy tokens are compared up to the first that leads the second by less than `least_lead`.
Agreement compare_nano(Runner& runner, const SafetensorsFile& golden, float least_lead = 0) {
  Agreement agreement;
  Solo solo(runner);
  for (int p = 0; p < 6; ++p) {
    const std::string prefix = fmt::format("prompt_{}.", p);
    const auto ids = read<std::int32_t>(golden, prefix + "ids");
    const auto sampled = read<float>(golden, prefix + "every_37th_logit");
    const auto top_ids = read<std::int32_t>(golden, prefix + "top_ids");
    const auto top_logits = read<float>(golden, prefix + "top_logits");
    const auto n = static_cast<std::int32_t>(ids.size());
    for (int k = 0; k < 4; ++k) {
      const std::int32_t position = n - 4 + k;
      const std::vector<float> actual =
          k == 0 ? solo.logits(ids, 0, position + 1) : solo.logits(ids, position, 1);
      const std::size_t stride = sampled.size() / 4;
      for (std::size_t i = 0; i < stride; ++i)
        agreement.max_error = std::max(
            agreement.max_error, std::abs(static_cast<double>(actual[37 * i]) - sampled[k * stride + i]));
      for (int i = 0; i < 64; ++i)
        agreement.max_error =
            std::max(agreement.max_error,
                     std::abs(static_cast<double>(actual[top_ids[k * 64 + i]]) - top_logits[k * 64 + i]));
      ++agreement.positions;
      agreement.same_top += argmax(actual) == top_ids[k * 64] ? 1 : 0;
    }
    auto greedy = read<std::int32_t>(golden, prefix + "greedy");
    const auto leads = read<float>(golden, prefix + "greedy_lead");
    const auto close =
        std::find_if(leads.begin(), leads.end(), [&](float lead) { return lead < least_lead; });
    greedy.resize(close - leads.begin());
    if (!greedy.empty()) agreement.compare_greedy(solo.greedy(ids, greedy.size()), greedy);
  }
  return agreement;
}

// Bounds in absolute logits; the logits of all models here span roughly -20 to 20.
struct Bounds {
  double max_error;
  double same_share;  // of top-1 and of greedy tokens
};

void check(const Agreement& agreement, const Bounds& bounds) {
  EXPECT_LE(agreement.max_error, bounds.max_error);
  EXPECT_GE(agreement.same_top, bounds.same_share * agreement.positions);
  EXPECT_GE(agreement.same_greedy, bounds.same_share * agreement.greedy_tokens);
}

class ModelGoldens : public ::testing::TestWithParam<const char*> {};

TEST_P(ModelGoldens, ReferenceAgreesToRounding) {
  const std::string directory = kData + "models/" + GetParam();
  const auto golden = SafetensorsFile::open(directory + "/golden.safetensors");
  ASSERT_TRUE(golden.ok()) << golden.status().message();
  const auto runner = load(directory, /*reference=*/true, "");
  const Agreement agreement = compare_tiny(*runner, *golden);
  agreement.print(GetParam(), "reference");
  check(agreement, {1e-3, 1.0});
}

TEST_P(ModelGoldens, CpuAgreesToBfloat16) {
  const std::string directory = kData + "models/" + GetParam();
  const auto golden = SafetensorsFile::open(directory + "/golden.safetensors");
  ASSERT_TRUE(golden.ok()) << golden.status().message();
  for (const char* isa : {"sse4", "avx2", "avx512", "avx512-bf16", "amx"}) {
    const auto runner = load(directory, /*reference=*/false, isa);
    const Agreement agreement = compare_tiny(*runner, *golden);
    agreement.print(GetParam(), runner->ops().description());
    check(agreement, {0.4, 0.9});
  }
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, ModelGoldens,
                         ::testing::Values("hy-1.8b-like", "hy-7b-like", "hy-odd-spelling"),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name)
                             if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
                           return name;
                         });

TEST(NanoGoldens, AgreesWithTransformers) {
  const std::string directory = shared_directory() + "/nano-bf16";
  if (!std::filesystem::exists(directory + "/config.json")) GTEST_SKIP() << directory << " is not there";
  const auto golden = SafetensorsFile::open(kData + "nano/golden.safetensors");
  ASSERT_TRUE(golden.ok()) << golden.status().message();
  for (const bool reference : {true, false}) {
    const auto runner = load(directory, reference, "");
    const Agreement agreement = compare_nano(*runner, *golden);
    agreement.print("nano (BF16)", runner->ops().description());
    check(agreement, reference ? Bounds{1e-3, 1.0} : Bounds{0.15, 1.0});
  }
}

// The reference computed from the stored integers in floats; here activations are rounded to INT8 as well.
TEST(NanoGoldens, BundledModelAgreesWithTransformers) {
  const auto golden = SafetensorsFile::open(kData + "bundled/golden.safetensors");
  ASSERT_TRUE(golden.ok()) << golden.status().message();
  for (const char* isa : {"sse4", "avx2", ""}) {
    const auto runner = load(PAGODA_SOURCE_DIR "/models/nano", /*reference=*/false, isa);
    const Agreement agreement = compare_nano(*runner, *golden, /*least_lead=*/0.5f);
    agreement.print("models/nano", runner->ops().description());
    check(agreement, {0.8, 0.85});
    EXPECT_GE(agreement.greedy_tokens, 30);
    EXPECT_EQ(agreement.same_greedy, agreement.greedy_tokens);
  }
}

}  // namespace
}  // namespace pagoda::execute
