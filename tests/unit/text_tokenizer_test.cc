#include "text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <sstream>
#include <thread>

namespace pagoda::text {
namespace {

namespace json = boost::json;
using base::Code;
using testing::HasSubstr;

const std::string kData = std::string(PAGODA_SOURCE_DIR) + "/tests/data/tokenizer/";

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

Tokenizer load(const std::string& path) {
  base::Result<Tokenizer> result = Tokenizer::load(path);
  EXPECT_TRUE(result.ok()) << result.status().message();
  return std::move(result).value();
}

std::vector<std::int32_t> values(const std::vector<TokenId>& ids) {
  std::vector<std::int32_t> result;
  for (const TokenId id : ids) result.push_back(id.value);
  return result;
}

std::string concatenated(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  std::string bytes;
  for (const TokenId id : ids) bytes += tokenizer.token_bytes(id);
  return bytes;
}

void expect_goldens(const Tokenizer& tokenizer, const std::string& path) {
  const json::value golden = json::parse(read(path));
  const json::array& cases = golden.at("cases").as_array();
  EXPECT_GT(cases.size(), 130u);
  for (const json::value& value : cases) {
    const json::object& entry = value.as_object();
    const std::string text(entry.at("text").as_string());
    const auto plain = json::value_to<std::vector<std::int32_t>>(entry.at("ids"));
    EXPECT_EQ(values(tokenizer.encode(text)), plain) << text;
    const auto specials = entry.contains("with_specials")
                              ? json::value_to<std::vector<std::int32_t>>(entry.at("with_specials"))
                              : plain;
    EXPECT_EQ(values(tokenizer.encode_with_specials(text)), specials) << text;
  }
}

// A tokenizer.json with the 256 bytes and what the test adds to it.
struct FileUnderTest {
  json::object root;
  json::object& model() { return root["model"].as_object(); }
  json::object& vocab() { return model()["vocab"].as_object(); }

  FileUnderTest() {
    json::object vocab;
    int next = 256;
    for (int byte = 0; byte < 256; ++byte) {
      const bool printable = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
      const int code = printable ? byte : next++;
      std::string name;
      if (code < 0x80)
        name = static_cast<char>(code);
      else
        name = {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 0x3F))};
      vocab[name] = byte;
    }
    root["model"] = {{"type", "BPE"}, {"vocab", std::move(vocab)}, {"merges", json::array()}};
    set_split("\\s+|\\S+");
  }
  void set_split(const std::string& regex) {
    root["pre_tokenizer"] = {
        {"type", "Sequence"},
        {"pretokenizers",
         {{{"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", "Isolated"}, {"invert", false}},
          {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
  }
  void add_token(const std::string& token, int id) { vocab()[token] = id; }
  void add_merge(const std::string& left, const std::string& right) {
    model()["merges"].as_array().push_back(json::array{left, right});
  }
  json::value& step(std::size_t index) {
    return root["pre_tokenizer"].as_object()["pretokenizers"].as_array()[index];
  }

  base::Result<Tokenizer> parse() const { return Tokenizer::parse(json::serialize(root), "t.json"); }
  void expect_error(Code code, const std::string& sentence) const {
    const base::Result<Tokenizer> result = parse();
    ASSERT_FALSE(result.ok()) << sentence;
    EXPECT_EQ(result.status().code(), code) << result.status().message();
    EXPECT_THAT(result.status().message(), testing::StartsWith("t.json: "));
    EXPECT_THAT(result.status().message(), HasSubstr(sentence));
  }
};

TEST(Tokenizer, EncodesTheHyFamilyLikeTheReference) {
  expect_goldens(load(kData + "hy.json"), kData + "hy_cases.json");
}

TEST(Tokenizer, EncodesTheTiktokenFamilyLikeTheReference) {
  expect_goldens(load(kData + "tiktoken.json"), kData + "tiktoken_cases.json");
}

TEST(Tokenizer, EncodesNanoLikeTheReference) {
  const char* shared = std::getenv("PAGODA_SHARED");
  const std::string folder = shared != nullptr ? shared : std::string(PAGODA_SOURCE_DIR) + "/../shared";
  const std::string path = folder + "/nano-bf16/tokenizer.json";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is absent";
  expect_goldens(load(path), kData + "nano_cases.json");
}

TEST(Tokenizer, ReportsFacts) {
  const Tokenizer hy = load(kData + "hy.json");
  EXPECT_EQ(hy.facts().vocab, 2000u);
  EXPECT_EQ(hy.facts().added, 31u);
  EXPECT_EQ(hy.facts().splits.size(), 3u);
  EXPECT_EQ(hy.facts().normalizer, "none");
  EXPECT_EQ(hy.vocab_size(), 2031);
  EXPECT_EQ(load(kData + "tiktoken.json").facts().normalizer, "NFC");
}

TEST(Tokenizer, KnowsAddedTokens) {
  const Tokenizer hy = load(kData + "hy.json");
  const TokenId user = hy.special_id("<｜hy_User｜>").value();
  EXPECT_TRUE(hy.is_special(user));
  EXPECT_EQ(hy.token_bytes(user), "");
  EXPECT_EQ(hy.token_bytes(user, /*with_specials=*/true), "<｜hy_User｜>");
  const TokenId note = hy.special_id("<note>").value();
  EXPECT_FALSE(hy.is_special(note));
  EXPECT_EQ(hy.decode({user, note, user}), "<note>");
  EXPECT_FALSE(hy.special_id("the").has_value());
  EXPECT_EQ(hy.token_bytes(TokenId(-1)), "");
  EXPECT_EQ(hy.token_bytes(TokenId(1 << 30), true), "");
}

TEST(Tokenizer, NeverMakesAnAddedTokenOfPlainText) {
  for (const char* name : {"hy.json", "tiktoken.json"}) {
    const Tokenizer tokenizer = load(kData + name);
    for (std::int32_t id = 2000; id < tokenizer.vocab_size(); ++id) {
      const std::string text(tokenizer.token_bytes(TokenId(id), true));
      ASSERT_EQ(values(tokenizer.encode_with_specials(text)), std::vector{id});
      for (const TokenId piece : tokenizer.encode(text)) EXPECT_LT(piece.value, 2000) << text;
      EXPECT_EQ(concatenated(tokenizer, tokenizer.encode(text)), text);
    }
  }
}

TEST(Tokenizer, LeavesOutMergesThatMakeAnAddedToken) {
  FileUnderTest file;
  file.add_token("<x", 256);
  file.add_token("<x>", 257);
  file.add_merge("<", "x");
  file.add_merge("<x", ">");
  for (const bool ignore_merges : {false, true}) {
    file.model()["ignore_merges"] = ignore_merges;
    file.root["added_tokens"] = json::array{};
    EXPECT_EQ(values(file.parse()->encode("<x>")), std::vector{257});
    file.root["added_tokens"] = json::array{{{"id", 257}, {"content", "<x>"}, {"special", true}}};
    const Tokenizer tokenizer = file.parse().value();
    EXPECT_EQ(values(tokenizer.encode("<x>")), (std::vector{256, 0x3E}));
    EXPECT_EQ(values(tokenizer.encode_with_specials("<x>")), std::vector{257});
  }
}

TEST(Tokenizer, RoundTripsAnyBytes) {
  const Tokenizer hy = load(kData + "hy.json");
  std::mt19937 random(7);
  const std::string pool = "aé中😀\n  \xff\x80\xe4\xb8\xf0\x9f\xed\xa0\x80'1<｜";
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (int i = static_cast<int>(random() % 60); i > 0; --i)
      text += random() % 4 != 0 ? pool[random() % pool.size()] : static_cast<char>(random());
    EXPECT_EQ(concatenated(hy, hy.encode(text)), text);
    EXPECT_EQ(concatenated(hy, hy.encode_with_specials(text)), text);
  }
}

TEST(Tokenizer, KeepsInvalidBytesAlone) {
  const Tokenizer tokenizer = FileUnderTest().parse().value();
  EXPECT_EQ(values(tokenizer.encode("a\xE4\xB8z\xFF")), (std::vector{0x61, 0xE4, 0xB8, 0x7A, 0xFF}));
}

TEST(Tokenizer, DecodesWithOneReplacementPerMaximalSubpart) {
  const Tokenizer tokenizer = FileUnderTest().parse().value();
  const auto decoded = [&](const std::string& bytes) { return tokenizer.decode(tokenizer.encode(bytes)); };
  EXPECT_EQ(decoded("a\x80z"), "a\uFFFDz");
  EXPECT_EQ(decoded("\xF0\x90\x80"), "\uFFFD");                      // cut off: one
  EXPECT_EQ(decoded("\xF0\x80\x80\x41"), "\uFFFD\uFFFD\uFFFD\x41");  // overlong: one a byte
  EXPECT_EQ(decoded("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");          // surrogate
  EXPECT_EQ(decoded("\xE4\xB8\xE4\xB8\xAD"), "\uFFFD中");            // prefix, then a character
  EXPECT_EQ(decoded("\xF4\x90\x80\x80\xC0\xAF"), std::string("\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD"));
}

TEST(Tokenizer, HonoursRanksWhenSeveralMergesGiveOneToken) {
  FileUnderTest file;
  file.add_token("ab", 256);
  file.add_token("bc", 257);
  file.add_token("abc", 258);
  file.add_token("cd", 259);
  file.add_merge("c", "d");
  file.add_merge("b", "c");
  file.add_merge("a", "bc");
  file.add_merge("a", "b");
  file.add_merge("ab", "c");
  const Tokenizer tokenizer = file.parse().value();
  EXPECT_EQ(values(tokenizer.encode("abc")), std::vector{258});
  EXPECT_EQ(values(tokenizer.encode("abcd")), (std::vector{256, 259}));
}

TEST(Tokenizer, ReadsMergesInBothSpellings) {
  FileUnderTest file;
  file.add_token("Ġa", 256);
  file.set_split("\\s?\\S+");
  file.model()["merges"] = json::array{"Ġ a"};
  EXPECT_EQ(values(file.parse()->encode("b a")), (std::vector{0x62, 256}));
  file.model()["merges"] = json::array{json::array{"Ġ", "a"}};
  EXPECT_EQ(values(file.parse()->encode("b a")), (std::vector{0x62, 256}));
  file.model()["merges"] = json::array{"Ġ a a"};
  file.expect_error(Code::kDataLoss, "model.merges[0]");
  file.model()["merges"] = json::array{"Ġ b"};
  file.expect_error(Code::kDataLoss, "model.merges[0] names a token that model.vocab lacks");
}

TEST(Tokenizer, TakesAWholePieceWhenMergesAreIgnored) {
  FileUnderTest file;
  file.add_token("abc", 256);
  EXPECT_EQ(file.parse()->encode("abc").size(), 3u);
  file.model()["ignore_merges"] = true;
  EXPECT_EQ(values(file.parse()->encode("abc")), std::vector{256});
}

TEST(Tokenizer, SplitsByLiteralsByGpt2AndWithPrefixSpaces) {
  FileUnderTest file;
  file.model()["ignore_merges"] = true;
  file.add_token("Ġx", 256);
  file.add_token("y", 0x79);
  file.root["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", true}};
  EXPECT_EQ(values(file.parse()->encode("x x")), (std::vector{256, 256}));
  file.root["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       {{{"type", "Split"}, {"pattern", {{"String", "-"}}}, {"behavior", "Isolated"}, {"invert", false}},
        {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
  file.add_token("ab", 257);
  EXPECT_EQ(values(file.parse()->encode("ab-ab--")), (std::vector{257, 0x2D, 257, 0x2D, 0x2D}));
}

TEST(Tokenizer, AppliesNormalizersInSequence) {
  FileUnderTest file;
  const auto normalized = [&](const std::string& text) {
    const Tokenizer tokenizer = file.parse().value();
    return concatenated(tokenizer, tokenizer.encode(text));
  };
  file.root["normalizer"] = {{"type", "NFD"}};
  EXPECT_EQ(normalized("\u00e9"), "e\u0301");
  file.root["normalizer"] = {{"type", "NFKC"}};
  EXPECT_EQ(normalized("ｅ\u0301ﬁ"), "\u00e9fi");
  file.root["normalizer"] = {{"type", "Sequence"}, {"normalizers", {{{"type", "NFKD"}}, {{"type", "NFC"}}}}};
  EXPECT_EQ(normalized("\u00e9①"), "\u00e91");
  // Longer than a block of the normaliser: the cut must not show.
  file.root["normalizer"] = {{"type", "NFC"}};
  std::string decomposed, composed;
  for (int i = 0; i < 5000; ++i) decomposed += "e\u0301", composed += "\u00e9";
  EXPECT_EQ(normalized(decomposed), composed);
}

TEST(Tokenizer, StripsWhiteSpaceAroundAddedTokensThatAskForIt) {
  FileUnderTest file;
  file.root["added_tokens"] = {
      {{"id", 300}, {"content", "<m>"}, {"special", true}, {"lstrip", true}, {"rstrip", true}},
      {{"id", 301}, {"content", "<m>>"}, {"special", true}}};
  const Tokenizer tokenizer = file.parse().value();
  EXPECT_EQ(values(tokenizer.encode_with_specials("a \u3000<m>\n b")), (std::vector{0x61, 300, 0x62}));
  EXPECT_EQ(values(tokenizer.encode_with_specials("a <m>>")), (std::vector{0x61, 0x20, 301}))
      << "the longest wins";
}

TEST(Tokenizer, RefusesWhatItDoesNotSupportByName) {
  const auto refuses = [](const std::string& sentence, Code code, const auto& change) {
    FileUnderTest file;
    change(file);
    file.expect_error(code, sentence);
  };
  const Code known = Code::kUnimplemented, broken = Code::kDataLoss;
  refuses("model.type is Unigram", known, [](auto& f) { f.model()["type"] = "Unigram"; });
  refuses("model.dropout", known, [](auto& f) { f.model()["dropout"] = 0.1; });
  refuses("model.continuing_subword_prefix", known,
          [](auto& f) { f.model()["continuing_subword_prefix"] = "##"; });
  refuses("model.ignore_merges", broken, [](auto& f) { f.model()["ignore_merges"] = 1; });
  refuses("normalizer.type is Lowercase", known, [](auto& f) {
    f.root["normalizer"] = {{"type", "Lowercase"}};
  });
  refuses("pre_tokenizer has no ByteLevel step", known, [](auto& f) { f.root["pre_tokenizer"] = nullptr; });
  refuses("pretokenizers[0].behavior is Removed", known,
          [](auto& f) { f.step(0).as_object()["behavior"] = "Removed"; });
  refuses("pretokenizers[0].invert is true", known, [](auto& f) { f.step(0).as_object()["invert"] = true; });
  refuses("pretokenizers[0].type is Digits", known, [](auto& f) { f.step(0) = {{"type", "Digits"}}; });
  refuses("\\w", known, [](auto& f) { f.set_split("\\w+"); });
  refuses("&& inside", known, [](auto& f) { f.set_split("[a-z&&b]"); });
  refuses("(?m", known, [](auto& f) { f.set_split("(?m:.)"); });
  refuses("cannot be compiled", known, [](auto& f) { f.set_split("(a"); });
  refuses("model.vocab is not an object", broken, [](auto& f) { f.model()["vocab"] = json::array(); });
  refuses("the id 65 twice", broken, [](auto& f) { f.add_token("ab", 65); });
  refuses("gives ab an id", broken, [](auto& f) { f.add_token("ab", -1); });
  refuses("lacks the byte 0x41", broken, [](auto& f) { f.vocab().erase("A"); });
  refuses("gives A an id", broken, [](auto& f) { f.vocab()["A"] = "x"; });
  refuses("added_tokens[0].id", broken, [](auto& f) {
    f.root["added_tokens"] = json::array{{{"content", "x"}}};
  });
  refuses("which another token has", broken, [](auto& f) {
    f.root["added_tokens"] = json::array{{{"id", 65}, {"content", "<x>"}}};
  });
  refuses("one of the 256 bytes", broken, [](auto& f) {
    f.root["added_tokens"] = json::array{{{"id", 65}, {"content", "A"}}};
  });
  refuses("single_word", known, [](auto& f) {
    f.root["added_tokens"] = json::array{{{"id", 300}, {"content", "<x>"}, {"single_word", true}}};
  });
  for (const char* text : {"", "{", "[]", "{}", "\"\xff\"", "{\"model\": 1}"}) {
    const base::Result<Tokenizer> result = Tokenizer::parse(text, "t.json");
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.status().code(), broken);
  }
  EXPECT_EQ(Tokenizer::load("/nonexistent/tokenizer.json").status().code(), Code::kNotFound);
}

// A megabyte that is one piece, in each way one can be: quadratic work would take minutes.
TEST(Tokenizer, EncodesVeryLongPiecesInTime) {
  const Tokenizer hy = load(kData + "hy.json");
  const Tokenizer tiktoken = load(kData + "tiktoken.json");
  const auto start = std::chrono::steady_clock::now();
  for (const char* unit : {" ", "a", "中", "1", "\n", " \n", "老船长", "the", "=", "\u0301\u0323", "\xff"}) {
    std::string text;
    while (text.size() < (1 << 20)) text += unit;
    for (const Tokenizer* tokenizer : {&hy, &tiktoken}) {
      const std::vector<TokenId> ids = tokenizer->encode(text);
      EXPECT_LE(ids.size(), text.size());
      if (tokenizer == &hy) {
        EXPECT_EQ(concatenated(hy, ids), text) << unit;
      }
    }
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  EXPECT_LT(seconds.count(), 60);  // about 2 s in a release build
}

TEST(Tokenizer, EncodesFromManyThreads) {
  const Tokenizer tokenizer = load(kData + "tiktoken.json");
  const std::string text = "The old captain / 老船长 / Старый капитан e\u0301 12345 \n";
  const std::vector<TokenId> expected = tokenizer.encode(text);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int round = 0; round < 500; ++round) EXPECT_EQ(tokenizer.encode(text), expected);
    });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace pagoda::text
