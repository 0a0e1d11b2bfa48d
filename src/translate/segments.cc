#include "translate/segments.h"

#include <unicode/brkiter.h>
#include <unicode/unistr.h>
#include <unicode/utext.h>

#include <algorithm>
#include <memory>

#include "translate/clean.h"

namespace pagoda::translate {
namespace {

std::size_t characters(std::string_view utf8) {
  return static_cast<std::size_t>(
      std::count_if(utf8.begin(), utf8.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

// Byte offsets where sentences begin, behind the first. ICU's rules know the full stops of all scripts.
std::vector<std::size_t> sentence_starts(std::string_view line) {
  std::vector<std::size_t> starts;
  UErrorCode error = U_ZERO_ERROR;
  const std::unique_ptr<icu::BreakIterator> sentences(
      icu::BreakIterator::createSentenceInstance(icu::Locale::getRoot(), error));
  UText* text = utext_openUTF8(nullptr, line.data(), static_cast<std::int64_t>(line.size()), &error);
  if (U_SUCCESS(error)) sentences->setText(text, error);
  if (U_SUCCESS(error)) {
    sentences->first();
    for (std::int32_t at = sentences->next(); at != icu::BreakIterator::DONE; at = sentences->next())
      if (static_cast<std::size_t>(at) < line.size()) starts.push_back(static_cast<std::size_t>(at));
  }
  utext_close(text);
  return starts;
}

void add(std::string_view text, std::string_view line_end, bool sentence, std::vector<Segment>& segments) {
  const Edges edges = split_edges(text);
  Segment segment;
  segment.source = edges.body;
  segment.leading = edges.leading;
  segment.trailing = std::string(edges.trailing).append(line_end);
  segment.sentence = sentence;
  segments.push_back(std::move(segment));
}

// As many sentences to a segment as fit.
void add_line(std::string_view line, std::string_view line_end, std::size_t max_characters,
              std::vector<Segment>& segments) {
  std::size_t begin = 0;
  if (characters(line) > max_characters) {
    std::vector<std::size_t> starts = sentence_starts(line);
    starts.push_back(line.size());
    std::size_t end = 0;
    for (const std::size_t next : starts) {
      if (end > begin && characters(line.substr(begin, next - begin)) > max_characters) {
        add(line.substr(begin, end - begin), "", /*sentence=*/true, segments);
        begin = end;
      }
      end = next;
    }
  }
  add(line.substr(begin), line_end, /*sentence=*/false, segments);
}

}  // namespace

std::vector<Segment> split_segments(std::string_view text, std::size_t max_characters) {
  std::vector<Segment> segments;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of("\r\n"), text.size());
    // All line ends that follow belong to this line, so that empty lines are no segments of their own.
    const std::size_t next = std::min(text.find_first_not_of("\r\n", end), text.size());
    add_line(text.substr(0, end), text.substr(end, next - end), max_characters, segments);
    text.remove_prefix(next);
  }
  return segments;
}

std::string separator_after(const Segment& segment, const Language& to) {
  if (!segment.sentence) return segment.trailing;
  if (to.is_chinese || to.code == "ja") return "";
  return segment.trailing.empty() ? " " : segment.trailing;
}

}  // namespace pagoda::translate
