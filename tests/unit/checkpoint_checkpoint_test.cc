#include "checkpoint/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

namespace pagoda::checkpoint {
namespace {

using base::Code;
using tensor::DType;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

// Two layers; the query width (4 x 6 = 24) differs from the hidden size, as it may.
std::string config_json(const std::string& more) {
  return R"({"architectures": ["HunYuanDenseV1ForCausalLM"], "vocab_size": 20, "hidden_size": 16,
             "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
             "head_dim": 6, "max_position_embeddings": 64)" +
         (more.empty() ? "" : ", " + more) + "}";
}
const char* const kTied = R"("tie_word_embeddings": true)";
const char* const kInt8 =
    R"("tie_word_embeddings": true, "quantization_config": {"quant_method": "pagoda-int8", "bits": 8,
       "scheme": "per_channel_symmetric", "embedding": true})";

class CheckpointTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "checkpoint_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { fs::remove_all(directory_); }

  void put(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ / name, std::ios::binary) << text;
  }
  // Writes the tensors, filled with their position in the list, to one file.
  void write(const std::string& name, const std::vector<ExpectedTensor>& tensors) const {
    std::vector<std::string> contents;
    std::vector<TensorToWrite> list;
    for (const ExpectedTensor& tensor : tensors) {
      std::size_t bytes = tensor::dtype_bytes(tensor.dtypes[0]);
      for (const std::int64_t extent : tensor.shape) bytes *= static_cast<std::size_t>(extent);
      contents.emplace_back(bytes, static_cast<char>(contents.size()));
    }
    for (std::size_t i = 0; i < tensors.size(); ++i)
      list.push_back(
          {tensors[i].name, tensors[i].dtypes[0], tensors[i].shape, std::as_bytes(std::span(contents[i]))});
    const base::Status status = write_safetensors((directory_ / name).string(), list, {});
    ASSERT_TRUE(status.ok()) << status.message();
  }
  // A whole model in one file, after `change` was applied to its tensors.
  void make(const std::string& more,
            const std::function<void(std::vector<ExpectedTensor>*)>& change = {}) const {
    put("config.json", config_json(more));
    const base::Result<Config> config = parse_config(config_json(more), "config.json");
    ASSERT_TRUE(config.ok()) << config.status().message();
    std::vector<ExpectedTensor> tensors = expected_tensors(*config);
    if (change) change(&tensors);
    write("model.safetensors", tensors);
  }
  base::Result<Checkpoint> open() const { return Checkpoint::open(directory_.string()); }
  base::Status open_and_check() const {
    const base::Result<Checkpoint> checkpoint = open();
    return checkpoint.ok() ? check_tensors(*checkpoint) : checkpoint.status();
  }
  void expect_failure(Code code, const std::string& message) const {
    const base::Status status = open_and_check();
    EXPECT_EQ(status.code(), code);
    EXPECT_THAT(status.message(), HasSubstr(message));
  }

  fs::path directory_;
};

ExpectedTensor& named(std::vector<ExpectedTensor>* tensors, const std::string& name) {
  for (ExpectedTensor& tensor : *tensors)
    if (tensor.name == name) return tensor;
  ADD_FAILURE() << name;
  return tensors->front();
}

TEST_F(CheckpointTest, ListsWhatTheArchitectureNeeds) {
  const auto list = [](const std::string& more) {
    return expected_tensors(*parse_config(config_json(more), "c"));
  };
  EXPECT_EQ(list(kTied).size(), 2u + 2 * 11);
  EXPECT_EQ(list("").size(), 3u + 2 * 11);  // and lm_head
  EXPECT_EQ(list(R"("use_qk_norm": false)").size(), 3u + 2 * 9);
  std::vector<ExpectedTensor> int8 = list(kInt8);
  EXPECT_EQ(int8.size(), 3u + 2 * (11 + 7));
  EXPECT_THAT(named(&int8, "model.layers.1.self_attn.o_proj.weight").shape, ElementsAre(16, 24));
  EXPECT_THAT(named(&int8, "model.layers.1.self_attn.o_proj.weight").dtypes, ElementsAre(DType::kI8));
  EXPECT_THAT(named(&int8, "model.layers.1.self_attn.k_proj.weight_scale").shape, ElementsAre(12));
  EXPECT_THAT(named(&int8, "model.embed_tokens.weight_scale").shape, ElementsAre(20));
  EXPECT_THAT(named(&int8, "model.embed_tokens.weight_scale").dtypes, ElementsAre(DType::kF32));
  EXPECT_THAT(named(&int8, "model.layers.0.self_attn.query_layernorm.weight").shape, ElementsAre(6));
}

TEST_F(CheckpointTest, OpensOneFile) {
  for (const std::string& more : {std::string(kTied), std::string(), std::string(kInt8)}) {
    make(more);
    EXPECT_TRUE(open_and_check().ok()) << open_and_check().message();
  }
  // Under another name, if it is the only one.
  fs::rename(directory_ / "model.safetensors", directory_ / "weights.safetensors");
  EXPECT_TRUE(open_and_check().ok());
  fs::copy(directory_ / "weights.safetensors", directory_ / "again.safetensors");
  expect_failure(Code::kDataLoss, "has 2 .safetensors files but neither model.safetensors nor");
}

TEST_F(CheckpointTest, IgnoresTensorsThatAreNotExpected) {
  make(kTied, [](std::vector<ExpectedTensor>* tensors) {
    tensors->push_back({"lm_head.weight", {1}, {DType::kF32}});
    tensors->push_back({"model.layers.0.self_attn.rotary_emb.inv_freq", {3}, {DType::kF32}});
  });
  EXPECT_TRUE(open_and_check().ok()) << open_and_check().message();
  EXPECT_TRUE(open()->has("lm_head.weight"));
}

TEST_F(CheckpointTest, NamesTheTensorThatIsWrong) {
  const std::string up = "model.layers.1.mlp.up_proj.weight";
  make(kTied, [&](auto* tensors) { named(tensors, up).shape = {32, 15}; });
  expect_failure(Code::kDataLoss,
                 "model.safetensors: tensor " + up + " has shape [32, 15], expected [32, 16]");
  make(kTied, [&](auto* tensors) { named(tensors, up).dtypes = {DType::kI8}; });
  expect_failure(Code::kDataLoss,
                 "model.safetensors: tensor " + up + " has dtype I8, expected BF16 or F16 or F32");
  make(kTied, [&](auto* tensors) { named(tensors, up).name = "other"; });
  expect_failure(Code::kDataLoss, "model.safetensors: tensor " + up + " is missing");
  make("", [&](auto* tensors) { named(tensors, "lm_head.weight").name = "other"; });
  expect_failure(Code::kDataLoss, "tensor lm_head.weight is missing");
  make(kTied, [&](auto* tensors) { named(tensors, "model.embed_tokens.weight").shape = {21, 16}; });
  expect_failure(Code::kDataLoss, "has shape [21, 16], expected [20, 16]");
  make(kInt8, [&](auto* tensors) { named(tensors, up + "_scale").dtypes = {DType::kF16}; });
  expect_failure(Code::kDataLoss, "tensor " + up + "_scale has dtype F16, expected F32");
  for (const DType dtype : {DType::kF32, DType::kF16}) {
    make(kInt8, [&](auto* tensors) { named(tensors, "model.norm.weight").dtypes = {dtype}; });
    EXPECT_TRUE(open_and_check().ok());
  }
}

TEST_F(CheckpointTest, NamesTheFileThatIsMissing) {
  const std::string absent = (directory_ / "absent").string();
  EXPECT_EQ(Checkpoint::open(absent).status().code(), Code::kNotFound);
  EXPECT_THAT(Checkpoint::open(absent).status().message(), HasSubstr(absent + " is not a directory"));
  expect_failure(Code::kNotFound, "has no config.json");
  put("config.json", config_json(kTied));
  expect_failure(Code::kNotFound, "has no model.safetensors");
  put("config.json", "{");
  expect_failure(Code::kDataLoss, "config.json is not valid JSON");
  make(kTied);
  put("generation_config.json", R"({"eos_token_id": [7], "temperature": 0.7})");
  EXPECT_THAT(open()->config().eos_token_ids, ElementsAre(7));
  EXPECT_EQ(open()->config().sampling.temperature, 0.7);
  put("generation_config.json", "[]");
  expect_failure(Code::kDataLoss, "generation_config.json does not hold a JSON object");
}

TEST_F(CheckpointTest, FollowsTheIndex) {
  put("config.json", config_json(kTied));
  std::vector<ExpectedTensor> all = expected_tensors(*parse_config(config_json(kTied), "config.json"));
  const std::size_t half = all.size() / 2;
  write("model-0001-of-0002.safetensors", {all.begin(), all.begin() + static_cast<std::ptrdiff_t>(half)});
  write("model-0002-of-0002.safetensors", {all.begin() + static_cast<std::ptrdiff_t>(half), all.end()});
  std::string map;
  for (std::size_t i = 0; i < all.size(); ++i)
    map += (i == 0 ? "\"" : ",\"") + all[i].name + R"(":"model-000)" + (i < half ? "1" : "2") +
           "-of-0002.safetensors\"";
  const std::string index = "model.safetensors.index.json";
  put(index, R"({"metadata":{"total_size":1},"weight_map":{)" + map + "}}");
  const base::Result<Checkpoint> checkpoint = open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().message();
  EXPECT_EQ(checkpoint->files().size(), 2u);
  EXPECT_EQ(checkpoint->index().size(), all.size());
  EXPECT_TRUE(check_tensors(*checkpoint).ok());
  const base::Result<Tensor> norm = checkpoint->find("model.norm.weight", {16}, {DType::kBF16});
  ASSERT_TRUE(norm.ok());
  EXPECT_EQ(norm->bytes().size(), 32u);
  EXPECT_EQ(std::to_integer<std::size_t>(norm->bytes()[0]), all.size() - 1 - half);

  put(index, R"({"weight_map":{)" + map + R"(,"extra":"model-0001-of-0002.safetensors"}})");
  expect_failure(Code::kDataLoss, "model-0001-of-0002.safetensors: tensor extra is missing, although");
  put(index, R"({"weight_map":{"a":"model-0003-of-0002.safetensors"}})");
  expect_failure(Code::kNotFound, "model-0003-of-0002.safetensors");
  for (const std::string name :
       {"../model.safetensors", "/etc/passwd", "..", ".", "", "a/b", "a\\\\b", "a\\u0000"}) {
    put(index, R"({"weight_map":{"a":")" + name + "\"}}");
    expect_failure(Code::kDataLoss, "expected the name of a file in the same directory");
  }
  for (const std::string text :
       {"{}", R"({"weight_map":null})", R"({"weight_map":{}})", R"({"weight_map":{"a":7}})",
        R"({"weight_map":[]})", R"({"weight_map":{"a":null}})", "{", "[]"}) {
    put(index, text);
    expect_failure(Code::kDataLoss, index);
  }
}

TEST_F(CheckpointTest, SurvivesCutFiles) {
  make(kTied);
  const fs::path path = directory_ / "model.safetensors";
  const std::uintmax_t size = fs::file_size(path);
  for (const std::uintmax_t left :
       {size - 1, size / 2, std::uintmax_t{9}, std::uintmax_t{8}, std::uintmax_t{7}, std::uintmax_t{0}}) {
    fs::resize_file(path, left);
    expect_failure(Code::kDataLoss, "model.safetensors");
  }
}

TEST_F(CheckpointTest, CopiesRowsAsFloats) {
  const std::vector<float> floats = {1.5f, -2.0f, 3.25f, -0.0f, 1e-40f, 7.0f};
  std::vector<std::uint16_t> bf16, all_halves;
  for (const float value : floats) bf16.push_back(tensor::to_bfloat16(value).bits);
  for (std::uint32_t bits = 0; bits < 65536; ++bits) all_halves.push_back(static_cast<std::uint16_t>(bits));
  put("config.json", config_json(kTied));
  ASSERT_TRUE(write_safetensors((directory_ / "model.safetensors").string(),
                                {{"f32", DType::kF32, {2, 3}, std::as_bytes(std::span(floats))},
                                 {"bf16", DType::kBF16, {3, 2}, std::as_bytes(std::span(bf16))},
                                 {"f16", DType::kF16, {65536}, std::as_bytes(std::span(all_halves))}},
                                {})
                  .ok());
  const base::Result<Checkpoint> checkpoint = open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().message();
  std::vector<float> row(3);
  Checkpoint::copy_row(*checkpoint->find("f32", {2, 3}, {DType::kF32}), 1, row.data());
  EXPECT_THAT(row, ElementsAre(floats[3], floats[4], floats[5]));
  row.assign(2, 0);
  Checkpoint::copy_row(*checkpoint->find("bf16", {3, 2}, {DType::kBF16}), 1, row.data());
  EXPECT_THAT(row, ElementsAre(3.25f, -0.0f));
  EXPECT_TRUE(std::signbit(row[1]));
  // Every half, subnormals, infinities and NaN payloads included, to the bit.
  row.assign(65536, 0);
  Checkpoint::copy_row(*checkpoint->find("f16", {65536}, {DType::kF16}), 0, row.data());
  for (std::uint32_t bits = 0; bits < 65536; ++bits)
    ASSERT_EQ(std::bit_cast<std::uint32_t>(row[bits]),
              std::bit_cast<std::uint32_t>(tensor::half_to_float(static_cast<std::uint16_t>(bits))))
        << bits;
}

TEST(SharedNano, OpensWithAllTensors) {
  const char* shared = std::getenv("PAGODA_SHARED");
  const std::string directory =
      (shared != nullptr ? std::string(shared) : PAGODA_SOURCE_DIR "/../shared") + "/nano-bf16";
  if (!fs::exists(directory)) GTEST_SKIP() << directory << " is not there";
  const base::Result<Checkpoint> checkpoint = Checkpoint::open(directory);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().message();
  const base::Status status = check_tensors(*checkpoint);
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(checkpoint->files().size(), 5u);
  EXPECT_EQ(checkpoint->config().q_size(), 1024);
  EXPECT_EQ(checkpoint->config().rope_base(), 10000);
  EXPECT_THAT(checkpoint->config().eos_token_ids, ElementsAre(3));
}

}  // namespace
}  // namespace pagoda::checkpoint
