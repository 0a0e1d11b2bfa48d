#include "translate/clean.h"

#include <gtest/gtest.h>

namespace pagoda::translate {
namespace {

Task task(std::string source, bool formatted = false) {
  Task made;
  made.source = std::move(source);
  made.to = &language("de");
  made.formatted = formatted;
  return made;
}

TEST(Clean, EdgesAddUpToTheText) {
  for (const char* text : {"", " ", "a", " a ", "\n\ta b\u3000\r\n", "\u00a0x"}) {
    const Edges edges = split_edges(text);
    EXPECT_EQ(std::string(edges.leading) + std::string(edges.body) + std::string(edges.trailing), text);
  }
  EXPECT_EQ(split_edges("\n\ta b\u3000\r\n").body, "a b");
}

TEST(Clean, Answers) {
  const struct {
    const char *source, *answer, *text;
    bool formatted;
  } cases[] = {
      {"Hello", " Hallo\n", "Hallo", false},
      {"  Hello\n", "Hallo", "  Hallo\n", false},
      {"Hello ", "\nHallo ", "Hallo ", false},
      {"Hello", "<target>Hallo</target>", "Hallo", false},
      {"The <target> tag", "Das <target>-Tag", "Das <target>-Tag", false},
      {" Hello ", " \n", "", false},
      {"Hello", "<target></target>", "", false},
      {"<s1>Hello</s1>\n", "<target> <s1>Hallo</s1> </target>", "<s1>Hallo</s1>\n", true},
      {"<s1>Hello</s1>", "<target><s1>Hallo</target>", "Hallo", true},
  };
  for (const auto& c : cases)
    EXPECT_EQ(clean_answer(task(c.source, c.formatted), c.answer).text, c.text) << c.answer;
}

TEST(Clean, ReportsTagsOfFormattedTasksOnly) {
  EXPECT_FALSE(clean_answer(task("<s1>a</s1>", true), "<target>a</target>").tags.ok());
  EXPECT_TRUE(clean_answer(task("<s1>a</s1>", true), "<target><s1>b</s1></target>").tags.ok());
  EXPECT_TRUE(clean_answer(task("<s1>a</s1>", false), "b").tags.ok());
}

}  // namespace
}  // namespace pagoda::translate
