// Keys in every place where a client of a dialect puts them, and what each dialect says to a wrong one.

#include "dialect_server.h"

namespace pagoda::serve {
namespace {

class DialectKeys : public ::testing::Test {
 protected:
  int status(const std::string& path, const std::string& body, const std::string& headers = "",
             const std::string& type = kJson) {
    return server_.send("POST", path, body, type, headers).status;
  }

  DialectServer server_{with_keys({"other", "secret"})};
};

constexpr const char* kLibre = R"({"q": "", "source": "en", "target": "fr")";
constexpr const char* kDeepL = R"({"text": [""], "target_lang": "FR")";

TEST_F(DialectKeys, AreFoundWhereClientsPutThem) {
  const std::string libre = kLibre, deepl = kDeepL, end = "}";
  EXPECT_EQ(status("/translate", libre + R"(, "api_key": "secret"})"), 200);
  EXPECT_EQ(status("/translate", "q=&source=en&target=fr&api_key=secret", "", kForm), 200);
  EXPECT_EQ(status("/translate",
                   "--b\r\nContent-Disposition: form-data; name=\"api_key\"\r\n\r\nsecret\r\n--b\r\n"
                   "Content-Disposition: form-data; name=\"q\"\r\n\r\n\r\n--b--",
                   "", "multipart/form-data; boundary=b"),
            400);  // let in, and told that source is missing
  EXPECT_EQ(status("/translate", libre + end, "Authorization: Bearer secret\r\n"), 200);
  EXPECT_EQ(status("/translate?api_key=secret", libre + end), 200);
  EXPECT_EQ(status("/detect", R"({"q": "x", "api_key": "secret"})"), 200);
  EXPECT_EQ(status("/v2/translate", deepl + end, "Authorization: DeepL-Auth-Key secret\r\n"), 200);
  EXPECT_EQ(status("/v2/translate", "text=&target_lang=FR&auth_key=secret", "", kForm), 200);
  EXPECT_EQ(status("/v2/translate?auth_key=secret", deepl + end), 200);
  EXPECT_EQ(status("/v2/usage", "auth_key=secret", "", kForm), 200);
  EXPECT_EQ(status("/secret/translate", R"({"text": "", "target_lang": "FR"})"), 200);
  EXPECT_EQ(status("/translate?token=secret", R"({"text": "", "target_lang": "FR"})"), 200);
  EXPECT_EQ(status("/deeplx", R"({"text": "", "target_lang": "FR", "token": "secret"})"), 200);
  EXPECT_EQ(status("/imme?token=secret", R"({"text_list": [""], "target_lang": "fr"})"), 200);
  EXPECT_EQ(status("/kiss", R"({"texts": [""], "to": "fr"})", "Authorization: Bearer secret\r\n"), 200);
  EXPECT_EQ(status("/translate/batch?api_token=secret", R"({"texts": [""], "to": "fr"})"), 200);
  EXPECT_EQ(status("/hcfy", R"({"text": "", "destination": ["英语"]})", "X-API-Token: secret\r\n"), 200);
  EXPECT_EQ(status("/language/translate/v2?key=secret", R"({"q": "", "target": "fr"})"), 200);
  EXPECT_EQ(server_.send("GET", "/translate_a/single?q=&tl=fr&key=secret").status, 200);
}

TEST_F(DialectKeys, WithoutOneOrAWrongOneEachSaysNoInItsShape) {
  struct Case {
    const char* path;
    const char* body;
    const char* key_in_body;  // the same with a wrong key; null where clients do not put it there
    int status;
    const char* none;
    const char* wrong;
  };
  const Case cases[] = {
      {"/v2/translate", R"({"text": [""], "target_lang": "FR"})",
       R"({"text": [""], "target_lang": "FR", "auth_key": "x"})", 403,
       R"({"message":"an API key is needed"})", R"({"message":"the API key is not known here"})"},
      {"/deeplx", R"({"text": "", "target_lang": "FR"})",
       R"({"text": "", "target_lang": "FR", "token": "x"})", 401,
       R"({"code":401,"message":"an API key is needed"})",
       R"({"code":401,"message":"the API key is not known here"})"},
      {"/imme", R"({"text_list": [""], "target_lang": "fr"})", nullptr, 401,
       R"({"error":"an API key is needed"})", R"({"error":"the API key is not known here"})"},
      {"/translate", R"({"q": "", "source": "en", "target": "fr"})",
       R"({"q": "", "source": "en", "target": "fr", "api_key": "x"})", 403,
       R"({"error":"an API key is needed","code":403,"message":"an API key is needed"})",
       R"({"error":"the API key is not known here","code":403,"message":"the API key is not known here"})"},
      {"/detect", R"({"q": ""})", R"({"q": "", "api_key": "x"})", 403, R"({"error":"an API key is needed"})",
       R"({"error":"the API key is not known here"})"},
  };
  for (const Case& c : cases) {
    expect_error(server_.post(c.path, c.body), c.status, c.none);
    expect_error(server_.send("POST", c.path, c.body, kJson, "Authorization: Bearer x\r\n"), c.status,
                 c.wrong);
    if (c.key_in_body != nullptr) expect_error(server_.post(c.path, c.key_in_body), c.status, c.wrong);
  }
  const Reply google = server_.post("/language/translate/v2", R"({"q": "", "target": "fr"})");
  EXPECT_EQ(google.status, 401);
  EXPECT_THAT(google.body, ::testing::HasSubstr(R"("status":"UNAUTHENTICATED")"));
  EXPECT_EQ(server_.post("/wrong/translate", R"({"text": "", "target_lang": "FR"})").status, 401);
  // A right key in the body does not heal a wrong one before it.
  EXPECT_EQ(status("/translate", R"({"q": "", "source": "en", "target": "fr", "api_key": "secret"})",
                   "Authorization: Bearer x\r\n"),
            403);
}

// A key in the body is a client like one in a header: its prefixes are not shared with others.
TEST_F(DialectKeys, AKeyInTheBodyIsTheSameClient) {
  const std::string text =
      "A text that is long enough to fill some blocks of the cache, again and again and again.";
  const std::string fields = R"({"q": ")" + text + R"(", "source": "en", "target": "fr")";
  // How much of the prompt was there already; the answer may be asked for twice, and then some is in any
  // case.
  const auto hits = [&](const std::string& body, const std::string& headers) {
    const auto before = server_.running.engine().stats().prefix_hits_tokens;
    EXPECT_EQ(status("/translate", body, headers), 200);
    return server_.running.engine().stats().prefix_hits_tokens - before;
  };
  const auto fresh = hits(fields + "}", "Authorization: Bearer secret\r\n");
  EXPECT_EQ(hits(fields + "}", "Authorization: Bearer other\r\n"), fresh);
  EXPECT_GT(hits(fields + R"(, "api_key": "secret"})", ""), fresh);
}

TEST(DialectDrain, ADrainingServerSaysSoInTheDialectsShape) {
  DialectServer server;
  HttpClient busy(server.running.port());
  busy.send("POST /generate HTTP/1.1\r\nContent-Length: " + std::to_string(std::string(kEndless).size()) +
            "\r\n\r\n" + kEndless);
  ASSERT_TRUE(eventually([&] { return server.running.engine().stats().running == 1; }));
  std::thread stop([&] { server.running.server().stop(std::chrono::milliseconds(3000)); });
  EXPECT_TRUE(eventually([&] { return !HttpClient(server.running.port()).connected(); }));
  const Reply reply = server.post("/v2/translate", R"({"text": ["x"], "target_lang": "FR"})");
  busy.close();
  stop.join();
  expect_error(reply, 503, R"({"message":"the server is shutting down"})");
  EXPECT_TRUE(reply.has("Retry-After: 1"));
}

}  // namespace
}  // namespace pagoda::serve
