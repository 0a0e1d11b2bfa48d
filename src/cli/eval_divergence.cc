#include "cli/eval_divergence.h"

#include <algorithm>
#include <cmath>

#include "base/last_part.h"
#include "base/thread_pool.h"
#include "checkpoint/checkpoint.h"
#include "cli/answered_prompt.h"
#include "cli/progress.h"
#include "model/load_dense.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace pagoda::cli {
namespace {

constexpr std::int64_t kRows = 512;     // tokens of a step, of whole lines; a longer line has one of its own
constexpr std::int64_t kBlock = 16;     // tokens of a KV block
constexpr std::size_t kLongest = 2048;  // tokens of a line; longer ones are cut

using Line = AnsweredPrompt;  // the answer is the reference

struct Step {
  std::size_t first_line = 0, lines = 0;
  std::vector<std::int32_t> tokens, positions, outputs, wanted, line_of_output;
  std::vector<std::int32_t> blocks;
  std::vector<kernels::SequenceSlice> slices;
  std::int32_t longest = 0;

  void add(const Line& line, std::size_t index) {
    const auto length = static_cast<std::int32_t>(line.tokens.size() - 1);  // nothing follows the last
    slices.push_back({.first_row = static_cast<std::int32_t>(tokens.size()),
                      .num_queries = length,
                      .context = length,
                      .block_table = nullptr});
    for (std::int32_t i = 0; i < length; ++i) {
      if (static_cast<std::size_t>(i) + 1 >= line.answer) {
        outputs.push_back(static_cast<std::int32_t>(tokens.size()));
        wanted.push_back(line.tokens[i + 1]);
        line_of_output.push_back(static_cast<std::int32_t>(index));
      }
      tokens.push_back(line.tokens[i]);
      positions.push_back(i);
    }
    for (std::int32_t b = 0; b < (length + kBlock - 1) / kBlock; ++b)
      blocks.push_back(static_cast<std::int32_t>(blocks.size()));
    longest = std::max(longest, length);
  }
  void point() {  // once nothing moves any more
    const std::int32_t* block = blocks.data();
    for (kernels::SequenceSlice& slice : slices) {
      slice.block_table = block;
      block += (slice.context + kBlock - 1) / kBlock;
    }
  }
};

base::Result<std::vector<Line>> lines_of(const ModelSpec& spec,
                                         const std::vector<evaluate::Direction>& directions,
                                         const std::string& style_name) {
  ASSIGN_OR_RETURN(const text::Tokenizer tokenizer,
                   text::Tokenizer::load(spec.directory + "/tokenizer.json"));
  ASSIGN_OR_RETURN(const text::ChatTemplate chat, text::ChatTemplate::detect(tokenizer));
  ASSIGN_OR_RETURN(const translate::PromptStyle style,
                   translate::choose_prompt_style(style_name, base::last_part(spec.directory)));
  std::vector<Line> lines;
  for (const evaluate::Direction& direction : directions)
    for (const evaluate::TestLine& test : direction.lines) {
      translate::Task task;
      task.source = test.source;
      task.from = direction.from;
      task.to = direction.to;
      ASSIGN_OR_RETURN(Line line, answered_prompt(tokenizer, chat, style, task, test.reference, kLongest));
      lines.push_back(std::move(line));
    }
  return lines;
}

std::vector<Step> steps_of(const std::vector<Line>& lines) {
  std::vector<Step> steps;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (steps.empty() || steps.back().tokens.size() + lines[i].tokens.size() > kRows) steps.emplace_back();
    steps.back().add(lines[i], i);
  }
  for (Step& step : steps) step.point();
  return steps;
}

// A model that computes steps.
class Scorer {
 public:
  static base::Result<std::unique_ptr<Scorer>> load(const ModelSpec& spec, const std::vector<Step>& steps,
                                                    const EvalModelOptions& options) {
    ASSIGN_OR_RETURN(const checkpoint::Checkpoint checkpoint, checkpoint::Checkpoint::open(spec.directory));
    ASSIGN_OR_RETURN(const engine::LoadOptions load, load_options(spec.flags));
    std::unique_ptr<Scorer> scorer(new Scorer);
    scorer->ops_ = kernels::make_cpu_ops(load.cpu);
    Progress loading(options.quiet ? "" : "loading " + spec.name);
    ASSIGN_OR_RETURN(scorer->weights_,
                     model::load_dense(checkpoint, *scorer->ops_, load.engine.runner.float_format,
                                       [&](double share) { loading.share(share, ""); }));
    scorer->reserve(steps);
    return scorer;
  }

  // Logits [outputs, vocab], until the next call.
  tensor::View logits(const Step& step) {
    const model::Batch batch{
        step.tokens, step.positions, {step.slices, 0, step.longest, step.longest}, step.outputs};
    return model::forward(*ops_, weights_, *rope_, batch, cache_, *workspace_);
  }
  std::size_t weights_bytes() const { return weights_.bytes(); }
  std::int64_t vocab_size() const { return weights_.shape.vocab_size; }

 private:
  void reserve(const std::vector<Step>& steps) {
    std::int64_t rows = 0, outputs = 0, blocks = 0, sequences = 0, longest = 0;
    for (const Step& step : steps) {
      rows = std::max(rows, static_cast<std::int64_t>(step.tokens.size()));
      outputs = std::max(outputs, static_cast<std::int64_t>(step.outputs.size()));
      blocks = std::max(blocks, static_cast<std::int64_t>(step.blocks.size()));
      sequences = std::max(sequences, static_cast<std::int64_t>(step.slices.size()));
      longest = std::max(longest, static_cast<std::int64_t>(step.longest));
    }
    const model::DenseShape& shape = weights_.shape;
    const kernels::KvShape kv{shape.num_layers, shape.num_kv_heads, shape.head_dim, kBlock};
    const std::size_t block_bytes = ops_->kv_layer_block_bytes(kv);
    kv_memory_ =
        tensor::Buffer(tensor::MemoryTag::kKvCache, static_cast<std::size_t>(shape.num_layers) *
                                                        static_cast<std::size_t>(blocks) * block_bytes);
    cache_ = {kv, blocks, block_bytes, kv_memory_.data()};
    rope_ = std::make_unique<model::RopeTable>(shape.rope_base, shape.head_dim, longest, *ops_);
    workspace_ = std::make_unique<model::DenseWorkspace>(shape, *ops_, rows, outputs);
    ops_->reserve({.max_tokens = std::max(rows, outputs),
                   .max_features = std::max({shape.hidden_size, shape.intermediate_size, shape.q_size()}),
                   .num_heads = shape.num_heads,
                   .kv = kv,
                   .max_sequences = sequences,
                   .max_context = longest});
  }

  std::unique_ptr<kernels::Ops> ops_;
  model::DenseWeights weights_;
  tensor::Buffer kv_memory_;
  kernels::KvCache cache_;
  std::unique_ptr<model::RopeTable> rope_;
  std::unique_ptr<model::DenseWorkspace> workspace_;
};

// Of a row of logits, what all comparisons need.
struct Row {
  std::int64_t likeliest = 0;
  double log_sum = 0;  // log of the sum of exp(logit)
};
Row measure(const float* logits, std::int64_t size) {
  const float* largest = std::max_element(logits, logits + size);
  float sum = 0;
  double total = 0;
  for (std::int64_t i = 0; i < size; ++i) {
    sum += std::exp(logits[i] - *largest);
    if (i % 1024 == 1023 || i + 1 == size) {
      total += sum;
      sum = 0;
    }
  }
  return {largest - logits, *largest + std::log(total)};
}

double kl(const float* first, const Row& a, const float* other, const Row& b, std::int64_t size) {
  double total = 0;
  const auto shift = static_cast<float>(b.log_sum - a.log_sum), log_sum = static_cast<float>(a.log_sum);
  float sum = 0;
  for (std::int64_t i = 0; i < size; ++i) {
    sum += std::exp(first[i] - log_sum) * (first[i] - other[i] + shift);
    if (i % 1024 == 1023 || i + 1 == size) {
      total += sum;
      sum = 0;
    }
  }
  return total;
}

struct Sums {
  double cross_entropy = 0, divergence = 0;
  std::int64_t tokens = 0, same = 0;
  std::vector<double> of_line, tokens_of_line;
};

}  // namespace

base::Result<std::vector<Divergence>> measure_divergence(const std::vector<ModelSpec>& specs,
                                                         const std::vector<evaluate::Direction>& directions,
                                                         const EvalModelOptions& options) {
  ASSIGN_OR_RETURN(const std::vector<Line> lines, lines_of(specs.front(), directions, options.style));
  const std::vector<Step> steps = steps_of(lines);
  std::vector<std::unique_ptr<Scorer>> scorers;
  for (const ModelSpec& spec : specs) {
    ASSIGN_OR_RETURN(std::unique_ptr<Scorer> scorer, Scorer::load(spec, steps, options));
    scorers.push_back(std::move(scorer));
    if (scorers.back()->vocab_size() != scorers.front()->vocab_size())
      return base::invalid("{} has {} tokens and {} has {}: only models of one tokenizer can be compared",
                           spec.name, scorers.back()->vocab_size(), specs.front().name,
                           scorers.front()->vocab_size());
  }
  const std::int64_t vocab = scorers.front()->vocab_size();
  base::ThreadPool threads(specs.front().flags.options.cpu.threads);
  std::vector<Sums> sums(specs.size());
  for (Sums& sum : sums) {
    sum.of_line.resize(lines.size());
    sum.tokens_of_line.resize(lines.size());
  }
  Progress progress(options.quiet ? "" : "comparing");
  std::vector<Row> first_rows;
  for (std::size_t s = 0; s < steps.size(); ++s) {
    const Step& step = steps[s];
    progress.share(static_cast<double>(s) / static_cast<double>(steps.size()),
                   fmt::format("{}/{} steps", s, steps.size()));
    const tensor::View first = scorers.front()->logits(step);
    first_rows.resize(step.outputs.size());
    std::vector<double> divergence(step.outputs.size());
    std::vector<Row> rows(step.outputs.size());
    for (std::size_t m = 0; m < specs.size(); ++m) {
      const tensor::View logits = m == 0 ? first : scorers[m]->logits(step);
      threads.run(step.outputs.size(), 1, [&](std::size_t begin, std::size_t end, int) {
        for (auto r = static_cast<std::int64_t>(begin); r < static_cast<std::int64_t>(end); ++r) {
          rows[r] = measure(logits.row(r), vocab);
          if (m == 0) first_rows[r] = rows[r];
          divergence[r] = m == 0 ? 0 : kl(first.row(r), first_rows[r], logits.row(r), rows[r], vocab);
        }
      });
      Sums& sum = sums[m];
      for (std::size_t r = 0; r < step.outputs.size(); ++r) {
        sum.cross_entropy += rows[r].log_sum - logits.row(static_cast<std::int64_t>(r))[step.wanted[r]];
        sum.divergence += divergence[r];
        sum.of_line[step.line_of_output[r]] += divergence[r];
        ++sum.tokens_of_line[step.line_of_output[r]];
        ++sum.tokens;
        sum.same += rows[r].likeliest == first_rows[r].likeliest ? 1 : 0;
      }
    }
  }
  progress.clear();
  std::vector<Divergence> result;
  for (std::size_t m = 0; m < specs.size(); ++m) {
    const Sums& sum = sums[m];
    const auto tokens = static_cast<double>(sum.tokens);
    Divergence divergence{specs[m].name,
                          scorers[m]->weights_bytes(),
                          sum.tokens,
                          sum.cross_entropy / tokens,
                          sum.divergence / tokens,
                          0,
                          static_cast<double>(sum.same) / tokens};
    double squares = 0;
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const double off = sum.of_line[i] - divergence.divergence * sum.tokens_of_line[i];
      squares += off * off;
    }
    divergence.divergence_error = std::sqrt(squares) / tokens;
    result.push_back(divergence);
  }
  return result;
}

}  // namespace pagoda::cli
