#include "text/regex.h"

#include <array>

namespace pagoda::text {
namespace {

using base::Code;
using base::error;

// Appends the escape `\c` in PCRE2's spelling; false if the two engines disagree about it.
bool append_escape(char c, std::string& out) {
  switch (c) {
    // PCRE2's own \s also takes U+180E, Oniguruma's is the Unicode property White_Space.
    case 's':
      out += "\\p{White_Space}";
      return true;
    case 'S':
      out += "\\P{White_Space}";
      return true;
    // \w and \b follow different word definitions, \h is a hexadecimal digit there; the rest is not in both.
    case 'w':
    case 'W':
    case 'b':
    case 'B':
    case 'h':
    case 'H':
    case 'C':
    case 'K':
    case 'N':
    case 'O':
    case 'Q':
    case 'E':
    case 'g':
    case 'k':
    case 'u':
    case 'y':
    case 'Y':
    case 'R':
    case 'X':
      return false;
    default:
      out += {'\\', c};
      return true;
  }
}

// Whether a group that begins with "(?" or "(*" followed by `rest` means the same in both engines.
bool is_common_group(std::string_view rest) {
  for (std::string_view known : {":", "=", "!", ">", "<=", "<!", "i:"})
    if (rest.substr(0, known.size()) == known) return true;
  return false;
}

std::string pcre2_message(int code) {
  std::array<PCRE2_UCHAR, 256> buffer{};
  pcre2_get_error_message(code, buffer.data(), buffer.size());
  return reinterpret_cast<const char*>(buffer.data());
}

}  // namespace

base::Result<std::string> translate_oniguruma(std::string_view pattern) {
  const auto refuse = [&](std::string_view what) {
    return error(Code::kUnimplemented, "the regex {} uses {}, which is not supported", pattern, what);
  };
  std::string out;
  out.reserve(pattern.size() + 64);
  bool in_class = false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    const std::string_view rest = pattern.substr(i + 1);
    const char next = rest.empty() ? '\0' : rest[0];
    if (c == '\\') {
      if (rest.empty()) return refuse("a backslash at the end");
      if (!append_escape(next, out)) return refuse(pattern.substr(i, 2));
      ++i;
      continue;
    }
    // Oniguruma has nested classes, POSIX brackets of its own, and intersections.
    if (in_class && c == '[') return refuse("[ inside a character class");
    if (in_class && c == '&' && next == '&') return refuse("&& inside a character class");
    if (!in_class && c == '(' && next == '*') return refuse("(*");
    if (!in_class && c == '(' && next == '?' && !is_common_group(rest.substr(1)))
      return refuse(pattern.substr(i, 3));
    if (!in_class && c == '{' && next == ',') return refuse("{,n}");
    if (!in_class && c == '[')
      in_class = true;
    else if (in_class && c == ']')
      in_class = false;
    out.push_back(c);
  }
  return out;
}

base::Result<Regex> Regex::compile(std::string_view pattern) {
  ASSIGN_OR_RETURN(const std::string translated, translate_oniguruma(pattern));
  // In Oniguruma's Ruby syntax ^ and $ always mean lines.
  constexpr std::uint32_t kOptions = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE;
  struct FreeContext {
    void operator()(pcre2_compile_context* context) const { pcre2_compile_context_free(context); }
  };
  const std::unique_ptr<pcre2_compile_context, FreeContext> context(pcre2_compile_context_create(nullptr));
  CHECK(context != nullptr);
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int code = 0;
  std::size_t offset = 0;
  Regex regex;
  regex.code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                                  kOptions, &code, &offset, context.get()));
  if (regex.code_ == nullptr)
    return error(Code::kUnimplemented, "the regex {} cannot be compiled: {}", pattern, pcre2_message(code));
  // Without JIT (a system that forbids executable memory) the interpreter does the same, slower.
  regex.jit_ = pcre2_jit_compile(regex.code_.get(), PCRE2_JIT_COMPLETE) == 0;
  return regex;
}

Regex::Scratch::Scratch() : data_(pcre2_match_data_create(1, nullptr)) { CHECK(data_ != nullptr); }

Regex::Match Regex::find(std::string_view text, std::size_t from, Scratch& scratch) const {
  const auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  pcre2_match_data* data = scratch.data_.get();
  int count = PCRE2_ERROR_JIT_STACKLIMIT;
  if (jit_)
    count = pcre2_jit_match(code_.get(), subject, text.size(), from, PCRE2_NO_UTF_CHECK, data, nullptr);
  // The interpreter keeps its backtracking points on the heap, so it goes on where the JIT's stack ends.
  if (count == PCRE2_ERROR_JIT_STACKLIMIT)
    count = pcre2_match(code_.get(), subject, text.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data,
                        nullptr);
  // 0 means that there were more groups than places in `data`; the match itself is always there.
  if (count < 0) return {};
  const std::size_t* ends = pcre2_get_ovector_pointer(data);
  return {true, ends[0], ends[1]};
}

}  // namespace pagoda::text
