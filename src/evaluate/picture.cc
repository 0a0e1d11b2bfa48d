#include "evaluate/picture.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace pagoda::evaluate {
namespace {

constexpr double kWidth = 760, kHeight = 460;
constexpr double kLeft = 74, kRight = 28, kTop = 52, kBottom = 62;
constexpr double kFontSize = 14;
constexpr double kLetterWidth = 0.56 * kFontSize;  // on average, of sans-serif fonts
constexpr double kLabelHeight = 20;

// An axis from `low` to `high` with marks at round numbers.
struct Axis {
  double low, high, step;
};

Axis make_axis(double low, double high, int marks) {
  if (high <= low) high = low + 1;
  const double raw = (high - low) / marks;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (const double nice : {1.0, 2.0, 5.0})
    if (nice * power >= raw) {
      step = nice * power;
      break;
    }
  return {std::floor(low / step) * step, std::ceil(high / step) * step, step};
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  return out;
}

double x_of(const Axis& axis, double value) {
  return kLeft + (value - axis.low) / (axis.high - axis.low) * (kWidth - kLeft - kRight);
}
double y_of(const Axis& axis, double value) {
  return kHeight - kBottom - (value - axis.low) / (axis.high - axis.low) * (kHeight - kTop - kBottom);
}

// As many digits as tell the marks of the axis apart.
std::string mark(const Axis& axis, double value) {
  return fmt::format("{:.{}f}", value, axis.step >= 1 ? 0 : axis.step >= 0.1 ? 1 : 2);
}

std::string line(double x1, double y1, double x2, double y2, const char* colour) {
  return fmt::format(R"(<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" stroke="{}"/>)"
                     "\n",
                     x1, y1, x2, y2, colour);
}
std::string text(double x, double y, const char* attributes, const std::string& words) {
  return fmt::format(R"(<text x="{:.1f}" y="{:.1f}" {}>{}</text>)"
                     "\n",
                     x, y, attributes, escaped(words));
}

struct Label {
  double x, y;  // left end, middle
  double width;
  bool left_of_point;

  bool meets(const Label& other) const {
    return x < other.x + other.width && other.x < x + width && std::abs(y - other.y) < kLabelHeight;
  }
};

// Right of its point, left of it where the picture ends, and moved up or down past labels that are there.
Label place(double x, double y, const std::string& words, const std::vector<Label>& others) {
  const double width = kLetterWidth * static_cast<double>(words.size());
  const bool fits = x + 12 + width < kWidth - 4;
  Label label{fits ? x + 12 : x - 12 - width, y, width, !fits};
  for (int tries = 1; tries < 40; ++tries) {
    if (std::none_of(others.begin(), others.end(), [&](const Label& other) { return label.meets(other); }))
      break;
    label.y = y + kLabelHeight * (tries % 2 == 1 ? -(tries + 1) / 2 : tries / 2);
  }
  return label;
}

}  // namespace

std::string quality_against_size(const std::vector<PicturePoint>& points, const std::string& title) {
  CHECK(!points.empty());
  double most_bytes = 0, least_bleu = 100, most_bleu = 0;
  for (const PicturePoint& point : points) {
    most_bytes = std::max(most_bytes, static_cast<double>(point.weights_bytes));
    least_bleu = std::min(least_bleu, point.mean_bleu);
    most_bleu = std::max(most_bleu, point.mean_bleu);
  }
  const double unit = most_bytes >= 1e9 ? 1e9 : 1e6;
  const Axis sizes = make_axis(0, 1.08 * most_bytes / unit, 6);
  // Differences of a tenth matter, so the axis does not begin at 0; but a hair is not drawn as a chasm.
  const double margin = std::max(0.15 * (most_bleu - least_bleu), 0.25);
  const Axis bleus = make_axis(std::max(least_bleu - margin, 0.0), most_bleu + margin, 6);

  std::string svg = fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" width="{0:.0f}" height="{1:.0f}" viewBox="0 0 {0:.0f} {1:.0f}" )"
      R"(font-family="Noto Sans, DejaVu Sans, Arial, sans-serif" font-size="{2:.0f}" fill="#1f2933">)"
      "\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
      kWidth, kHeight, kFontSize);
  svg += text(kLeft, 30, R"(font-size="17" font-weight="600")", title);
  for (int i = 0; bleus.low + i * bleus.step <= bleus.high + 1e-9; ++i) {
    const double value = bleus.low + i * bleus.step, y = y_of(bleus, value);
    svg += line(kLeft, y, kWidth - kRight, y, i == 0 ? "#52606d" : "#e4e7eb");
    svg += text(kLeft - 10, y + 5, R"(text-anchor="end")", mark(bleus, value));
  }
  for (int i = 0; sizes.low + i * sizes.step <= sizes.high + 1e-9; ++i) {
    const double value = sizes.low + i * sizes.step, x = x_of(sizes, value);
    svg += line(x, kHeight - kBottom, x, kHeight - kBottom + 6, "#52606d");
    svg += text(x, kHeight - kBottom + 24, R"(text-anchor="middle")", mark(sizes, value));
  }
  svg += text((kLeft + kWidth - kRight) / 2, kHeight - 14, R"(text-anchor="middle")",
              unit > 1e6 ? "weights in memory, GB" : "weights in memory, MB");
  svg += fmt::format(
      R"svg(<text transform="translate(22 {:.1f}) rotate(-90)" text-anchor="middle">mean BLEU</text>)svg"
      "\n",
      (kTop + kHeight - kBottom) / 2);
  std::vector<Label> labels;
  for (const PicturePoint& point : points) {
    const double x = x_of(sizes, static_cast<double>(point.weights_bytes) / unit);
    const double y = y_of(bleus, point.mean_bleu);
    const std::string words = fmt::format("{}  {:.2f}", point.label, point.mean_bleu);
    const Label label = place(x, y, words, labels);
    if (label.y != y) svg += line(x, y, label.left_of_point ? x - 9 : x + 9, label.y, "#9aa5b1");
    svg += fmt::format(R"(<circle cx="{:.1f}" cy="{:.1f}" r="6" fill="#0b69a3"/>)"
                       "\n",
                       x, y);
    // By its end where it stands on the left: the width is only estimated.
    svg += label.left_of_point ? text(label.x + label.width, label.y + 5, R"(text-anchor="end")", words)
                               : text(label.x, label.y + 5, R"(text-anchor="start")", words);
    labels.push_back(label);
  }
  return svg + "</svg>\n";
}

}  // namespace pagoda::evaluate
