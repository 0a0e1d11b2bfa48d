#include "serve/dialects/glossary_entries.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "translate/unicode.h"

namespace pagoda::serve {
namespace {

// C0 and C1 controls, the line ends of Unicode and the byte order mark, all of which mean something in a TSV.
bool is_control(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029 || c == 0xFEFF;
}

base::Status check_side(std::size_t line, const char* side, std::string_view text) {
  if (text.empty()) return base::invalid("entries: line {} has an empty {}", line, side);
  const std::u32string characters = translate::decode(text);
  if (std::any_of(characters.begin(), characters.end(), is_control))
    return base::invalid("entries: line {} has a control character in its {}", line, side);
  return {};
}

class Entries {
 public:
  base::Status add(std::size_t line, const std::vector<std::string>& fields) {
    translate::Term term{std::string(translate::trim(fields[0])), std::string(translate::trim(fields[1]))};
    RETURN_IF_ERROR(check_side(line, "source", term.source));
    RETURN_IF_ERROR(check_side(line, "target", term.target));
    if (terms_.size() >= kMaxGlossaryEntries)
      return base::error(base::Code::kResourceExhausted, "entries has more than {} terms",
                         kMaxGlossaryEntries);
    if (!sources_.insert(term.source).second)
      return base::invalid("entries: line {} repeats the source \"{}\"", line, term.source.substr(0, 200));
    terms_.push_back(std::move(term));
    return {};
  }
  base::Result<std::vector<translate::Term>> take() {
    if (terms_.empty()) return base::invalid("entries has no terms");
    return std::move(terms_);
  }

 private:
  std::vector<translate::Term> terms_;
  std::unordered_set<std::string> sources_;
};

std::string_view without_bom(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  return text;
}

// One record, which may go over several lines where it is quoted; `csv` loses it. `line` counts on.
base::Result<std::vector<std::string>> take_record(std::string_view& csv, std::size_t& line) {
  std::vector<std::string> fields(1);
  const std::size_t first_line = line;
  bool quoted = false, was_quoted = false;
  std::size_t i = 0;
  for (; i < csv.size(); ++i) {
    const char c = csv[i];
    if (c == '\n') ++line;
    if (quoted) {
      if (c != '"') {
        fields.back() += c;
      } else if (i + 1 < csv.size() && csv[i + 1] == '"') {
        fields.back() += csv[++i];
      } else {
        quoted = false;
      }
    } else if (c == '"' && fields.back().empty() && !was_quoted) {
      quoted = was_quoted = true;
    } else if (c == ',') {
      fields.emplace_back();
      was_quoted = false;
    } else if (c == '\n') {
      ++i;
      break;
    } else if (c != '\r') {
      fields.back() += c;
    }
  }
  if (quoted) return base::invalid("entries: the quote of line {} is not closed", first_line);
  csv.remove_prefix(i);
  return fields;
}

}  // namespace

base::Result<std::vector<translate::Term>> parse_glossary_tsv(std::string_view tsv) {
  Entries entries;
  tsv = without_bom(tsv);
  for (std::size_t line = 1; !tsv.empty(); ++line) {
    const std::size_t end = std::min(tsv.find('\n'), tsv.size());
    std::string_view text = tsv.substr(0, end);
    tsv.remove_prefix(std::min(end + 1, tsv.size()));
    if (text.ends_with('\r')) text.remove_suffix(1);
    if (translate::trim(text).empty()) continue;
    const std::size_t tab = text.find('\t');
    if (tab == std::string_view::npos || text.find('\t', tab + 1) != std::string_view::npos)
      return base::invalid("entries: line {} must be a source, one tab and a target", line);
    RETURN_IF_ERROR(entries.add(line, {std::string(text.substr(0, tab)), std::string(text.substr(tab + 1))}));
  }
  return entries.take();
}

base::Result<std::vector<translate::Term>> parse_glossary_csv(std::string_view csv) {
  Entries entries;
  csv = without_bom(csv);
  for (std::size_t line = 1; !csv.empty();) {
    const std::size_t first_line = line;
    ASSIGN_OR_RETURN(const std::vector<std::string> fields, take_record(csv, line));
    if (fields.size() == 1 && translate::trim(fields[0]).empty()) continue;
    if (fields.size() != 2 && fields.size() != 4)
      return base::invalid("entries: line {} has {} fields, it must have 2 or 4", first_line, fields.size());
    RETURN_IF_ERROR(entries.add(first_line, fields));
  }
  return entries.take();
}

std::string glossary_tsv(const std::vector<translate::Term>& terms) {
  std::string tsv;
  for (const translate::Term& term : terms) tsv += term.source + "\t" + term.target + "\n";
  return tsv;
}

}  // namespace pagoda::serve
