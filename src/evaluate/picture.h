#pragma once
// Quality against size as an SVG: a point for each model, mean BLEU above bytes of weights. Pure.

#include <cstddef>
#include <string>
#include <vector>

namespace pagoda::evaluate {

struct PicturePoint {
  std::string label;
  std::size_t weights_bytes = 0;
  double mean_bleu = 0;
};

// At least one point. The text is complete and needs no other file.
std::string quality_against_size(const std::vector<PicturePoint>& points, const std::string& title);

}  // namespace pagoda::evaluate
