// web/openapi.json says what the server is: the same routes, the same languages, and no loose ends.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "running_server.h"
#include "serve/embedded_files.h"
#include "translate/languages.h"

namespace pagoda::serve {
namespace {

namespace json = boost::json;

const json::value& description() {
  static const json::value parsed = [] {
    for (const EmbeddedFile& file : embedded_files())
      if (file.path == "openapi.json")
        return json::parse(json::string_view(file.bytes().data(), file.bytes().size()));
    ADD_FAILURE() << "the program has no openapi.json";
    return json::value(json::object());
  }();
  return parsed;
}

void for_each_object(const json::value& value, const std::function<void(const json::object&)>& see) {
  if (const json::object* object = value.if_object()) {
    see(*object);
    for (const auto& [name, member] : *object) for_each_object(member, see);
  } else if (const json::array* array = value.if_array()) {
    for (const json::value& element : *array) for_each_object(element, see);
  }
}

std::vector<std::string> described_routes() {
  std::vector<std::string> routes;
  for (const auto& [path, methods] : description().at("paths").as_object())
    for (const auto& [name, unused] : methods.as_object()) {
      std::string method(name);
      std::transform(method.begin(), method.end(), method.begin(),
                     [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
      routes.push_back(method + " " + std::string(path));
    }
  return routes;
}

TEST(OpenApi, HasTheRoutesOfTheServerAndNoOthers) {
  RunningServer running;
  EXPECT_THAT(described_routes(), testing::UnorderedElementsAreArray(running.routes()));
}

TEST(OpenApi, HasTheLanguagesOfTheServer) {
  std::vector<std::string> wanted, described;
  for (const translate::Language& language : translate::languages()) wanted.emplace_back(language.code);
  for (const json::value& code : description().at_pointer("/components/schemas/LanguageCode/enum").as_array())
    described.emplace_back(code.as_string());
  EXPECT_EQ(described, wanted);
}

TEST(OpenApi, ReferencesLeadSomewhereAndAllComponentsAreUsed) {
  std::set<std::string> used;
  for_each_object(description(), [&](const json::object& object) {
    const json::value* reference = object.if_contains("$ref");
    if (reference == nullptr) return;
    const std::string target(reference->as_string());
    ASSERT_TRUE(target.starts_with("#/")) << target;
    json::error_code error;
    EXPECT_NE(description().find_pointer(target.substr(1), error), nullptr) << target;
    used.insert(target);
  });
  for (const auto& [kind, components] : description().at("components").as_object()) {
    if (kind == "securitySchemes") continue;  // named without a reference
    for (const auto& [name, unused] : components.as_object())
      EXPECT_TRUE(used.contains("#/components/" + std::string(kind) + "/" + std::string(name))) << name;
  }
}

// Generators of clients make a function of each.
TEST(OpenApi, NamesEveryOperationOnce) {
  std::set<std::string> names;
  for (const auto& [path, methods] : description().at("paths").as_object())
    for (const auto& [method, operation] : methods.as_object()) {
      const json::value* name = operation.as_object().if_contains("operationId");
      ASSERT_NE(name, nullptr) << method << " " << path;
      EXPECT_TRUE(names.insert(std::string(name->as_string())).second) << *name;
    }
}

// The {names} of a path are its parameters.
TEST(OpenApi, DescribesThePartsOfPaths) {
  for (const auto& [path, methods] : description().at("paths").as_object()) {
    const std::string text(path);
    std::set<std::string> wanted;
    for (std::size_t at = text.find('{'); at != std::string::npos; at = text.find('{', at + 1))
      wanted.insert(text.substr(at + 1, text.find('}', at) - at - 1));
    for (const auto& [method, operation] : methods.as_object()) {
      std::set<std::string> described;
      if (const json::value* parameters = operation.as_object().if_contains("parameters"))
        for (const json::value& parameter : parameters->as_array())
          if (parameter.at("in") == "path") described.emplace(parameter.at("name").as_string());
      EXPECT_EQ(described, wanted) << method << " " << path;
    }
  }
}

}  // namespace
}  // namespace pagoda::serve
