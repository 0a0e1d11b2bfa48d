#pragma once
// Reads Prometheus' text format (0.0.4) as strictly as a scraper, and says what is wrong with it.

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <sstream>
#include <string>
#include <string_view>

namespace pagoda::serve {

class Exposition {
 public:
  explicit Exposition(const std::string& text) {
    EXPECT_TRUE(text.empty() || text.back() == '\n');
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("# HELP ")) continue;
      if (line.starts_with("# TYPE "))
        read_type(line.substr(7));
      else
        read_sample(line);
    }
    for (const auto& [name, type] : types_)
      if (type == "histogram") check_histogram(name);
  }

  // Of the only sample of this name whose labels contain all of `labels` (`status="200"`); -1 if there is
  // none, the sum if there are several.
  double value(const std::string& name, const std::vector<std::string>& labels = {}) const {
    double sum = -1;
    for (const auto& [key, value] : samples_) {
      if (!key.starts_with(name + "{")) continue;
      bool all = true;
      for (const std::string& label : labels)
        all =
            all && (key.find("{" + label) != std::string::npos || key.find("," + label) != std::string::npos);
      if (all) sum = (sum < 0 ? 0 : sum) + value;
    }
    return sum;
  }
  bool has(const std::string& family, const std::string& type) const {
    const auto found = types_.find(family);
    return found != types_.end() && found->second == type;
  }

 private:
  void read_type(const std::string& line) {
    const std::size_t space = line.find(' ');
    const std::string name = line.substr(0, space), type = line.substr(space + 1);
    EXPECT_TRUE(types_.emplace(name, type).second) << name << " appears twice";
    EXPECT_TRUE(type != "counter" || name.ends_with("_total")) << name;
    current_ = name;
  }
  void read_sample(const std::string& line) {
    const std::size_t brace = line.find('{'), end = line.rfind("} ");
    ASSERT_TRUE(brace != std::string::npos && end != std::string::npos) << line;
    EXPECT_TRUE(line.starts_with(current_)) << line << " stands below " << current_;
    EXPECT_NE(line.find("model_name=\""), std::string::npos) << line;
    char* rest = nullptr;
    const double value = std::strtod(line.c_str() + end + 2, &rest);
    EXPECT_EQ(*rest, '\0') << line;
    EXPECT_TRUE(samples_.emplace(line.substr(0, end + 1), value).second) << line << " appears twice";
    if (line.starts_with(current_ + "_bucket")) {
      EXPECT_GE(value, buckets_[current_]) << line << " is not cumulative";
      buckets_[current_] = value;
    }
  }
  // The last bucket, +Inf, holds all. (All histograms have one set of labels.)
  void check_histogram(const std::string& name) {
    EXPECT_EQ(value(name + "_bucket", {"le=\"+Inf\""}), value(name + "_count")) << name;
    EXPECT_GE(value(name + "_sum"), 0) << name;
  }

  std::string current_;
  std::map<std::string, std::string> types_;
  std::map<std::string, double> samples_, buckets_;
};

}  // namespace pagoda::serve
