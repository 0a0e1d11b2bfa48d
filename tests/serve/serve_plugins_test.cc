// DeepLX, the shapes of browser plugins, MTranServer and Google from end to end, and who is who on
// /translate.

#include "dialect_server.h"

namespace pagoda::serve {
namespace {

using ::testing::HasSubstr;

class Plugins : public ::testing::Test {
 protected:
  std::string hello(const char* to) { return server_.translation("Hello world", "en", to); }

  DialectServer server_;
};

TEST_F(Plugins, DeepLX) {
  const char* body = R"({"text": "Hello world", "source_lang": "EN", "target_lang": "ZH"})";
  for (const char* path : {"/translate", "/deeplx", "/v1/translate", "/some-token/translate"}) {
    boost::json::value answer = json_of(server_.post(path, body));
    EXPECT_GT(answer.at("id").as_int64(), 999'999'999);
    answer.as_object()["id"] = 1;
    EXPECT_EQ(boost::json::serialize(answer),
              R"({"code":200,"id":1,"data":)" + quoted(hello("zh")) +
                  R"(,"alternatives":[],"source_lang":"EN","target_lang":"ZH","method":"Free"})");
  }
  EXPECT_EQ(
      json_of(server_.post(
                  "/deeplx",
                  R"({"text": "今天天气很好，我们去公园吧", "source_lang": "auto", "target_lang": "EN"})"))
          .at("source_lang")
          .as_string(),
      "ZH");
  EXPECT_EQ(
      json_of(server_.post("/translate", R"({"text": "", "target_lang": "EN"})")).at("data").as_string(), "");
  expect_error(server_.post("/deeplx", "{}"), 400, R"({"code":400,"message":"text is missing"})");
  expect_error(server_.post("/deeplx", R"({"text": "x"})"), 400,
               R"({"code":400,"message":"target_lang is missing"})");
  expect_error(
      server_.post("/translate", R"({"text": "<b>x</b>", "target_lang": "EN", "tag_handling": "html"})"), 501,
      R"({"code":501,"message":"HTML is not supported: the text has tags or entities that are not plain text"})");
  EXPECT_THAT(server_.post("/translate", R"({"text": "x", "target_lang": "NB"})").body,
              HasSubstr(R"({"code":400,"message":"target_lang: language \"NB\")"));
  EXPECT_EQ(server_.post("//translate", body).status, 404);
}

TEST_F(Plugins, Immersive) {
  const char* body = R"({"source_lang": "auto", "target_lang": "zh-TW", "text_list": ["Hello world", ""]})";
  const std::string expected = R"({"translations":[{"detected_source_lang":"en","text":)" +
                               quoted(hello("zh-Hant")) + R"(},{"detected_source_lang":"","text":""}]})";
  EXPECT_EQ(server_.post("/imme", body).body, expected);
  EXPECT_EQ(server_.post("/translate", body).body, expected);
  EXPECT_EQ(server_.post("/imme", R"({"source_lang": "zh-CN", "target_lang": "en", "text_list": [""]})").body,
            R"({"translations":[{"detected_source_lang":"zh-CN","text":""}]})");
  expect_error(server_.post("/imme", R"({"target_lang": "en"})"), 400, R"({"error":"text_list is missing"})");
  EXPECT_THAT(server_.post("/imme", R"({"target_lang": "en", "text_list": )" + many_texts(1025) + "}").body,
              HasSubstr("text_list has 1025 strings"));
}

TEST_F(Plugins, Kiss) {
  EXPECT_EQ(server_.post("/kiss", R"({"text": "Hello world", "from": "auto", "to": "zh-CN"})").body,
            R"({"text":)" + quoted(hello("zh")) + R"(,"src":"en"})");
  const char* body = R"({"texts": ["Hello world", ""], "from": "en", "to": "fr"})";
  const std::string expected =
      R"({"translations":[{"text":)" + quoted(hello("fr")) + R"(,"src":"en"},{"text":"","src":"en"}]})";
  EXPECT_EQ(server_.post("/kiss", body).body, expected);
  EXPECT_EQ(server_.post("/translate", body).body, expected);
  expect_error(server_.post("/kiss", R"({"from": "en", "to": "fr"})"), 400, R"({"error":"text is missing"})");
}

TEST_F(Plugins, Hcfy) {
  const boost::json::value answer =
      json_of(server_.post("/hcfy", R"j({"name": "x", "text": "Hello world\nHello world",
      "source": "英语", "destination": ["中文(简体)", "日语"]})j"));
  EXPECT_EQ(boost::json::serialize(answer),
            R"j({"text":"Hello world\nHello world","from":"英语","to":"中文(简体)","result":[)j" +
                quoted(hello("zh")) + "," + quoted(hello("zh")) + "]}");
  // What is in the first language already goes into the second.
  const boost::json::value second = json_of(server_.post(
      "/translate", R"j({"text": "今天天气很好，我们去公园吧", "destination": ["中文(简体)", "英语"]})j"));
  EXPECT_EQ(second.at("from").as_string(), "中文(简体)");
  EXPECT_EQ(second.at("to").as_string(), "英语");
  expect_error(server_.post("/hcfy", R"({"text": "x"})"), 400, R"({"error":"destination is missing"})");
  EXPECT_THAT(server_.post("/hcfy", R"({"text": "x", "destination": ["瑞典语"]})").body, HasSubstr("瑞典语"));
}

// The model gets them by its own names (numbered_tags.h), in the wording for formatted texts.
TEST_F(Plugins, NumberedTagsGoToTheModelByItsNames) {
  const std::string text = "Click <b0>here</b0> or <i1>there</i1>.";
  const std::string expected =
      server_.translation("Click <s1>here</s1> or <s2>there</s2>.", "en", "fr", "", {}, true);
  EXPECT_NE(expected, server_.translation(text, "en", "fr"));
  EXPECT_THAT(expected,
              Not(HasSubstr("<s1>")));  // the model is random and loses them; otherwise they would be renamed
  const std::string list = "[" + quoted(text) + "]";
  EXPECT_EQ(json_of(server_.post("/imme",
                                 R"({"source_lang": "en", "target_lang": "fr", "text_list": )" + list + "}"))
                .at("translations")
                .at(0)
                .at("text")
                .as_string(),
            expected);
  EXPECT_EQ(json_of(server_.post("/kiss", R"({"from": "en", "to": "fr", "texts": )" + list + "}"))
                .at("translations")
                .at(0)
                .at("text")
                .as_string(),
            expected);
}

TEST_F(Plugins, MTran) {
  EXPECT_EQ(server_.post("/translate", R"({"text": "Hello world", "from": "en", "to": "zh-Hans"})").body,
            R"({"result":)" + quoted(hello("zh")) + R"(,"text":)" + quoted(hello("zh")) +
                R"(,"from":"en","to":"zh-Hans","src":"en"})");
  EXPECT_EQ(json_of(server_.post("/translate",
                                 R"({"text": "今天天气很好，我们去公园吧", "from": "auto", "to": "en"})"))
                .at("from")
                .as_string(),
            "zh-Hans");
  EXPECT_EQ(
      server_.post("/translate/batch", R"({"texts": ["Hello world", ""], "from": "en", "to": "fr"})").body,
      R"({"results":[)" + quoted(hello("fr")) + R"(,""]})");
  const boost::json::value detected =
      json_of(server_.post("/detect", R"({"text": "今天天气很好，我们去公园吧"})"));
  EXPECT_EQ(detected.at("language").as_string(), "zh-Hans");
  EXPECT_GT(detected.at("confidence").to_number<double>(), 0.5);
  EXPECT_LE(detected.at("confidence").to_number<double>(), 1);
  expect_error(server_.post("/translate", R"({"text": "<b>x</b>", "from": "en", "to": "fr", "html": true})"),
               501,
               R"({"error":"HTML is not supported: the text has tags or entities that are not plain text"})");
  EXPECT_EQ(
      server_.post("/translate", R"({"text": "<b>x</b>", "from": "en", "to": "fr", "html": false})").status,
      200);
}

TEST_F(Plugins, TranslateSaysWhatItNeeds) {
  const Reply reply = server_.post("/translate", R"({"text": "x"})");
  EXPECT_EQ(reply.status, 400);
  const boost::json::value body = boost::json::parse(reply.body);
  EXPECT_THAT(std::string(body.at("error").as_string()), HasSubstr("missing q parameter"));
  EXPECT_EQ(body.at("message").as_string(), body.at("error").as_string());
  EXPECT_EQ(body.at("code").as_int64(), 400);
}

TEST_F(Plugins, GoogleV2) {
  for (const char* path : {"/language/translate/v2", "/google/language/translate/v2"}) {
    EXPECT_EQ(
        server_.post(path, R"({"q": "Hello world", "source": "en", "target": "zh-TW", "format": "text"})")
            .body,
        R"({"data":{"translations":[{"translatedText":)" + quoted(hello("zh-Hant")) + "}]}}");
    EXPECT_EQ(
        server_.send("GET", std::string(path) + "?q=Hello+world&q=&source=en&target=fr&format=text").body,
        R"({"data":{"translations":[{"translatedText":)" + quoted(hello("fr")) +
            R"(},{"translatedText":""}]}})");
  }
  const boost::json::value detected =
      json_of(server_.post("/language/translate/v2",
                           "q=%D7%A9%D7%9C%D7%95%D7%9D+%D7%9C%D7%9B%D7%95%D7%9C%D7%9D&target=en", kForm));
  EXPECT_EQ(detected.at("data").at("translations").at(0).at("detectedSourceLanguage").as_string(), "iw");
  expect_error(
      server_.post("/language/translate/v2", R"({"q": "<b>x</b>", "target": "en"})"), 501,
      R"({"error":{"code":501,"message":"HTML is not supported: the text has tags or entities that are not plain text",)"
      R"("errors":[{"message":"HTML is not supported: the text has tags or entities that are not plain text",)"
      R"("domain":"global","reason":"backendError"}],"status":"UNIMPLEMENTED"}})");
  expect_error(
      server_.post("/language/translate/v2", R"({"q": "x"})"), 400,
      R"({"error":{"code":400,"message":"target is missing","errors":[{"message":"target is missing",)"
      R"("domain":"global","reason":"invalid"}],"status":"INVALID_ARGUMENT"}})");
  EXPECT_EQ(server_.post("/language/translate/v2", R"({"q": "x", "target": "en", "format": "md"})").status,
            400);
  EXPECT_EQ(
      server_.post("/language/translate/v2", R"({"target": "en", "q": )" + many_texts(1025) + "}").status,
      400);
}

TEST_F(Plugins, GoogleLanguagesAndDetection) {
  const std::string languages = server_.send("GET", "/language/translate/v2/languages").body;
  EXPECT_THAT(languages, HasSubstr(R"({"data":{"languages":[{"language":"zh-CN"},{"language":"en"})"));
  EXPECT_THAT(server_.send("GET", "/language/translate/v2/languages?target=en").body,
              HasSubstr(R"({"language":"iw","name":"Hebrew"})"));
  const boost::json::value found = json_of(server_.post(
      "/language/translate/v2/detect", R"({"q": ["Bonjour tout le monde, comment allez-vous", ""]})"));
  const boost::json::array& detections = found.at("data").at("detections").as_array();
  ASSERT_EQ(detections.size(), 2u);
  EXPECT_EQ(detections[0].at(0).at("language").as_string(), "fr");
  EXPECT_TRUE(detections[0].at(0).at("isReliable").as_bool());
  EXPECT_EQ(detections[1].at(0).at("language").as_string(), "und");
}

TEST_F(Plugins, GoogleSingle) {
  for (const std::string path : {"/translate_a/single", "/google/translate_a/single"}) {
    EXPECT_EQ(
        server_.send("GET", path + "?client=gtx&sl=auto&tl=fr&dt=t&q=Hello%20world").body,
        "[[[" + quoted(hello("fr")) + R"(,"Hello world",null,null,1]],null,"en",null,null,null,null,[]])");
    const boost::json::value answer =
        json_of(server_.send("GET", path + "?client=gtx&dj=1&dt=t&sl=en&tl=fr&q=Hello%20world"));
    EXPECT_EQ(answer.at("sentences").at(0).at("trans").as_string(), hello("fr"));
    EXPECT_EQ(answer.at("sentences").at(0).at("orig").as_string(), "Hello world");
    EXPECT_EQ(answer.at("src").as_string(), "en");
    EXPECT_EQ(server_.post(path, "sl=en&tl=fr&q=Hello%20world", kForm).status, 200);
    EXPECT_EQ(server_.send("GET", path + "?tl=fr").status, 400);
  }
}

TEST_F(Plugins, PreflightsOfPagesAreAnswered) {
  const Reply reply = server_.send("OPTIONS", "/imme", "", kJson,
                                   "Origin: chrome-extension://x\r\nAccess-Control-Request-Method: POST\r\n"
                                   "Access-Control-Request-Private-Network: true\r\n");
  EXPECT_EQ(reply.status, 204);
  EXPECT_TRUE(reply.has("Access-Control-Allow-Private-Network: true"));
  EXPECT_TRUE(reply.has("Access-Control-Allow-Methods: POST, OPTIONS"));
}

}  // namespace
}  // namespace pagoda::serve
