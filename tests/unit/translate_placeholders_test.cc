#include "translate/placeholders.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pagoda::translate {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::IsEmpty;

TEST(Placeholders, AreFound) {
  const struct {
    const char* text;
    std::vector<std::string> found;
  } cases[] = {
      {"{0} of {count}", {"{0}", "{count}"}},
      {"{{user.name}} and ${var}", {"{{user.name}}", "${var}"}},
      {"%s %d %1$s %05.2f %ld %@", {"%s", "%d", "%1$s", "%05.2f", "%ld", "%@"}},
      {"%(name)s %{n}", {"%(name)s", "%{n}"}},
      {"see https://example.org/a?b=1. (http://x.org)", {"https://example.org/a?b=1", "http://x.org"}},
      {"5% discount, 100 % sure, 50%", {}},
      {"{two words} {} { 0 } %discount h", {}},
      {"共%d个", {"%d"}},
      {"{", {}},
      {"%", {}},
      {"${", {}},
  };
  for (const auto& c : cases) EXPECT_THAT(find_placeholders(c.text), ElementsAreArray(c.found)) << c.text;
}

TEST(Placeholders, LostOnesAreCounted) {
  EXPECT_THAT(lost_placeholders("{0} {0} %s", "%s {0}"), ElementsAre("{0}"));
  EXPECT_THAT(lost_placeholders("{0} %s", "%s {0} {1}"), IsEmpty());
  EXPECT_THAT(lost_placeholders("{name}", "{Name}"), ElementsAre("{name}"));
}

}  // namespace
}  // namespace pagoda::translate
