#include "base/last_part.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace pagoda::base {
namespace {

TEST(LastPart, OfPathsAndNames) {
  for (const char* path :
       {"nano", "models/nano", "models/nano/", "models/nano//", "./models/nano/.", "/models/x/../nano"})
    EXPECT_EQ(last_part(path), "nano") << path;
  EXPECT_EQ(last_part("tencent/HY-MT1.5-1.8B"), "HY-MT1.5-1.8B");  // a dot is no file's ending here
}

TEST(LastPart, OfTheCurrentDirectory) {
  const std::string here = std::filesystem::current_path().filename().string();
  EXPECT_EQ(last_part("."), here);
  EXPECT_EQ(last_part("./"), here);
}

}  // namespace
}  // namespace pagoda::base
