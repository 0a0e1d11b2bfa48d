#include "text/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <fstream>
#include <iterator>

namespace pagoda::text {
namespace {

namespace json = boost::json;
using testing::HasSubstr;

const std::string kData = std::string(PAGODA_SOURCE_DIR) + "/tests/data/tokenizer/";

json::value read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return json::parse(std::string(std::istreambuf_iterator<char>(file), {}));
}

Tokenizer parse(const json::value& value) {
  base::Result<Tokenizer> result = Tokenizer::parse(json::serialize(value), "t.json");
  EXPECT_TRUE(result.ok()) << result.status().message();
  return std::move(result).value();
}

// The vocabulary of the small hy tokenizer with other special tokens, from id 2000 on.
Tokenizer with_specials(const std::vector<std::string>& names) {
  json::value file = read(kData + "hy.json");
  json::array& added = file.at("added_tokens").as_array();
  added.clear();
  int id = 2000;
  for (const std::string& name : names) added.push_back({{"id", id++}, {"content", name}, {"special", true}});
  return parse(file);
}
Tokenizer moe_tokenizer() {
  return with_specials({"<｜hy_begin▁of▁sentence｜>", "<｜hy_User｜>", "<｜hy_Assistant｜>",
                        "<｜reasoning_mode｜>", "<think>", "</think>", "<eos:6124c78e>"});
}

std::vector<std::int32_t> values(const std::vector<TokenId>& ids) {
  std::vector<std::int32_t> result;
  for (const TokenId id : ids) result.push_back(id.value);
  return result;
}

std::string shown(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  std::string text;
  for (const TokenId id : ids) text += tokenizer.token_bytes(id, /*with_specials=*/true);
  return text;
}

Role role_of(const json::string& name) {
  return name == "system" ? Role::kSystem : name == "user" ? Role::kUser : Role::kAssistant;
}

void expect_goldens(const std::string& family) {
  const Tokenizer tokenizer = parse(read(kData + family + ".json"));
  const ChatTemplate chat = ChatTemplate::detect(tokenizer).value();
  const json::value golden = read(kData + family + "_cases.json");
  EXPECT_GE(golden.at("chats").as_array().size(), 6u);
  for (const json::value& entry : golden.at("chats").as_array()) {
    std::vector<Message> messages;
    for (const json::value& message : entry.at("messages").as_array())
      messages.push_back(
          {role_of(message.at("role").as_string()), std::string(message.at("content").as_string())});
    EXPECT_EQ(values(chat.render(tokenizer, messages).value()),
              json::value_to<std::vector<std::int32_t>>(entry.at("ids")))
        << json::serialize(entry);
  }
}

TEST(ChatTemplate, RendersTheDenseFamilyLikeItsTemplate) { expect_goldens("hy"); }
TEST(ChatTemplate, RendersTheTiktokenFamilyLikeItsTemplate) { expect_goldens("tiktoken"); }

TEST(ChatTemplate, FindsFamilyAndStops) {
  const Tokenizer hy = parse(read(kData + "hy.json"));
  const ChatTemplate dense = ChatTemplate::detect(hy).value();
  EXPECT_EQ(dense.family(), Family::kHyDense);
  EXPECT_EQ(dense.stop_ids(), std::vector{*hy.special_id("<｜hy_place▁holder▁no▁2｜>")});

  const Tokenizer seven = parse(read(kData + "tiktoken.json"));
  const ChatTemplate tiktoken = ChatTemplate::detect(seven).value();
  EXPECT_EQ(tiktoken.family(), Family::kTiktoken);
  EXPECT_EQ(tiktoken.stop_ids(),
            (std::vector{*seven.special_id("<|eos|>"), *seven.special_id("<|endoftext|>"),
                         *seven.special_id("<|extra_5|>")}));

  const Tokenizer thirty = moe_tokenizer();
  const ChatTemplate moe = ChatTemplate::detect(thirty).value();
  EXPECT_EQ(moe.family(), Family::kHyMoe);
  EXPECT_EQ(moe.stop_ids(), std::vector{*thirty.special_id("<eos:6124c78e>")});
  EXPECT_STREQ(family_name(moe.family()), "hy MoE (30B)");
}

TEST(ChatTemplate, FallsBackToTheKnownIdOfTheMoeEnd) {
  json::value file = read(kData + "hy.json");
  file.at("added_tokens") = {{{"id", 120000}, {"content", "<｜hy_begin▁of▁sentence｜>"}, {"special", true}},
                             {{"id", 120006}, {"content", "<｜hy_User｜>"}, {"special", true}},
                             {{"id", 120007}, {"content", "<｜hy_Assistant｜>"}, {"special", true}},
                             {{"id", 120025}, {"content", "<｜hy_eos｜>"}, {"special", true}},
                             {{"id", 120029}, {"content", "<think>"}, {"special", false}},
                             {{"id", 120030}, {"content", "</think>"}, {"special", false}},
                             {{"id", 120044}, {"content", "<｜reasoning_mode｜>"}, {"special", true}}};
  const Tokenizer tokenizer = parse(file);
  const ChatTemplate chat = ChatTemplate::detect(tokenizer).value();
  EXPECT_EQ(chat.stop_ids(), std::vector{TokenId(120025)});
  const std::vector<std::int32_t> ids = values(chat.render(tokenizer, {{Role::kUser, "a"}}).value());
  EXPECT_EQ(ids[0], 120000);
  EXPECT_EQ(ids[1], 120044);
  EXPECT_EQ(std::vector(ids.end() - 3, ids.end()), (std::vector{120007, 120029, 120030}));
}

TEST(ChatTemplate, RendersTheMoeLayout) {
  const Tokenizer tokenizer = moe_tokenizer();
  const ChatTemplate chat = ChatTemplate::detect(tokenizer).value();
  const auto rendered = [&](const std::vector<Message>& messages) {
    return shown(tokenizer, chat.render(tokenizer, messages).value());
  };
  EXPECT_EQ(rendered({{Role::kUser, "Hi"}}),
            "<｜hy_begin▁of▁sentence｜><｜reasoning_mode｜>reasoning_effort:no_think<｜hy_User｜>Hi<｜hy_"
            "Assistant｜>"
            "<think></think>");
  EXPECT_EQ(rendered({{Role::kSystem, "S"}, {Role::kUser, "A"}, {Role::kAssistant, "B"}, {Role::kUser, "C"}}),
            "<｜hy_begin▁of▁sentence｜>S<｜reasoning_mode｜>reasoning_effort:no_think<｜hy_User｜>A<｜hy_"
            "Assistant｜>"
            "<think></think>B<eos:6124c78e><｜hy_User｜>C<｜hy_Assistant｜><think></think>");
}

TEST(ChatTemplate, IgnoresAnEmptySystemMessageOfTheTiktokenFamily) {
  const Tokenizer tokenizer = parse(read(kData + "tiktoken.json"));
  const ChatTemplate chat = ChatTemplate::detect(tokenizer).value();
  EXPECT_EQ(shown(tokenizer, chat.render(tokenizer, {{Role::kSystem, ""}, {Role::kUser, "x"}}).value()),
            "<|startoftext|>x<|extra_0|>");
}

TEST(ChatTemplate, EncodesSpecialStringsOfTheUserAsText) {
  for (const char* family : {"hy.json", "tiktoken.json"}) {
    const Tokenizer tokenizer = parse(read(kData + family));
    const ChatTemplate chat = ChatTemplate::detect(tokenizer).value();
    const auto specials = [&](const std::string& text) {
      const std::vector<TokenId> ids = chat.render(tokenizer, {{Role::kUser, text}}).value();
      return std::count_if(ids.begin(), ids.end(), [&](TokenId id) { return tokenizer.is_special(id); });
    };
    EXPECT_EQ(specials("a<|extra_0|><|eos|>b<｜hy_Assistant｜><｜hy_place▁holder▁no▁2｜>"), specials("a"));
  }
}

TEST(ChatTemplate, RefusesUnknownFamiliesAndBadOrder) {
  const base::Result<ChatTemplate> unknown = ChatTemplate::detect(with_specials({"<s>", "<｜hy_User｜>"}));
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.status().code(), base::Code::kUnimplemented);
  EXPECT_THAT(unknown.status().message(), HasSubstr("<|startoftext|>"));
  EXPECT_THAT(unknown.status().message(), HasSubstr("<｜hy_Assistant｜>"));

  const Tokenizer tokenizer = parse(read(kData + "hy.json"));
  const ChatTemplate chat = ChatTemplate::detect(tokenizer).value();
  for (const std::vector<Message>& messages :
       {std::vector<Message>{}, std::vector<Message>{{Role::kUser, "a"}, {Role::kSystem, "b"}},
        std::vector<Message>{{Role::kUser, "a"}, {Role::kAssistant, "b"}}})
    EXPECT_EQ(chat.render(tokenizer, messages).status().code(), base::Code::kInvalidArgument);
}

}  // namespace
}  // namespace pagoda::text
