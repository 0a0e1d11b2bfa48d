#pragma once
// Test files: sentences with reference translations, and the directions that they make. Plain values.
//
//   from<TAB>to<TAB>source<TAB>reference     one pair a line, languages by code; UTF-8, with or without BOM,
//   LF or
//                                            CRLF; empty lines are left out

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "translate/languages.h"

namespace pagoda::evaluate {

struct TestLine {
  std::string source;
  std::string reference;
  std::string origin;  // "FILE line 12", for messages
};

// All lines from one language into another.
struct Direction {
  const translate::Language* from = nullptr;
  const translate::Language* to = nullptr;
  std::vector<TestLine> lines;

  std::string pair() const;  // "en-fr"
};

struct TestPair {
  const translate::Language* from = nullptr;
  const translate::Language* to = nullptr;
  TestLine line;
};

// `name` is used in messages. kInvalidArgument names the first bad line and what it lacks.
base::Result<std::vector<TestPair>> parse_test_file(std::string_view tsv, const std::string& name);
base::Result<std::vector<TestPair>> read_test_file(const std::string& path);

// In order of first occurrence. With `both_ways` each pair is also a line of the opposite direction, behind
// those that are written that way. `limit`: the first so many lines of a direction; 0: all.
std::vector<Direction> make_directions(const std::vector<TestPair>& pairs, bool both_ways, std::size_t limit);

}  // namespace pagoda::evaluate
