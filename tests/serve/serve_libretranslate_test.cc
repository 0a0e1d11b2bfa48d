// LibreTranslate from end to end: /translate, /languages, /detect, /frontend/settings.

#include "dialect_server.h"

namespace pagoda::serve {
namespace {

using ::testing::HasSubstr;

TEST(LibreTranslate, TranslatesOneText) {
  DialectServer server;
  const std::string expected = server.translation("Hello world", "en", "fr");
  const Reply reply = server.post("/translate", R"({"q": "Hello world", "source": "en", "target": "fr"})");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, R"({"translatedText":)" + quoted(expected) + "}");
  EXPECT_TRUE(reply.has("application/json"));
  EXPECT_TRUE(reply.has("Access-Control-Allow-Origin: *"));
}

TEST(LibreTranslate, FormsAndMultipartSayTheSame) {
  DialectServer server;
  const std::string body =
      server.post("/translate", R"({"q": "Hello world", "source": "en", "target": "fr"})").body;
  EXPECT_EQ(server.post("/translate", "q=Hello+world&source=en&target=fr", kForm).body, body);
  EXPECT_EQ(
      server.post("/translate", R"({"q":"Hello world","source":"English","target":"fr-CA"})", kForm).body,
      body);
  EXPECT_EQ(server.post("/translate?source=en&target=fr", "q=Hello+world", kForm).body, body);
  const auto part = [](const char* name, const char* value) {
    return std::string("--b\r\nContent-Disposition: form-data; name=\"") + name + "\"\r\n\r\n" + value +
           "\r\n";
  };
  EXPECT_EQ(server
                .post("/translate",
                      part("q", "Hello world") + part("source", "en") + part("target", "fr") + "--b--\r\n",
                      "multipart/form-data; boundary=b")
                .body,
            body);
}

TEST(LibreTranslate, ArraysAreAnsweredByArrays) {
  DialectServer server;
  const boost::json::value answer = json_of(server.post(
      "/translate",
      R"({"q": ["Good morning, my friends", "", "  \n"], "source": "auto", "target": "zh-Hans"})"));
  const boost::json::array& texts = answer.at("translatedText").as_array();
  ASSERT_EQ(texts.size(), 3u);
  EXPECT_EQ(texts[0].as_string(), server.translation("Good morning, my friends", "en", "zh"));
  EXPECT_EQ(texts[1].as_string(), "");
  EXPECT_EQ(texts[2].as_string(), "  \n");
  const boost::json::array& detected = answer.at("detectedLanguage").as_array();
  ASSERT_EQ(detected.size(), 3u);
  EXPECT_EQ(detected[0].at("language").as_string(), "en");
  EXPECT_GT(detected[0].at("confidence").as_int64(), 50);
  EXPECT_EQ(boost::json::serialize(detected[1]), R"({"confidence":0,"language":"en"})");
  EXPECT_FALSE(answer.as_object().contains("alternatives"));
  // An array of one stays one; no texts at all are no work.
  EXPECT_TRUE(json_of(server.post("/translate", R"({"q": ["Hi"], "source": "en", "target": "de"})"))
                  .at("translatedText")
                  .is_array());
  EXPECT_EQ(server.post("/translate", R"({"q": [], "source": "en", "target": "de"})").body,
            R"({"translatedText":[]})");
}

TEST(LibreTranslate, DetectedLanguageOnlyWhereItWasAskedFor) {
  DialectServer server;
  const boost::json::value answer = json_of(
      server.post("/translate", R"({"q": "今天天气很好，我们去公园吧", "source": "auto", "target": "en"})"));
  EXPECT_EQ(answer.at("detectedLanguage").at("language").as_string(), "zh");
  EXPECT_TRUE(answer.at("translatedText").is_string());
}

TEST(LibreTranslate, LinesStayLines) {
  DialectServer server;
  const boost::json::value answer =
      json_of(server.post("/translate", R"({"q": "one\n\n  two\n", "source": "en", "target": "de"})"));
  EXPECT_EQ(answer.at("translatedText").as_string(),
            server.translation("one", "en", "de") + "\n\n  " + server.translation("two", "en", "de") + "\n");
}

TEST(LibreTranslate, AlternativesDifferFromTheAnswerAndFromEachOther) {
  DialectServer server;
  const boost::json::value answer = json_of(
      server.post("/translate", R"({"q": "Hello", "source": "en", "target": "fr", "alternatives": 3})"));
  std::set<std::string> all{std::string(answer.at("translatedText").as_string())};
  ASSERT_EQ(answer.at("alternatives").as_array().size(), 3u);  // a random model never says the same twice
  for (const boost::json::value& text : answer.at("alternatives").as_array())
    EXPECT_TRUE(all.insert(std::string(text.as_string())).second);
  const boost::json::value batch = json_of(server.post(
      "/translate", R"({"q": ["Hello", ""], "source": "en", "target": "fr", "alternatives": 2})"));
  EXPECT_EQ(batch.at("alternatives").as_array().size(), 2u);
  EXPECT_EQ(batch.at("alternatives").at(0).as_array().size(), 2u);
  EXPECT_TRUE(batch.at("alternatives").at(1).as_array().empty());
  EXPECT_TRUE(json_of(server.post("/translate", "q=Hello&source=en&target=fr&alternatives=1", kForm))
                  .at("alternatives")
                  .is_array());
}

TEST(LibreTranslate, HtmlWithoutTagsIsText) {
  DialectServer server;
  const std::string expected = server.translation("Tom & Jerry", "en", "fr");
  const boost::json::value answer = json_of(server.post(
      "/translate", R"({"q": "Tom &amp; Jerry", "source": "en", "target": "fr", "format": "html"})"));
  std::string text(answer.at("translatedText").as_string());
  for (const auto& [entity, character] :
       {std::pair<std::string, std::string>{"&lt;", "<"}, {"&gt;", ">"}, {"&amp;", "&"}})
    for (std::size_t at; (at = text.find(entity)) != std::string::npos;)
      text.replace(at, entity.size(), character);
  EXPECT_EQ(text, expected);
  expect_error(
      server.post("/translate", R"({"q": "<b>Tom</b>", "source": "en", "target": "fr", "format": "html"})"),
      501, R"({"error":"HTML is not supported: the text has tags or entities that are not plain text"})");
}

TEST(LibreTranslate, LanguagesAreListedWithTheirTargets) {
  DialectServer server(with_keys({"k"}));  // open to everybody
  const boost::json::value answer = json_of(server.send("GET", "/languages"));
  ASSERT_EQ(answer.as_array().size(), 38u);
  EXPECT_EQ(answer.at(0).at("code").as_string(), "zh");
  EXPECT_EQ(answer.at(1).at("name").as_string(), "English");
  EXPECT_EQ(answer.at(1).at("targets").as_array().size(), 38u);
  EXPECT_EQ(answer.at(0).as_object().size(), 3u);
}

TEST(LibreTranslate, SettingsSayWhetherAKeyIsNeeded) {
  for (const bool keys : {false, true}) {
    DialectServer server(keys ? with_keys({"k"}) : RunningOptions());
    const std::string word = keys ? "true" : "false";
    EXPECT_EQ(
        server.send("GET", "/frontend/settings").body,
        R"({"charLimit":262144,"frontendTimeout":500,"apiKeys":)" + word + R"(,"keyRequired":)" + word +
            R"(,"suggestions":false,"filesTranslation":false,"supportedFilesFormat":[],"language":{"source":)"
            R"({"code":"auto","name":"Auto Detect"},"target":{"code":"en","name":"English"}}})");
  }
}

TEST(LibreTranslate, Detects) {
  DialectServer server;
  const boost::json::value answer =
      json_of(server.post("/detect", "q=Bonjour+tout+le+monde%2C+comment+allez-vous", kForm));
  ASSERT_EQ(answer.as_array().size(), 1u);
  EXPECT_EQ(answer.at(0).at("language").as_string(), "fr");
  EXPECT_GE(answer.at(0).at("confidence").as_int64(), 50);
  EXPECT_LE(answer.at(0).at("confidence").as_int64(), 100);
  EXPECT_EQ(server.post("/detect", R"({"q": ""})").body, R"([{"confidence":0,"language":"en"}])");
  expect_error(server.post("/detect", "{}"), 400, R"({"error":"Invalid request: missing q parameter"})");
}

TEST(LibreTranslate, WhatIsWrongIsNamed) {
  DialectServer server;
  const std::pair<const char*, const char*> cases[] = {
      {R"({"source": "en", "target": "fr"})", "missing q parameter"},
      {R"({"q": "x", "target": "fr"})", "missing source parameter"},
      {R"({"q": "x", "source": "en"})", "missing target parameter"},
      {R"({"q": null, "source": "en", "target": "fr"})", "missing q parameter"},
      {R"({"q": 3, "source": "en", "target": "fr"})", "q is a number"},
      {R"({"q": ["x", {}], "source": "en", "target": "fr"})", "q[1] is an object"},
      {R"({"q": "x", "source": "en", "target": "auto"})", "target: unknown language \\\"auto\\\""},
      {R"({"q": "x", "source": "en", "target": "sv"})", "target: language \\\"sv\\\" (Swedish)"},
      {R"({"q": "x", "source": "xx", "target": "fr"})", "source: unknown language \\\"xx\\\""},
      {R"({"q": "x", "source": "en", "target": "fr", "format": "markdown"})",
       "markdown format is not supported"},
      {R"({"q": "x", "source": "en", "target": "fr", "alternatives": 9})", "alternatives is 9"},
      {R"({"q": "x", "source": "en", "target": "fr", "alternatives": -1})", "alternatives is -1"},
      {R"({"q": "x", )", "not valid JSON at byte"},
      {"[]", "the body is an array"},
      {"", "missing q parameter"},
      {"{\"q\": \"\xff\"}", "not UTF-8"},
  };
  for (const auto& [body, message] : cases) {
    const Reply reply = server.post("/translate", body);
    EXPECT_EQ(reply.status, 400) << body;
    EXPECT_THAT(reply.body, HasSubstr(message)) << body;
    EXPECT_THAT(reply.body, HasSubstr("{\"error\":\"")) << body;
  }
  EXPECT_THAT(server.post("/translate", "q=%ff&source=en&target=fr", kForm).body,
              HasSubstr("q is not UTF-8"));
  EXPECT_THAT(server.post("/translate", "--b", "multipart/form-data; boundary=b").body,
              HasSubstr("multipart"));
  EXPECT_EQ(server.send("GET", "/translate").status, 405);
}

TEST(LibreTranslate, TooMuchIsRefused) {
  RunningOptions options;
  options.limits.max_text_bytes = 2000;
  DialectServer server(options);
  const Reply texts =
      server.post("/translate", R"({"source": "en", "target": "fr", "q": )" + many_texts(1025) + "}");
  EXPECT_EQ(texts.status, 400);
  EXPECT_THAT(texts.body, HasSubstr("q has 1025 strings, the limit is 1024"));
  const Reply alternatives = server.post(
      "/translate", R"({"source": "en", "target": "fr", "alternatives": 4, "q": )" + many_texts(205) + "}");
  EXPECT_EQ(alternatives.status, 400);
  EXPECT_THAT(alternatives.body, HasSubstr("limit of 1024 translations"));
  const Reply bytes = server.post(
      "/translate", R"({"source": "en", "target": "fr", "q": ")" + std::string(2001, 'x') + "\"}");
  EXPECT_EQ(bytes.status, 400);
  EXPECT_THAT(bytes.body, HasSubstr("2001 bytes, the limit is 2000"));
}

TEST(LibreTranslate, AFullQueueIs429) {
  RunningOptions options;
  options.max_waiting = 1;
  DialectServer server(options);
  const FullQueue full(server.running);
  const Reply reply = server.post("/translate", R"({"q": "x", "source": "en", "target": "fr"})");
  EXPECT_EQ(reply.status, 429) << reply.body;
  EXPECT_TRUE(reply.has("Retry-After: 1"));
  EXPECT_THAT(reply.body, HasSubstr("{\"error\":\""));
}

}  // namespace
}  // namespace pagoda::serve
