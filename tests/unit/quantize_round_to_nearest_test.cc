#include "quantize/round_to_nearest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

namespace pagoda::quantize {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using base::Code;
using checkpoint::Checkpoint;
using ::testing::HasSubstr;

class QuantizeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "quantize_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::string out() const { return (directory_ / "out").string(); }
  static Checkpoint open(const fs::path& path) {
    auto opened = Checkpoint::open(path.string());
    EXPECT_TRUE(opened.ok()) << opened.status().message();
    return std::move(opened).value();
  }
  static fs::path model(const std::string& name) {
    return fs::path(PAGODA_SOURCE_DIR "/tests/data/models") / name;
  }
  // A copy of a model that may be written to.
  fs::path copy(const std::string& name) const {
    const fs::path to = directory_ / name;
    fs::create_directory(to);
    for (const auto& entry : fs::directory_iterator(model(name))) {
      fs::copy_file(entry.path(), to / entry.path().filename());
      fs::permissions(to / entry.path().filename(), fs::perms::owner_write, fs::perm_options::add);
    }
    return to;
  }
  // Puts one element of a BF16 tensor of model.safetensors to `bits`.
  static void patch(const fs::path& directory, const std::string& tensor, std::size_t element,
                    std::uint16_t bits) {
    std::size_t begin = 0;
    {
      const Checkpoint source = open(directory);
      begin = source.index().at(tensor)->tensors().at(tensor).begin;
    }
    std::fstream file(directory / "model.safetensors", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(begin + 2 * element));
    file.write(reinterpret_cast<const char*>(&bits), 2);
    ASSERT_TRUE(file.flush());
  }
  static json::object config_of(const fs::path& directory) {
    std::ifstream file(directory / "config.json");
    std::stringstream text;
    text << file.rdbuf();
    return json::parse(text.str()).as_object();
  }
  static std::vector<float> floats(std::span<const std::byte> bytes) {
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }
  // Every matrix of `quantised` is within half a step of `source`, every vector is the same; returns the
  // matrices.
  static int compare(const Checkpoint& source, const Checkpoint& quantised) {
    int matrices = 0;
    for (const checkpoint::ExpectedTensor& wanted : checkpoint::expected_tensors(source.config())) {
      SCOPED_TRACE(wanted.name);
      const auto before = source.find(wanted.name, wanted.shape, wanted.dtypes);
      EXPECT_TRUE(before.ok());
      if (wanted.shape.size() == 1) {
        const auto after = quantised.find(wanted.name, wanted.shape, {before->info.dtype});
        EXPECT_TRUE(after.ok()) << after.status().message();
        EXPECT_TRUE(std::ranges::equal(before->bytes(), after->bytes()));
        continue;
      }
      ++matrices;
      const auto integers = quantised.find(wanted.name, wanted.shape, {tensor::DType::kI8});
      const auto scale = quantised.find(wanted.name + "_scale", {wanted.shape[0]}, {tensor::DType::kF32});
      EXPECT_TRUE(integers.ok()) << integers.status().message();
      EXPECT_TRUE(scale.ok()) << scale.status().message();
      compare_rows(*before, *integers, floats(scale->bytes()), wanted.shape[1]);
    }
    return matrices;
  }
  static void compare_rows(const checkpoint::Tensor& before, const checkpoint::Tensor& integers,
                           const std::vector<float>& scales, std::int64_t columns) {
    std::vector<float> row(columns);
    for (std::size_t r = 0; r < scales.size(); ++r) {
      Checkpoint::copy_row(before, static_cast<std::int64_t>(r), row.data());
      int largest = 0;
      for (std::int64_t c = 0; c < columns; ++c) {
        const int value = static_cast<std::int8_t>(integers.bytes()[r * columns + c]);
        largest = std::max(largest, std::abs(value));
        ASSERT_LE(std::abs(row[c] - value * static_cast<double>(scales[r])), 0.5001 * scales[r])
            << r << ", " << c;
      }
      EXPECT_EQ(largest, 127) << "row " << r << " does not use its range";
    }
  }

  fs::path directory_;
};

TEST_F(QuantizeTest, TiedModel) {
  const Checkpoint source = open(model("hy-1.8b-like"));
  double last = -1;
  const auto report = quantize_int8(source, out(), [&](double share) {
    EXPECT_GT(share, last);
    last = share;
  });
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_EQ(last, 1);
  EXPECT_LT(report->bytes_after, report->bytes_before * 6 / 10);
  EXPECT_GT(report->relative_error, 1e-4);
  EXPECT_LT(report->relative_error, 0.02);

  const Checkpoint quantised = open(out());
  EXPECT_TRUE(checkpoint::check_tensors(quantised).ok());
  EXPECT_EQ(quantised.config().quantization.method, checkpoint::QuantMethod::kInt8PerChannel);
  EXPECT_TRUE(quantised.config().quantization.embedding);
  EXPECT_EQ(compare(source, quantised), 1 + 7 * source.config().num_layers);
  EXPECT_FALSE(quantised.has("lm_head.weight"));  // tied: the source's copy of the embedding is left behind
  std::size_t bytes = 0;
  for (const auto& [name, file] : quantised.index())
    bytes += file->tensors().at(name).end - file->tensors().at(name).begin;
  EXPECT_EQ(bytes, report->bytes_after);
}

TEST_F(QuantizeTest, UntiedModelInShards) {
  const Checkpoint source = open(model("hy-7b-like"));
  const auto report = quantize_int8(source, out(), nullptr);
  ASSERT_TRUE(report.ok()) << report.status().message();
  const Checkpoint quantised = open(out());
  EXPECT_TRUE(checkpoint::check_tensors(quantised).ok());
  EXPECT_EQ(quantised.files().size(), 1u);
  EXPECT_EQ(compare(source, quantised), 2 + 7 * source.config().num_layers);
  EXPECT_TRUE(quantised.has("lm_head.weight_scale"));
}

TEST_F(QuantizeTest, OddSpellingInFloats) {
  const Checkpoint source = open(model("hy-odd-spelling"));
  const auto report = quantize_int8(source, out(), nullptr);
  ASSERT_TRUE(report.ok()) << report.status().message();
  const Checkpoint quantised = open(out());
  compare(source, quantised);
  EXPECT_EQ(quantised.config().rope_base(), source.config().rope_base());
  EXPECT_EQ(quantised.config().head_dim, source.config().head_dim);
}

TEST_F(QuantizeTest, ConfigIsKeptAndSmallFilesAreCopied) {
  const fs::path from = copy("hy-7b-like");
  std::ofstream(from / "tokenizer.json") << "{\n  \"model\": {\"vocab\": {\"天\": 0}}\n}\n";
  std::ofstream(from / "chat_template.jinja") << "x";
  ASSERT_TRUE(quantize_int8(open(from), out(), nullptr).ok());
  json::object before = config_of(from), after = config_of(out());
  ASSERT_TRUE(after.contains("quantization_config"));
  EXPECT_EQ(after["quantization_config"].at("quant_method").as_string(), "pagoda-int8");
  after.erase("quantization_config");
  before.erase("quantization_config");
  EXPECT_EQ(after, before);
  // Without the white space, which is half of a tokenizer.
  EXPECT_EQ(base::read_file((directory_ / "out" / "tokenizer.json").string(), 100).value(),
            "{\"model\":{\"vocab\":{\"天\":0}}}\n");
  for (const char* name : {"chat_template.jinja", "generation_config.json"})
    EXPECT_EQ(fs::file_size(from / name), fs::file_size(directory_ / "out" / name)) << name;
  EXPECT_FALSE(fs::exists(directory_ / "out" / "golden.safetensors"));
  EXPECT_FALSE(fs::exists(directory_ / "out" / "model.safetensors.index.json"));
}

TEST_F(QuantizeTest, RefusesWhatIsQuantisedAlready) {
  ASSERT_TRUE(quantize_int8(open(model("hy-1.8b-like")), out(), nullptr).ok());
  const auto again = quantize_int8(open(out()), (directory_ / "again").string(), nullptr);
  EXPECT_EQ(again.status().code(), Code::kInvalidArgument);
  EXPECT_THAT(again.status().message(), HasSubstr(out()));
  EXPECT_FALSE(fs::exists(directory_ / "again"));
}

TEST_F(QuantizeTest, RefusesToOverwriteAModel) {
  const fs::path from = copy("hy-1.8b-like");
  const auto onto_itself = quantize_int8(open(from), from.string(), nullptr);
  EXPECT_EQ(onto_itself.status().code(), Code::kInvalidArgument);
  EXPECT_THAT(onto_itself.status().message(), HasSubstr(from.string()));
  EXPECT_TRUE(Checkpoint::open(from.string()).ok());
  // Nor does it write weights beside those of a model without config.json.
  fs::create_directory(directory_ / "out");
  std::ofstream(directory_ / "out" / "model.safetensors") << "precious";
  EXPECT_FALSE(quantize_int8(open(from), out(), nullptr).ok());
  EXPECT_EQ(fs::file_size(directory_ / "out" / "model.safetensors"), 8u);
}

TEST_F(QuantizeTest, RefusesAnOutputThatIsNoDirectory) {
  std::ofstream(directory_ / "out") << "a file";
  for (const std::string& path : {out(), out() + "/below"}) {
    const auto report = quantize_int8(open(model("hy-1.8b-like")), path, nullptr);
    ASSERT_FALSE(report.ok());
    EXPECT_EQ(report.status().code(), Code::kInvalidArgument) << report.status().message();
    EXPECT_THAT(report.status().message(), HasSubstr(out()));
  }
}

TEST_F(QuantizeTest, RefusesValuesThatAreNotFinite) {
  const std::string name = "model.layers.1.mlp.down_proj.weight";
  for (const std::uint16_t bits : {0x7fc0, 0x7f80, 0xff80}) {  // NaN, +inf, -inf
    const fs::path from = copy("hy-1.8b-like");
    patch(from, name, 77, bits);
    const auto report = quantize_int8(open(from), out(), nullptr);
    EXPECT_EQ(report.status().code(), Code::kDataLoss);
    EXPECT_THAT(report.status().message(), HasSubstr(name));
    EXPECT_FALSE(Checkpoint::open(out()).ok()) << "a half-written model can be opened";
    fs::remove_all(from);
  }
}

TEST_F(QuantizeTest, RowsOfZerosAndOfTinyNumbers) {
  const fs::path from = copy("hy-1.8b-like");
  const std::string name = "model.layers.0.mlp.down_proj.weight";
  const std::int64_t columns = open(from).config().intermediate_size;
  for (std::int64_t c = 0; c < columns; ++c) {
    patch(from, name, c, 0);            // all zeros
    patch(from, name, columns + c, 1);  // the least subnormal of BF16: the scale is subnormal too
    patch(from, name, 2 * columns + c, c == 0 ? 0x7f7f : 0);  // the greatest finite number
  }
  const auto report = quantize_int8(open(from), out(), nullptr);
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_TRUE(std::isfinite(report->relative_error));
  const Checkpoint quantised = open(out());
  const auto integers = quantised.index().at(name)->bytes(quantised.index().at(name)->tensors().at(name));
  const auto scales =
      floats(quantised.index().at(name)->bytes(quantised.index().at(name)->tensors().at(name + "_scale")));
  EXPECT_EQ(scales[0], 1);  // every scale is positive
  for (std::int64_t c = 0; c < columns; ++c) EXPECT_EQ(integers[c], std::byte{0});
  const float tiny = tensor::to_float(tensor::BFloat16{1});
  EXPECT_NEAR(static_cast<std::int8_t>(integers[columns]) * scales[1] / tiny, 1, 0.01);
  EXPECT_EQ(static_cast<std::int8_t>(integers[2 * columns]), 127);
  EXPECT_TRUE(std::isfinite(127 * scales[2]));
}

// 190 steps of the least float: its scale, 190 / 127 steps, is stored as one step, and 190 is no int8.
TEST_F(QuantizeTest, ASubnormalScaleDoesNotOverflow) {
  const fs::path from = copy("hy-odd-spelling");
  const std::string name = "model.layers.0.mlp.down_proj.weight";
  const std::int64_t columns = open(from).config().intermediate_size;
  for (std::int64_t c = 0; c < columns; ++c) {
    patch(from, name, 2 * c, 190);  // an F32 is two of these
    patch(from, name, 2 * c + 1, c % 2 == 0 ? 0 : 0x8000);
  }
  ASSERT_TRUE(quantize_int8(open(from), out(), nullptr).ok());
  const Checkpoint quantised = open(out());
  const auto integers = quantised.index().at(name)->bytes(quantised.index().at(name)->tensors().at(name));
  for (std::int64_t c = 0; c < columns; ++c)
    EXPECT_EQ(static_cast<std::int8_t>(integers[c]), c % 2 == 0 ? 127 : -127);
}

}  // namespace
}  // namespace pagoda::quantize
