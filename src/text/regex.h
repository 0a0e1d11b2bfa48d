#pragma once
// The regular expressions of a tokenizer.json, by PCRE2 with JIT. They are written for Oniguruma (what the
// Hugging Face library uses); constructs that the two engines read differently are translated or refused,
// never guessed. Immutable: any thread may search, each with its own Scratch.

#ifndef PCRE2_CODE_UNIT_WIDTH
#define PCRE2_CODE_UNIT_WIDTH 8
#endif
#include <pcre2.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

namespace pagoda::text {

// The pattern in PCRE2's spelling, or kUnimplemented saying which construct is not supported.
base::Result<std::string> translate_oniguruma(std::string_view pattern);

class Regex {
 public:
  static base::Result<Regex> compile(std::string_view pattern);

  class Scratch {
   public:
    Scratch();

   private:
    friend class Regex;
    struct Free {
      void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
    };
    std::unique_ptr<pcre2_match_data, Free> data_;
  };

  struct Match {
    bool found = false;
    std::size_t begin = 0, end = 0;
  };
  // The first match at or after `from` in `text`, which must be well-formed UTF-8. A search that exceeds
  // PCRE2's limits (only a pathological pattern does) counts as no match: the text is then split less, but
  // never lost.
  Match find(std::string_view text, std::size_t from, Scratch& scratch) const;

 private:
  struct Free {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
  };
  std::unique_ptr<pcre2_code, Free> code_;
  bool jit_ = false;
};

}  // namespace pagoda::text
