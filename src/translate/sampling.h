#pragma once
// The sampling that the model cards recommend, as data. Translation on the command line is greedy unless
// asked otherwise (the same text twice gives the same answer twice); the server takes these as its defaults.

#include <cstdint>

#include "text/chat_template.h"

namespace pagoda::translate {

struct OfficialSampling {
  double temperature;
  double top_p;
  std::int32_t top_k;  // -1: no limit
  double repetition_penalty;
  std::int32_t max_tokens;
};

constexpr OfficialSampling official_sampling(text::Family family) {
  return family == text::Family::kHyMoe ? OfficialSampling{0.7, 1.0, -1, 1.0, 4096}
                                        : OfficialSampling{0.7, 0.6, 20, 1.05, 4096};
}

// Temperature 0 is greedy: the other numbers have no effect then.
inline constexpr OfficialSampling kGreedy{0.0, 1.0, -1, 1.0, 4096};

}  // namespace pagoda::translate
