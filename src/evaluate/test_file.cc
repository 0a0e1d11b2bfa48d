#include "evaluate/test_file.h"

#include <algorithm>
#include <array>

#include "base/mapped_file.h"
#include "translate/unicode.h"

namespace pagoda::evaluate {
namespace {

constexpr std::size_t kColumns = 4;
constexpr std::size_t kMaxFileBytes = std::size_t{1} << 30;

bool is_utf8(std::string_view text) {
  // Decoding puts U+FFFD where bytes are wrong; a text that has one of its own stays the same.
  return translate::encode(translate::decode(text)) == text;
}

base::Result<TestPair> parse_line(std::string_view line, const std::string& origin) {
  std::array<std::string, kColumns> columns;
  std::size_t count = 0;
  for (std::size_t begin = 0; begin <= line.size(); ++count) {
    const std::size_t end = std::min(line.find('\t', begin), line.size());
    if (count < kColumns) columns[count] = translate::trim(line.substr(begin, end - begin));
    begin = end + 1;
  }
  if (count != kColumns)
    return base::invalid("{} has {} columns; expected are from, to, source and reference, tabs between them",
                         origin, count);
  if (!is_utf8(line)) return base::invalid("{} is not UTF-8", origin);
  TestPair pair;
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}}) {
    const auto language = translate::find_language(columns[i]);
    if (!language.ok()) return base::invalid("{}: {}", origin, language.status().message());
    (i == 0 ? pair.from : pair.to) = *language;
  }
  if (pair.from == pair.to) return base::invalid("{} is from {} into {}", origin, columns[0], columns[1]);
  if (columns[2].empty()) return base::invalid("{} has no source", origin);
  if (columns[3].empty()) return base::invalid("{} has no reference", origin);
  pair.line = {columns[2], columns[3], origin};
  return pair;
}

Direction& direction_of(std::vector<Direction>& directions, const translate::Language* from,
                        const translate::Language* to) {
  const auto found = std::find_if(directions.begin(), directions.end(), [&](const Direction& direction) {
    return direction.from == from && direction.to == to;
  });
  if (found != directions.end()) return *found;
  directions.push_back({from, to, {}});
  return directions.back();
}

}  // namespace

std::string Direction::pair() const { return fmt::format("{}-{}", from->code, to->code); }

base::Result<std::vector<TestPair>> parse_test_file(std::string_view tsv, const std::string& name) {
  if (tsv.starts_with("\xef\xbb\xbf")) tsv.remove_prefix(3);
  std::vector<TestPair> pairs;
  for (std::size_t begin = 0, number = 1; begin < tsv.size(); ++number) {
    const std::size_t end = std::min(tsv.find('\n', begin), tsv.size());
    std::string_view line = tsv.substr(begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    begin = end + 1;
    if (line.empty()) continue;
    ASSIGN_OR_RETURN(TestPair pair, parse_line(line, fmt::format("{} line {}", name, number)));
    pairs.push_back(std::move(pair));
  }
  if (pairs.empty()) return base::invalid("{} has no lines", name);
  return pairs;
}

base::Result<std::vector<TestPair>> read_test_file(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, base::read_file(path, kMaxFileBytes));
  return parse_test_file(text, path);
}

std::vector<Direction> make_directions(const std::vector<TestPair>& pairs, bool both_ways,
                                       std::size_t limit) {
  std::vector<Direction> directions;
  for (const TestPair& pair : pairs) direction_of(directions, pair.from, pair.to).lines.push_back(pair.line);
  if (both_ways)
    for (const TestPair& pair : pairs)
      direction_of(directions, pair.to, pair.from)
          .lines.push_back({pair.line.reference, pair.line.source, pair.line.origin});
  if (limit > 0)
    for (Direction& direction : directions)
      if (direction.lines.size() > limit) direction.lines.resize(limit);
  return directions;
}

}  // namespace pagoda::evaluate
