#include "evaluate/report.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "base/byte_size.h"

namespace pagoda::evaluate {
namespace {

namespace json = boost::json;

constexpr int kIndent = 2;

// boost::json writes 43.1 as 4.31E1, which programs read and people do not.
void write(const json::value& value, int depth, bool in_one_line, std::string& out) {
  if (value.is_double() && std::isfinite(value.get_double())) {
    out += fmt::format("{}", value.get_double());
    return;
  }
  const bool object = value.is_object();
  const std::size_t size = object             ? value.get_object().size()
                           : value.is_array() ? value.get_array().size()
                                              : 0;
  if (size == 0) {
    out += json::serialize(value);
    return;
  }
  // The objects of a list take a line each.
  const bool members_in_one_line = in_one_line || !object;
  const std::string before = in_one_line ? "" : "\n" + std::string((depth + 1) * kIndent, ' ');
  out += object ? '{' : '[';
  for (std::size_t i = 0; i < size; ++i) {
    if (i > 0) out += in_one_line ? ", " : ",";
    out += before;
    if (object) {
      const auto& member = value.get_object().begin()[i];
      out += json::serialize(json::string(member.key())) + ": ";
      write(member.value(), depth + 1, in_one_line, out);
    } else {
      write(value.get_array()[i], depth + 1, members_in_one_line, out);
    }
  }
  if (!in_one_line) out += "\n" + std::string(depth * kIndent, ' ');
  out += object ? '}' : ']';
}

}  // namespace

double rounded(double score) { return std::round(score * 10000) / 10000; }

std::string score_table(const ModelReport& report) {
  const Evaluation& evaluation = report.evaluation;
  const Work& work = evaluation.work;
  std::string table = fmt::format("{:<10} {:>7} {:>7} {:>7}  {}\n", "direction", "lines", "BLEU", "chrF",
                                  "tokenizer of BLEU");
  for (const DirectionScore& direction : evaluation.directions)
    table += fmt::format("{:<10} {:>7} {:>7.2f} {:>7.2f}  {}{}\n", direction.pair, direction.lines.size(),
                         direction.bleu, direction.chrf, bleu_tokenizer_name(direction.tokenizer),
                         direction.cut > 0 ? fmt::format("; {} answers cut", direction.cut) : "");
  table += fmt::format("{:<10} {:>7} {:>7.2f} {:>7.2f}\n\n", "mean", evaluation.num_lines(),
                       evaluation.mean_bleu(), evaluation.mean_chrf());
  table += fmt::format("{:.1f} s: {:.0f} tokens/s, {:.0f} prompt tokens/s ({:.0f} % from the prefix cache)\n",
                       work.seconds, work.tokens_per_second(), work.prompt_tokens_per_second(),
                       100 * static_cast<double>(work.cached_tokens) /
                           static_cast<double>(std::max<std::int64_t>(work.prompt_tokens, 1)));
  if (report.int8_operations_per_second > 0)
    table += fmt::format("{:.1f} G operations/s, {:.0f} % of this machine's INT8 rate of {:.0f} G\n",
                         report.operations_per_second / 1e9, 100 * report.fraction_of_int8_rate(),
                         report.int8_operations_per_second / 1e9);
  table += fmt::format("{} of memory, {} of it weights ({}); {}\n", base::format_bytes(report.memory_bytes),
                       base::format_bytes(report.weights_bytes), report.format, report.device);
  return table;
}

std::string skill_table(const ModelReport& report) {
  std::string table = fmt::format("{:<14} {:>7} {:>7} {:>8}\n", "skill", "right", "lines", "rate");
  for (const SkillRate& rate : report.skills)
    table += fmt::format("{:<14} {:>7} {:>7} {:>8}{}\n", skill_name(rate.skill), rate.right, rate.lines,
                         rate.lines > 0 ? fmt::format("{:.1f} %", 100 * rate.rate()) : "-",
                         rate.right_without && rate.lines > 0
                             ? fmt::format("  ({} have the term without being given it)", *rate.right_without)
                             : "");
  return table;
}

json::object to_json(const ModelReport& report) {
  const Evaluation& evaluation = report.evaluation;
  const Work& work = evaluation.work;
  json::array directions;
  for (const DirectionScore& direction : evaluation.directions)
    directions.push_back(json::object{{"pair", direction.pair},
                                      {"lines", direction.lines.size()},
                                      {"bleu", rounded(direction.bleu)},
                                      {"chrf", rounded(direction.chrf)},
                                      {"tokenizer", bleu_tokenizer_name(direction.tokenizer)},
                                      {"cut", direction.cut}});
  json::array skills;
  for (const SkillRate& rate : report.skills) {
    json::object skill = {{"skill", skill_name(rate.skill)}, {"right", rate.right}, {"lines", rate.lines}};
    if (rate.lines > 0) skill["rate"] = rounded(rate.rate());
    if (rate.right_without) skill["right_without"] = *rate.right_without;
    skills.push_back(std::move(skill));
  }
  json::object object = {{"model", report.model},
                         {"device", report.device},
                         {"format", report.format},
                         {"directions", std::move(directions)},
                         {"lines", evaluation.num_lines()},
                         {"mean_bleu", rounded(evaluation.mean_bleu())},
                         {"mean_chrf", rounded(evaluation.mean_chrf())},
                         {"seconds", work.seconds},
                         {"tokens_per_second", work.tokens_per_second()},
                         {"prompt_tokens_per_second", work.prompt_tokens_per_second()},
                         {"generated_tokens", work.generated_tokens},
                         {"prompt_tokens", work.prompt_tokens},
                         {"cached_prompt_tokens", work.cached_tokens},
                         {"operations_per_second", report.operations_per_second},
                         {"int8_operations_per_second", report.int8_operations_per_second},
                         {"fraction_of_int8_rate", report.fraction_of_int8_rate()},
                         {"memory_bytes", report.memory_bytes},
                         {"weights_bytes", report.weights_bytes}};
  if (!report.skills.empty()) object["skills"] = std::move(skills);
  return object;
}

std::string pretty(const json::value& value) {
  std::string out;
  write(value, 0, /*in_one_line=*/false, out);
  return out + "\n";
}

}  // namespace pagoda::evaluate
