#include "text/pre_tokenizer.h"

#include <utility>

#include "text/utf8.h"

namespace pagoda::text {
namespace {

// What ByteLevel means by use_regex: the split of GPT-2.
constexpr std::string_view kGpt2Regex =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

}  // namespace

base::Result<PreTokenizer> PreTokenizer::create(const PreTokenizerSpec& spec) {
  PreTokenizer result;
  for (const SplitPattern& pattern : spec.splits) {
    Split split;
    if (pattern.is_regex) {
      ASSIGN_OR_RETURN(split.regex, Regex::compile(pattern.pattern));
    } else {
      split.literal = pattern.pattern;
    }
    result.splits_.push_back(std::move(split));
  }
  result.byte_level_ = result.splits_.size();
  result.add_prefix_space_ = spec.add_prefix_space;
  if (spec.use_gpt2_regex) {
    Split split;
    ASSIGN_OR_RETURN(split.regex, Regex::compile(kGpt2Regex));
    result.splits_.push_back(std::move(split));
  }
  return result;
}

Regex::Match PreTokenizer::find(const Split& split, std::string_view text, std::size_t from,
                                Regex::Scratch& scratch) const {
  if (split.regex) return split.regex->find(text, from, scratch);
  const std::size_t position = text.find(split.literal, from);
  if (position == std::string_view::npos) return {};
  return {true, position, position + split.literal.size()};
}

std::size_t PreTokenizer::after_character(std::string_view text, std::size_t position) {
  return position < text.size() ? position + next_utf8(text.substr(position)).length : position + 1;
}

}  // namespace pagoda::text
