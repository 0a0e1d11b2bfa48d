#include "translate/tags.h"

#include <fmt/core.h>

#include <map>
#include <utility>

namespace pagoda::translate {
namespace {

constexpr std::size_t kMaxDigits = 6;

// The tag that begins at text[begin] == '<', or one with end == begin.
Tag tag_at(std::string_view text, std::size_t begin) {
  Tag tag{Tag::Kind::kOpen, 0, begin, begin};
  std::size_t i = begin + 1;
  if (i < text.size() && text[i] == '/') {
    tag.kind = Tag::Kind::kClose;
    ++i;
  }
  if (i >= text.size() || text[i] != 's') return tag;
  const std::size_t digits = ++i;
  while (i < text.size() && text[i] >= '0' && text[i] <= '9' && i - digits <= kMaxDigits)
    tag.number = tag.number * 10 + (text[i++] - '0');
  if (i == digits || i - digits > kMaxDigits) return tag;
  if (tag.kind == Tag::Kind::kOpen && i < text.size() && text[i] == '/') {
    tag.kind = Tag::Kind::kEmpty;
    ++i;
  }
  if (i < text.size() && text[i] == '>') tag.end = i + 1;
  return tag;
}

// How often each half tag occurs; {number, closing}.
std::map<std::pair<int, bool>, int> count_tags(const std::vector<Tag>& tags) {
  std::map<std::pair<int, bool>, int> counts;
  for (const Tag& tag : tags) {
    if (tag.kind != Tag::Kind::kClose) ++counts[{tag.number, false}];
    if (tag.kind != Tag::Kind::kOpen) ++counts[{tag.number, true}];
  }
  return counts;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += " " + part;
  return out;
}

}  // namespace

std::vector<Tag> find_tags(std::string_view text) {
  std::vector<Tag> tags;
  for (std::size_t i = text.find('<'); i != std::string_view::npos;) {
    const Tag tag = tag_at(text, i);
    if (tag.end > tag.begin) tags.push_back(tag);
    i = text.find('<', tag.end > tag.begin ? tag.end : i + 1);
  }
  return tags;
}

std::string without_tags(std::string_view text) {
  std::string out;
  std::size_t copied = 0;
  for (const Tag& tag : find_tags(text)) {
    out += text.substr(copied, tag.begin - copied);
    copied = tag.end;
  }
  out += text.substr(copied);
  return out;
}

bool well_nested(const std::vector<Tag>& tags) {
  std::vector<int> open;
  for (const Tag& tag : tags) {
    if (tag.kind == Tag::Kind::kOpen) open.push_back(tag.number);
    if (tag.kind != Tag::Kind::kClose) continue;
    if (open.empty() || open.back() != tag.number) return false;
    open.pop_back();
  }
  return open.empty();
}

std::string TagReport::describe() const {
  std::string out;
  if (!lost.empty()) out += "lost" + joined(lost);
  if (!added.empty()) out += (out.empty() ? "added" : "; added") + joined(added);
  if (badly_nested) out += out.empty() ? "badly nested" : "; badly nested";
  return out;
}

TagReport compare_tags(std::string_view source, std::string_view output) {
  const std::vector<Tag> wanted = find_tags(source), got = find_tags(output);
  auto balance = count_tags(wanted);
  for (const auto& [half, count] : count_tags(got)) balance[half] -= count;
  TagReport report;
  for (const auto& [half, count] : balance) {
    const std::string name = fmt::format("<{}s{}>", half.second ? "/" : "", half.first);
    for (int i = 0; i < count; ++i) report.lost.push_back(name);
    for (int i = 0; i > count; --i) report.added.push_back(name);
  }
  report.badly_nested = well_nested(wanted) && !well_nested(got);
  return report;
}

std::string_view unwrap_target(std::string_view answer) {
  constexpr std::string_view kOpen = "<target>", kClose = "</target>";
  const std::size_t open = answer.find(kOpen);
  if (open != std::string_view::npos) answer.remove_prefix(open + kOpen.size());
  return answer.substr(0, answer.find(kClose));
}

Restored restore_tags(std::string_view source, std::string_view answer) {
  const std::string_view inside = unwrap_target(answer);
  Restored restored{std::string(inside), compare_tags(source, inside)};
  if (!restored.report.ok()) restored.text = without_tags(inside);
  return restored;
}

}  // namespace pagoda::translate
