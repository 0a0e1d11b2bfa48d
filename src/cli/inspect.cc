// pagoda inspect MODEL: what a model directory holds, without loading it.

#include <fmt/format.h>

#include <filesystem>
#include <map>

#include "checkpoint/checkpoint.h"
#include "cli/engine_flags.h"
#include "cli/verbs.h"
#include "execute/memory_plan.h"
#include "model/load_dense.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace pagoda::cli {
namespace {

void print_shape(const checkpoint::Config& config) {
  fmt::print("architecture   {}\n", config.architecture);
  fmt::print("shape          {} layers, hidden {}, intermediate {}, vocabulary {}\n", config.num_layers,
             config.hidden_size, config.intermediate_size, config.vocab_size);
  fmt::print("attention      {} query and {} key/value heads of {}, QK norm {}\n", config.num_heads,
             config.num_kv_heads, config.head_dim, config.use_qk_norm ? "yes" : "no");
  fmt::print("positions      {}\n", config.max_position_embeddings);
  fmt::print("RoPE base      {:.3f} (theta {:g}, alpha {:g})\n", config.rope_base(), config.rope_theta,
             config.rope_alpha);
  fmt::print("embeddings     {}\n", config.tie_word_embeddings ? "tied" : "separate head");
}

void print_tensors(const checkpoint::Checkpoint& checkpoint) {
  struct Sum {
    std::size_t count = 0, bytes = 0;
    std::int64_t elements = 0;
  };
  std::map<std::string, Sum> by_dtype;
  for (const auto& [name, file] : checkpoint.index()) {
    const checkpoint::TensorInfo& info = file->tensors().at(name);
    Sum& sum = by_dtype[std::string(tensor::dtype_name(info.dtype))];
    ++sum.count;
    sum.bytes += info.end - info.begin;
    sum.elements += info.elements();
  }
  fmt::print("files          {}\n", checkpoint.files().size());
  for (const auto& [dtype, sum] : by_dtype)
    fmt::print("tensors        {:>5} {:<8} {:>12} elements {:>12}\n", sum.count, dtype, sum.elements,
               execute::format_bytes(sum.bytes));
}

base::Status print_text(const std::string& directory) {
  const std::string path = directory + "/tokenizer.json";
  if (!std::filesystem::exists(path)) {
    fmt::print("tokenizer      none ({} does not exist)\n", path);
    return {};
  }
  ASSIGN_OR_RETURN(const text::Tokenizer tokenizer, text::Tokenizer::load(path));
  const text::Tokenizer::Facts facts = tokenizer.facts();
  fmt::print("tokenizer      {} entries, {} merges, {} added tokens, {} split{}, normaliser {}\n",
             facts.vocab, facts.merges, facts.added, facts.splits.size(), facts.splits.size() == 1 ? "" : "s",
             facts.normalizer);
  ASSIGN_OR_RETURN(const text::ChatTemplate chat, text::ChatTemplate::detect(tokenizer));
  fmt::print("family         {}\n", text::family_name(chat.family()));
  std::string ids;
  for (const text::TokenId id : chat.stop_ids())
    fmt::format_to(std::back_inserter(ids), "{}{} {}", ids.empty() ? "" : ", ", id.value,
                   tokenizer.token_bytes(id, true));
  fmt::print("stop ids       {}\n", ids);
  return {};
}

int inspect(const std::string& directory, bool list_tensors) {
  const auto opened = checkpoint::Checkpoint::open(directory);
  if (!opened.ok()) return fail(opened.status());
  const checkpoint::Checkpoint& checkpoint = *opened;
  print_shape(checkpoint.config());
  print_tensors(checkpoint);
  if (list_tensors)
    for (const auto& [name, file] : checkpoint.index()) {
      const checkpoint::TensorInfo& info = file->tensors().at(name);
      fmt::print("  {:<60} {:<5} [{}]\n", name, tensor::dtype_name(info.dtype), fmt::join(info.shape, ", "));
    }
  const model::WeightFormats formats =
      model::weight_formats(checkpoint.config(), kernels::WeightFormat::kBF16);
  fmt::print(
      "in memory      {} as {}\n",
      execute::format_bytes(model::estimate_weight_bytes(model::shape_of(checkpoint.config()), formats)),
      kernels::weight_format_name(formats.linear));
  if (const base::Status status = print_text(directory); !status.ok()) return fail(status);
  if (const base::Status status = checkpoint::check_tensors(checkpoint); !status.ok()) return fail(status);
  fmt::print("complete       yes\n");
  return 0;
}

}  // namespace

Verb add_inspect(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("inspect", "Show what a model directory holds, and whether it is complete");
  auto directory = std::make_shared<std::string>();
  auto tensors = std::make_shared<bool>(false);
  command->add_option("model", *directory, "Model directory, or ORG/NAME on a hub")->required();
  command->add_flag("--tensors", *tensors, "List every tensor");
  auto hub = add_hub_flags(*command);
  return [=] {
    const auto found = find_model(*directory, *hub);
    return found.ok() ? inspect(*found, *tensors) : fail(found.status());
  };
}

}  // namespace pagoda::cli
