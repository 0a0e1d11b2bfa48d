// DeepL's API from end to end: texts, languages, usage, glossaries.

#include "dialect_server.h"

namespace pagoda::serve {
namespace {

using ::testing::HasSubstr;

TEST(DeepL, TranslatesAListOfTexts) {
  DialectServer server;
  const Reply reply = server.post(
      "/v2/translate", R"({"text": ["Hello world", ""], "target_lang": "DE", "source_lang": "EN"})");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, R"({"translations":[{"detected_source_language":"EN","text":)" +
                            quoted(server.translation("Hello world", "en", "de")) +
                            R"(},{"detected_source_language":"EN","text":""}]})");
  // Forms repeat the field; MTranServer has a path of its own.
  EXPECT_EQ(server.post("/v2/translate", "text=Hello+world&text=&target_lang=de&source_lang=en", kForm).body,
            reply.body);
  EXPECT_EQ(server.post("/deepl", "text=Hello+world&text=&target_lang=de&source_lang=en", kForm).body,
            reply.body);
}

TEST(DeepL, OptionalFields) {
  DialectServer server;
  const boost::json::value answer = json_of(server.post(
      "/v2/translate",
      R"({"text": ["天气很好，我们去公园吧"], "target_lang": "EN-US", "show_billed_characters": true, "formality": "more",
          "model_type": "prefer_quality_optimized", "split_sentences": "0", "preserve_formatting": true})"));
  EXPECT_EQ(boost::json::serialize(answer),
            R"({"translations":[{"detected_source_language":"ZH","text":)" +
                quoted(server.translation("天气很好，我们去公园吧", "zh", "en")) +
                R"(,"billed_characters":11,"model_type_used":"quality_optimized"}]})");
}

TEST(DeepL, ContextGoesToTheModel) {
  DialectServer server;
  const boost::json::value answer = json_of(server.post(
      "/v2/translate",
      R"({"text": "bank", "target_lang": "FR", "source_lang": "EN", "context": "By the river"})"));
  EXPECT_EQ(answer.at("translations").at(0).at("text").as_string(),
            server.translation("bank", "en", "fr", "By the river"));
  EXPECT_NE(server.translation("bank", "en", "fr", "By the river"), server.translation("bank", "en", "fr"));
}

TEST(DeepL, WhatIsWrongIsNamed) {
  DialectServer server;
  const std::pair<const char*, const char*> cases[] = {
      {R"({"target_lang": "DE"})", R"({"message":"Parameter 'text' not specified."})"},
      {R"({"text": [], "target_lang": "DE"})", R"({"message":"Parameter 'text' not specified."})"},
      {R"({"text": ["x"]})", R"({"message":"Parameter 'target_lang' not specified."})"},
      {R"({"text": ["x"], "target_lang": "DE", "style_id": "x"})",
       R"({"message":"style_id is not supported"})"},
      {R"({"text": ["x"], "target_lang": "DE", "custom_instructions": ["x"]})",
       R"({"message":"custom_instructions is not supported"})"},
      {R"({"text": ["x"], "target_lang": "DE", "tag_handling": "md"})",
       R"({"message":"Value for 'tag_handling' not supported: md"})"},
      {R"({"text": ["x"], "target_lang": "DE", "glossary_id": "x"})",
       R"({"message":"glossary_id needs source_lang"})"},
      {R"({"text": ["x"], "target_lang": "DE", "glossary_id": "x", "glossary_ids": ["x"]})",
       R"({"message":"glossary_id and glossary_ids cannot be used together"})"},
      {R"([1])", R"({"message":"the body is an array, it must be a JSON object"})"},
  };
  for (const auto& [body, message] : cases) expect_error(server.post("/v2/translate", body), 400, message);
  const Reply language = server.post("/v2/translate", R"({"text": ["x"], "target_lang": "NB"})");
  EXPECT_EQ(language.status, 400);
  EXPECT_THAT(language.body, HasSubstr(R"({"message":"target_lang: language \"NB\" (Norwegian Bokm)"));
  const Reply tags =
      server.post("/v2/translate", R"({"text": ["<i>x</i>"], "target_lang": "DE", "tag_handling": "xml"})");
  EXPECT_EQ(tags.status, 400);
  EXPECT_THAT(tags.body, HasSubstr(R"({"message":"tag_handling is not supported yet)"));
  expect_error(
      server.post("/v2/translate",
                  R"({"text": ["x"], "target_lang": "DE", "source_lang": "EN", "glossary_id": "none"})"),
      404, R"({"message":"there is no glossary none"})");
}

TEST(DeepL, TooMuchIsRefused) {
  RunningOptions options;
  options.limits.max_text_bytes = 2000;
  DialectServer server(options);
  const Reply texts =
      server.post("/v2/translate", R"({"target_lang": "FR", "text": )" + many_texts(1025) + "}");
  EXPECT_EQ(texts.status, 400);
  EXPECT_THAT(texts.body, HasSubstr("text has 1025 strings, the limit is 1024"));
  expect_error(
      server.post("/v2/translate", R"({"target_lang": "FR", "text": ")" + std::string(2001, 'x') + "\"}"),
      413, R"({"message":"the texts have 2001 bytes, the limit is 2000"})");
}

TEST(DeepL, AFullQueueIs429) {
  RunningOptions options = with_keys({"k"});
  options.max_waiting = 1;
  DialectServer server(options);
  const FullQueue full(server.running);
  const Reply reply = server.send("POST", "/v2/translate", R"({"text": ["x"], "target_lang": "FR"})", kJson,
                                  "Authorization: DeepL-Auth-Key k\r\n");
  EXPECT_EQ(reply.status, 429) << reply.body;
  EXPECT_TRUE(reply.has("Retry-After: 1"));
  EXPECT_THAT(reply.body, HasSubstr("{\"message\":\""));
}

TEST(DeepL, LanguagesOfBothSides) {
  DialectServer server;
  const std::string source = server.send("GET", "/v2/languages").body;
  EXPECT_THAT(source, HasSubstr(R"({"language":"EN","name":"English"})"));
  EXPECT_THAT(source, Not(HasSubstr("HANT")));
  EXPECT_EQ(json_of(server.send("GET", "/v2/languages?type=source")).as_array().size(), 37u);
  // The official client sends a body with its GET.
  const Reply target = server.send("GET", "/v2/languages", "type=target", kForm);
  EXPECT_EQ(json_of(target).as_array().size(), 41u);
  for (const char* code : {"EN-GB", "EN-US", "PT-BR", "PT-PT", "ZH", "ZH-HANS", "ZH-HANT", "DE"})
    EXPECT_THAT(target.body, HasSubstr(std::string(R"("language":")") + code + "\""));
  EXPECT_THAT(target.body, Not(HasSubstr(R"("language":"EN")")));
  EXPECT_THAT(target.body, HasSubstr(R"("supports_formality":false)"));
  expect_error(server.send("GET", "/v2/languages?type=x"), 400,
               R"({"message":"type is \"x\", it must be source or target"})");
}

std::string auth(const char* key) { return std::string("Authorization: DeepL-Auth-Key ") + key + "\r\n"; }

TEST(DeepL, UsageIsCountedByKey) {
  DialectServer server(with_keys({"one", "two"}));
  const auto usage = [&](const char* key) {
    return server.send("GET", "/v2/usage", "", kJson, auth(key)).body;
  };
  EXPECT_EQ(usage("one"), R"({"character_count":0,"character_limit":1000000000000})");
  server.send("POST", "/v2/translate", R"({"text": ["Grüße", "你"], "target_lang": "EN"})", kJson,
              auth("one"));
  server.send("POST", "/v2/translate", R"({"text": ["x"], "target_lang": "none"})", kJson, auth("one"));
  EXPECT_EQ(usage("one"), R"({"character_count":6,"character_limit":1000000000000})");
  EXPECT_EQ(usage("two"), R"({"character_count":0,"character_limit":1000000000000})");
}

constexpr const char* kGlossary =
    R"({"name": "Animals", "source_lang": "EN", "target_lang": "DE", "entries": "cat\tKatze\ndog\tHund", "entries_format": "tsv"})";

TEST(DeepLGlossary, LivesFromPostToDelete) {
  DialectServer server;
  const Reply created = server.post("/v2/glossaries", kGlossary);
  const boost::json::value glossary = json_of(created, 201);
  const std::string id(glossary.at("glossary_id").as_string());
  EXPECT_EQ(glossary.at("name").as_string(), "Animals");
  EXPECT_TRUE(glossary.at("ready").as_bool());
  EXPECT_EQ(glossary.at("source_lang").as_string(), "en");
  EXPECT_EQ(glossary.at("target_lang").as_string(), "de");
  EXPECT_EQ(glossary.at("entry_count").as_int64(), 2);
  EXPECT_THAT(std::string(glossary.at("creation_time").as_string()),
              ::testing::MatchesRegex("20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z"));
  EXPECT_EQ(server.send("GET", "/v2/glossaries").body, R"({"glossaries":[)" + created.body + "]}");
  EXPECT_EQ(server.send("GET", "/v2/glossaries/" + id).body, created.body);
  const Reply entries = server.send("GET", "/v2/glossaries/" + id + "/entries");
  EXPECT_EQ(entries.body, "cat\tKatze\ndog\tHund\n");
  EXPECT_TRUE(entries.has("Content-Type: text/tab-separated-values"));

  const auto translate = [&](const std::string& source, const std::string& target) {
    return server.post("/v2/translate", R"({"text": ["A cat"], "source_lang": ")" + source +
                                            R"(", "target_lang": ")" + target + R"(", "glossary_id": ")" +
                                            id + "\"}");
  };
  EXPECT_EQ(json_of(translate("EN", "DE")).at("translations").at(0).at("text").as_string(),
            server.translation("A cat", "en", "de", "", {{"cat", "Katze"}}));
  EXPECT_NE(server.translation("A cat", "en", "de", "", {{"cat", "Katze"}}),
            server.translation("A cat", "en", "de"));
  EXPECT_EQ(translate("EN", "FR").status, 400);
  EXPECT_THAT(translate("DE", "EN-GB").body,
              HasSubstr("is from en to de, not for this source_lang and target_lang"));

  const Reply removed = server.send("DELETE", "/v2/glossaries/" + id);
  EXPECT_EQ(removed.status, 204);
  EXPECT_EQ(removed.body, "");
  for (const char* method : {"GET", "DELETE"})
    expect_error(server.send(method, "/v2/glossaries/" + id), 404,
                 R"({"message":"there is no glossary )" + id + "\"}");
  EXPECT_EQ(server.send("GET", "/v2/glossaries/" + id + "/entries").status, 404);
  EXPECT_EQ(translate("EN", "DE").status, 404);
  EXPECT_EQ(server.send("GET", "/v2/glossaries").body, R"({"glossaries":[]})");
}

TEST(DeepLGlossary, CsvFormsAndSeveralAtOnce) {
  DialectServer server;
  const auto create = [&](const std::string& entries) {
    return std::string(
        json_of(server.post("/v2/glossaries",
                            "name=x&source_lang=en&target_lang=zh-hant&entries_format=csv&entries=" + entries,
                            kForm),
                201)
            .at("glossary_id")
            .as_string());
  };
  const std::string one = create("cat%2C%E8%B2%93%0A"), two = create("cat%2C%E7%8B%97%0Adog%2C%E7%8B%97");
  EXPECT_THAT(server.send("GET", "/v2/glossaries").body, HasSubstr(R"("target_lang":"zh")"));
  const boost::json::value answer = json_of(server.post(
      "/v2/translate",
      R"({"text": ["cat dog"], "source_lang": "EN", "target_lang": "ZH-HANT", "glossary_ids": [")" + one +
          R"(", ")" + two + R"("]})"));
  EXPECT_EQ(answer.at("translations").at(0).at("text").as_string(),
            server.translation("cat dog", "en", "zh-Hant", "", {{"cat", "貓"}, {"dog", "狗"}}));
}

TEST(DeepLGlossary, BelongsToItsKey) {
  DialectServer server(with_keys({"one", "two"}));
  const boost::json::value glossary =
      json_of(server.send("POST", "/v2/glossaries", kGlossary, kJson, auth("one")), 201);
  const std::string path = "/v2/glossaries/" + std::string(glossary.at("glossary_id").as_string());
  EXPECT_EQ(server.send("GET", path, "", kJson, auth("one")).status, 200);
  EXPECT_EQ(server.send("GET", path, "", kJson, auth("two")).status, 404);
  EXPECT_EQ(server.send("GET", path + "/entries", "", kJson, auth("two")).status, 404);
  EXPECT_EQ(server.send("DELETE", path, "", kJson, auth("two")).status, 404);
  EXPECT_EQ(server.send("GET", "/v2/glossaries", "", kJson, auth("two")).body, R"({"glossaries":[]})");
  EXPECT_EQ(server
                .send("POST", "/v2/translate",
                      R"({"text": ["A cat"], "source_lang": "EN", "target_lang": "DE", "glossary_id": ")" +
                          path.substr(15) + "\"}",
                      kJson, auth("two"))
                .status,
            404);
  EXPECT_EQ(server.send("GET", path).status, 403);
  EXPECT_EQ(server.send("DELETE", path, "", kJson, auth("one")).status, 204);
}

TEST(DeepLGlossary, WhatIsWrongIsNamed) {
  DialectServer server;
  const auto refusal = [&](const std::string& more) {
    // The last of two equal names counts.
    const Reply reply = server.post(
        "/v2/glossaries",
        R"({"name":"x","source_lang":"en","target_lang":"de","entries_format":"tsv","entries":"a\tb",)" +
            more + "}");
    EXPECT_EQ(reply.status, 400) << reply.body;
    return std::string(boost::json::parse(reply.body).at("message").as_string());
  };
  EXPECT_EQ(refusal(R"("name": null)"), "Parameter 'name' not specified.");
  EXPECT_EQ(refusal(R"("name": "")"), "name is empty");
  EXPECT_THAT(refusal(R"("name": ")" + std::string(1025, 'x') + "\""), HasSubstr("longer than 1024"));
  EXPECT_EQ(refusal(R"("source_lang": "auto")"), "source_lang must be a language");
  EXPECT_THAT(refusal(R"("target_lang": "NB")"), HasSubstr("target_lang: language \"NB\""));
  EXPECT_EQ(refusal(R"("target_lang": "EN-US")"), "source_lang and target_lang are the same language");
  EXPECT_EQ(refusal(R"("entries_format": "xml")"), "entries_format is \"xml\", it must be tsv or csv");
  EXPECT_EQ(refusal(R"("entries": "a")"), "entries: line 1 must be a source, one tab and a target");
  EXPECT_EQ(refusal(R"("entries": "")"), "entries has no terms");
  EXPECT_EQ(refusal(R"("entries": ["a"])"), "entries is an array, it must be a string");
  EXPECT_THAT(refusal(R"("entries": "a\t)" + std::string(201, 'x') + "\""),
              HasSubstr("longer than 200 characters"));
  std::string many;
  for (int i = 0; i <= 20000; ++i) many += std::to_string(i) + "\\tx\\n";
  EXPECT_EQ(
      server
          .post("/v2/glossaries",
                R"({"name":"x","source_lang":"en","target_lang":"de","entries_format":"tsv","entries":")" +
                    many + "\"}")
          .status,
      413);
}

TEST(DeepLGlossary, PairsOfLanguages) {
  DialectServer server;
  const boost::json::value pairs =
      json_of(server.send("GET", "/v2/glossary-language-pairs")).at("supported_languages");
  EXPECT_EQ(pairs.as_array().size(), 37u * 36u);
  EXPECT_EQ(boost::json::serialize(pairs.at(0)), R"({"source_lang":"zh","target_lang":"en"})");
}

}  // namespace
}  // namespace pagoda::serve
