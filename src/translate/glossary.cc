#include "translate/glossary.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>

namespace pagoda::translate {
namespace {

bool has_inner_capitals(std::u32string_view spelling) {
  return spelling.size() > 1 && std::any_of(spelling.begin() + 1, spelling.end(), is_upper);
}

// True if a word goes on between two neighbouring characters, so that a term must not begin or end there.
bool inside_word(char32_t left, char32_t right) {
  if (is_mark(right)) return true;  // in any script a mark belongs to the letter before it
  return is_word(left) && is_word(right) && has_spaces(script_of(left)) && has_spaces(script_of(right));
}

bool on_word_boundaries(std::u32string_view text, std::size_t begin, std::size_t length) {
  const std::size_t end = begin + length;
  if (begin > 0 && inside_word(text[begin - 1], text[begin])) return false;
  if (end == text.size()) return true;
  if (script_of(text[end - 1]) == Script::kHangul && script_of(text[end]) == Script::kHangul) return true;
  return !inside_word(text[end - 1], text[end]);
}

std::vector<std::string_view> split_fields(std::string_view line) {
  std::vector<std::string_view> fields;
  for (std::size_t begin = 0;;) {
    const std::size_t tab = line.find('\t', begin);
    fields.push_back(trim(line.substr(begin, tab - begin)));
    if (tab == std::string_view::npos) return fields;
    begin = tab + 1;
  }
}

// Collects what is wrong with a file, so that its author sees several lines at once.
class Complaints {
 public:
  void add(std::size_t line, const std::string& what) {
    if (count_++ < kShown) text_ += fmt::format("{}line {}: {}", text_.empty() ? "" : "; ", line, what);
  }
  base::Status status(const std::string& name) const {
    if (count_ == 0) return {};
    if (count_ > kShown)
      return base::invalid("glossary {}: {}; and {} more bad lines", name, text_, count_ - kShown);
    return base::invalid("glossary {}: {}", name, text_);
  }

 private:
  static constexpr std::size_t kShown = 3;
  std::size_t count_ = 0;
  std::string text_;
};

}  // namespace

base::Result<Glossary> Glossary::load(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return base::error(base::Code::kNotFound, "glossary {} cannot be opened", path);
  const std::string tsv((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (file.bad()) return base::data_loss("glossary {} cannot be read", path);
  return parse(tsv, path);
}

base::Result<Glossary> Glossary::parse(std::string_view tsv, const std::string& name) {
  if (tsv.substr(0, 3) == "\xEF\xBB\xBF") tsv.remove_prefix(3);
  Glossary glossary;
  Complaints complaints;
  for (std::size_t number = 1; !tsv.empty(); ++number) {
    const std::size_t newline = tsv.find('\n');
    const std::string_view line = tsv.substr(0, newline);
    tsv = newline == std::string_view::npos ? std::string_view() : tsv.substr(newline + 1);
    if (trim(line).empty() || trim(line).front() == '#') continue;
    const std::vector<std::string_view> fields = split_fields(line);
    if (fields.size() < 2) {
      complaints.add(number, "no tab between source and target");
      continue;
    }
    const base::Status added = glossary.add({std::string(fields[0]), std::string(fields[1])});
    if (!added.ok()) complaints.add(number, added.message());
  }
  RETURN_IF_ERROR(complaints.status(name));
  return glossary;
}

base::Result<Glossary> Glossary::from_terms(std::vector<Term> terms, const std::string& name) {
  Glossary glossary;
  Complaints complaints;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    const base::Status added =
        glossary.add({std::string(trim(terms[i].source)), std::string(trim(terms[i].target))});
    if (!added.ok()) complaints.add(i + 1, added.message());
  }
  RETURN_IF_ERROR(complaints.status(name));
  return glossary;
}

base::Status Glossary::add(Term term) {
  if (term.source.empty()) return base::invalid("the source is empty");
  if (term.target.empty()) return base::invalid("the target of \"{}\" is empty", term.source);
  const std::u32string spelling = decode(term.source);
  if (encode(spelling) != term.source || encode(decode(term.target)) != term.target)
    return base::invalid("not UTF-8");
  if (spelling.size() > kMaxTermCharacters || decode(term.target).size() > kMaxTermCharacters)
    return base::invalid("a term is longer than {} characters", kMaxTermCharacters);
  const std::u32string folded = fold(spelling);
  const auto [first, last] = by_folded_.equal_range(folded);
  for (auto it = first; it != last; ++it) {
    const Term& known = entries_[it->second].term;
    if (known.source != term.source) continue;
    if (known.target == term.target) return {};
    return base::invalid("\"{}\" has another target already, \"{}\"", term.source, known.target);
  }
  const auto place = std::lower_bound(lengths_.begin(), lengths_.end(), spelling.size(), std::greater<>());
  if (place == lengths_.end() || *place != spelling.size()) lengths_.insert(place, spelling.size());
  by_folded_.emplace(folded, entries_.size());
  entries_.push_back({std::move(term), spelling, has_inner_capitals(spelling)});
  return {};
}

const Glossary::Entry* Glossary::entry_at(std::u32string_view text, std::u32string_view folded,
                                          std::size_t begin, std::size_t length) const {
  const auto [first, last] = by_folded_.equal_range(std::u32string(folded.substr(begin, length)));
  const Entry* any_case = nullptr;
  for (auto it = first; it != last; ++it) {
    const Entry& entry = entries_[it->second];
    if (entry.spelling == text.substr(begin, length)) return &entry;
    if (!entry.case_sensitive) any_case = &entry;
  }
  return any_case;
}

// Each position is looked up once per distinct length of a term, so the cost does not depend on the number of
// terms.
std::vector<Glossary::Match> Glossary::all_matches(std::u32string_view text) const {
  const std::u32string folded = fold(text);
  std::vector<Match> found;
  for (std::size_t begin = 0; begin < text.size(); ++begin) {
    if (begin > 0 && inside_word(text[begin - 1], text[begin])) continue;
    for (const std::size_t length : lengths_) {
      if (length > text.size() - begin || !on_word_boundaries(text, begin, length)) continue;
      const Entry* entry = entry_at(text, folded, begin, length);
      if (entry != nullptr)
        found.push_back({begin, length, static_cast<std::size_t>(entry - entries_.data())});
    }
  }
  return found;
}

std::vector<Term> Glossary::matches(std::string_view utf8, std::size_t limit) const {
  if (entries_.empty()) return {};
  const std::u32string text = decode(utf8);
  std::vector<Match> found = all_matches(text);
  std::stable_sort(found.begin(), found.end(),
                   [](const Match& a, const Match& b) { return a.length > b.length; });
  std::vector<bool> taken(text.size(), false);
  std::vector<Match> kept;
  for (const Match& match : found) {
    const auto begin = taken.begin() + static_cast<std::ptrdiff_t>(match.begin);
    const auto end = begin + static_cast<std::ptrdiff_t>(match.length);
    if (std::find(begin, end, true) != end) continue;
    std::fill(begin, end, true);
    kept.push_back(match);
  }
  std::sort(kept.begin(), kept.end(), [](const Match& a, const Match& b) { return a.begin < b.begin; });
  std::vector<Term> terms;
  std::set<std::size_t> seen;
  for (const Match& match : kept) {
    if (terms.size() == limit) break;
    if (seen.insert(match.entry).second) terms.push_back(entries_[match.entry].term);
  }
  return terms;
}

std::vector<Term> missing_terms(const std::vector<Term>& terms, std::string_view output) {
  const std::u32string folded = fold(decode(output));
  std::vector<Term> missing;
  for (const Term& term : terms)
    if (folded.find(fold(decode(term.target))) == std::u32string::npos) missing.push_back(term);
  return missing;
}

}  // namespace pagoda::translate
