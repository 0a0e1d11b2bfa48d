#include "quantize/quantize_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>

#include "base/mapped_file.h"
#include "checkpoint/stored_linear.h"
#include "model/load_dense.h"
#include "quantize/finished_layers.h"
#include "quantize/fold_scales.h"

namespace pagoda::quantize {
namespace {

namespace fs = std::filesystem;
using base::Code;
using checkpoint::Checkpoint;
using ::testing::HasSubstr;
using Texts = std::vector<CalibrationText>;

Texts random_texts(std::size_t count, std::int32_t vocab) {
  std::mt19937 random(5);
  Texts texts(count);
  for (auto& text : texts) {
    for (std::size_t i = 0, length = 3 + random() % 40; i < length; ++i)
      text.tokens.push_back(static_cast<std::int32_t>(random() % static_cast<unsigned>(vocab)));
    text.answer = text.tokens.size() / 2;
  }
  return texts;
}

class QuantizeModelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "quantize_model_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::string path(const std::string& name) const { return (directory_ / name).string(); }
  static fs::path model(const std::string& name) {
    return fs::path(PAGODA_SOURCE_DIR "/tests/data/models") / name;
  }
  static Checkpoint open(const fs::path& path) {
    auto opened = Checkpoint::open(path.string());
    EXPECT_TRUE(opened.ok()) << opened.status().message();
    return std::move(opened).value();
  }
  fs::path copy(const std::string& name) const {
    const fs::path to = directory_ / name;
    fs::create_directory(to);
    for (const auto& entry : fs::directory_iterator(model(name))) {
      fs::copy_file(entry.path(), to / entry.path().filename());
      fs::permissions(to / entry.path().filename(), fs::perms::owner_write, fs::perm_options::add);
    }
    return to;
  }
  static std::string contents(const std::string& file) {
    const auto text = base::read_file(file, std::size_t{64} << 20);
    EXPECT_TRUE(text.ok()) << text.status().message();
    return text.ok() ? *text : "";
  }
  static boost::json::object quantization_of(const std::string& directory) {
    return boost::json::parse(contents(directory + "/config.json")).at("quantization_config").as_object();
  }
  base::Result<ModelReport> quantize(const fs::path& from, const std::string& to,
                                     const Options& options) const {
    return quantize_model(open(from), path(to), options, random_texts(40, 500), nullptr);
  }

  fs::path directory_;
};

Options options_of(Method method, std::int64_t group_size = 32) {
  Options options;
  options.method = method;
  options.scheme.group_size = group_size;
  options.scheme.symmetric = method != Method::kAwq;
  options.threads = 2;
  return options;
}

TEST_F(QuantizeModelTest, EveryMethodWritesAModelThatLoads) {
  for (const std::string source : {"hy-1.8b-like", "hy-7b-like", "hy-odd-spelling"})
    for (const Method method : {Method::kRoundToNearest, Method::kGptq, Method::kAwq, Method::kFp8})
      for (const bool int8_tables : {false, true}) {
        if (method == Method::kFp8 && int8_tables) continue;
        const std::string name = fmt::format("{}-{}-{}", source, static_cast<int>(method), int8_tables);
        SCOPED_TRACE(name);
        Options options = options_of(method);
        options.int8_tables = int8_tables;
        const auto report = quantize(model(source), name, options);
        ASSERT_TRUE(report.ok()) << report.status().message();
        const Checkpoint before = open(model(source)), after = open(path(name));
        EXPECT_TRUE(checkpoint::check_tensors(after).ok()) << checkpoint::check_tensors(after).message();
        EXPECT_EQ(after.config().quantization.embedding, int8_tables);
        EXPECT_FALSE(fs::exists(path(name) + ".partial"));
        EXPECT_EQ(report->layers.size(), static_cast<std::size_t>(before.config().num_layers));
        EXPECT_LT(report->bytes_after, report->bytes_before);
        // The error that was reported is that of the files.
        if (method != Method::kAwq) {
          MatrixError error;
          for (const checkpoint::LinearLayer& layer : checkpoint::linear_layers(before.config())) {
            if (!layer.name.starts_with("model.layers.")) continue;
            const auto a = find_linear(before, layer.name, layer.out, layer.in);
            const auto b = find_linear(after, layer.name, layer.out, layer.in);
            std::vector<float> x(layer.in), y(layer.in);
            for (std::int64_t row = 0; row < layer.out; ++row) {
              a->copy_floats(row, x.data());
              b->copy_floats(row, y.data());
              for (std::int64_t i = 0; i < layer.in; ++i) {
                error.squared_weights += static_cast<double>(x[i]) * x[i];
                error.squared_weight_errors += static_cast<double>(x[i] - y[i]) * (x[i] - y[i]);
              }
            }
          }
          EXPECT_NEAR(report->total().weights(), error.weights(), 1e-5);
        }
        EXPECT_LT(report->total().weights(), method == Method::kFp8 ? 0.06 : 0.2);
        const auto ops = kernels::make_reference_ops();
        const auto weights = model::load_dense(after, *ops, kernels::WeightFormat::kF32, nullptr);
        ASSERT_TRUE(weights.ok()) << weights.status().message();
        EXPECT_THAT(weights->formats, HasSubstr(method == Method::kFp8 ? "fp8" : "int4"));
      }
}

TEST_F(QuantizeModelTest, SaysInTheConfigWhatOthersNeed) {
  Options options = options_of(Method::kGptq, 64);
  ASSERT_TRUE(quantize(model("hy-7b-like"), "gptq", options).ok());
  boost::json::object config = quantization_of(path("gptq"));
  EXPECT_EQ(config["quant_method"].as_string(), "gptq");
  EXPECT_EQ(config["checkpoint_format"].as_string(), "gptq");
  EXPECT_EQ(config["bits"].as_int64(), 4);
  EXPECT_EQ(config["group_size"].as_int64(), 64);
  EXPECT_TRUE(config["sym"].as_bool());
  EXPECT_FALSE(config["desc_act"].as_bool());
  options.gptq.static_groups = false;
  options.int8_tables = true;
  ASSERT_TRUE(quantize(model("hy-7b-like"), "desc", options).ok());
  config = quantization_of(path("desc"));
  EXPECT_EQ(config["quant_method"].as_string(),
            "pagoda-gptq");  // others must not read an INT8 embedding as floats
  EXPECT_TRUE(config["desc_act"].as_bool());
  const auto layer = find_linear(open(path("desc")), "model.layers.0.self_attn.q_proj", 128, 128);
  EXPECT_FALSE(layer->group_of_input().empty());
  ASSERT_TRUE(quantize(model("hy-7b-like"), "awq", options_of(Method::kAwq)).ok());
  config = quantization_of(path("awq"));
  EXPECT_EQ(config["quant_method"].as_string(), "awq");
  EXPECT_EQ(config["version"].as_string(), "gemm");
  EXPECT_TRUE(config["zero_point"].as_bool());
}

TEST_F(QuantizeModelTest, GptqLosesLessThanRounding) {
  for (const std::int64_t group_size : {32, 64}) {
    const auto rounded = quantize(model("hy-7b-like"), fmt::format("r{}", group_size),
                                  options_of(Method::kRoundToNearest, group_size));
    const auto gptq =
        quantize(model("hy-7b-like"), fmt::format("g{}", group_size), options_of(Method::kGptq, group_size));
    ASSERT_TRUE(rounded.ok() && gptq.ok());
    EXPECT_GT(gptq->total().outputs(), 0);
    // Of the outputs; of the weights themselves rounding to nearest is hard to beat.
    EXPECT_LT(gptq->total().outputs(), 0.9 * rounded->total().weights());
  }
}

TEST_F(QuantizeModelTest, IsTheSameEveryTime) {
  Options options = options_of(Method::kGptq);
  ASSERT_TRUE(quantize(model("hy-1.8b-like"), "a", options).ok());
  options.threads = 3;
  ASSERT_TRUE(quantize(model("hy-1.8b-like"), "b", options).ok());
  EXPECT_EQ(contents(path("a/model.safetensors")), contents(path("b/model.safetensors")));
}

TEST_F(QuantizeModelTest, GoesOnWhereItWasEnded) {
  const fs::path from = copy("hy-1.8b-like");
  const fs::path file = from / "model.safetensors";
  const fs::file_time_type written = fs::last_write_time(file);
  std::size_t at = 0;
  {
    const Checkpoint source = open(from);
    const std::string last = "model.layers.2.mlp.down_proj.weight";
    at = source.index().at(last)->tensors().at(last).begin;
  }
  char good[2];
  const auto patch = [&](const char* bytes, char* old) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(at));
    if (old != nullptr) stream.read(old, 2);
    stream.seekp(static_cast<std::streamoff>(at));
    stream.write(bytes, 2);
    stream.close();
    fs::last_write_time(file, written);
  };
  // The last layer fails, as if the run had been ended there.
  patch("\xc0\x7f", good);
  const auto ended = quantize(from, "out", options_of(Method::kGptq));
  EXPECT_EQ(ended.status().code(), Code::kDataLoss);
  EXPECT_THAT(ended.status().message(), HasSubstr("model.layers.2.mlp.down_proj"));
  EXPECT_FALSE(Checkpoint::open(path("out")).ok()) << "a half-written model can be opened";
  const fs::path kept = path("out") + ".partial";
  ASSERT_TRUE(fs::exists(kept / "layer-0001" / "report.json"));
  const auto stamp = fs::last_write_time(kept / "layer-0001" / "model.safetensors");
  patch(good, nullptr);

  // Other options begin anew, in their own place; these go on.
  const std::string layer = contents((kept / "layer-0001" / "model.safetensors").string());
  const auto resumed = quantize(from, "out", options_of(Method::kGptq));
  ASSERT_TRUE(resumed.ok()) << resumed.status().message();
  EXPECT_FALSE(fs::exists(kept));
  (void)stamp;
  const auto whole = quantize(from, "whole", options_of(Method::kGptq));
  ASSERT_TRUE(whole.ok());
  EXPECT_EQ(contents(path("out/model.safetensors")), contents(path("whole/model.safetensors")));
  EXPECT_NEAR(resumed->total().outputs(), whole->total().outputs(), 1e-9);
}

TEST_F(QuantizeModelTest, KeepsOnlyLayersOfTheSameWork) {
  const Checkpoint source = open(model("hy-1.8b-like"));
  const Texts texts = random_texts(3, 500);
  const std::string same = fingerprint(source, options_of(Method::kGptq), texts);
  EXPECT_EQ(same, fingerprint(source, options_of(Method::kGptq), texts));
  EXPECT_NE(same, fingerprint(source, options_of(Method::kGptq, 64), texts));
  EXPECT_NE(same, fingerprint(source, options_of(Method::kAwq), texts));
  EXPECT_NE(same, fingerprint(source, options_of(Method::kGptq), random_texts(4, 500)));
  EXPECT_NE(same, fingerprint(open(model("hy-odd-spelling")), options_of(Method::kGptq), texts));

  const std::string place = path("kept");
  auto layers = FinishedLayers::open(place, source, {{"quant_method", "gptq"}}, "one");
  ASSERT_TRUE(layers.ok());
  ASSERT_TRUE(layers->add(0, {}, {}).ok());
  EXPECT_TRUE(FinishedLayers::open(place, source, {}, "one")->has(0));
  EXPECT_FALSE(FinishedLayers::open(place, source, {}, "two")->has(0));
  // What such a run did not make is not removed.
  fs::create_directory(path("precious"));
  std::ofstream(path("precious/data")) << "x";
  EXPECT_EQ(FinishedLayers::open(path("precious"), source, {}, "one").status().code(),
            Code::kInvalidArgument);
  EXPECT_TRUE(fs::exists(path("precious/data")));
}

TEST_F(QuantizeModelTest, RefusesWhatItCannotDo) {
  const auto refuse = [&](const fs::path& from, const Options& options, const Texts& texts,
                          const std::string& why) {
    const auto report = quantize_model(open(from), path("out"), options, texts, nullptr);
    ASSERT_FALSE(report.ok());
    EXPECT_THAT(report.status().message(), HasSubstr(why));
    EXPECT_FALSE(fs::exists(path("out/config.json")));
  };
  const fs::path from = model("hy-1.8b-like");
  refuse(from, options_of(Method::kGptq), {}, "no texts to calibrate with");
  refuse(from, options_of(Method::kGptq), {{{1, 512}, 1}}, "token 512");
  refuse(from, options_of(Method::kAwq), {{{-1}, 0}}, "token -1");
  ASSERT_TRUE(quantize(from, "done", options_of(Method::kFp8)).ok());
  refuse(path("done"), options_of(Method::kGptq), {{{1}, 0}}, "is quantised already");
}

// A folded layer computes what it did.
TEST_F(QuantizeModelTest, FoldedScalesChangeNothing) {
  for (const std::string source : {"hy-7b-like", "hy-odd-spelling"}) {
    const Checkpoint checkpoint = open(model(source));
    const model::DenseShape shape = model::shape_of(checkpoint.config());
    const auto ops = kernels::make_cpu_ops({.threads = 1, .deterministic = true, .isa = "avx2"});
    base::ThreadPool threads(1);
    FloatLayer layer = std::move(read_layer(checkpoint, 0)).value();
    const auto pass = [&] {
      auto made = std::make_unique<LayerPass>(shape, *ops, random_texts(20, 500));
      std::mt19937 random(1);
      std::normal_distribution<float> normal;
      for (std::int64_t i = 0; i < made->tokens() * shape.hidden_size; ++i)
        made->hidden(0)[i] = normal(random);
      return made;
    };
    const auto random_gram = [](std::int64_t n) {
      std::vector<float> gram(n * n);
      for (std::int64_t i = 0; i < n; ++i) gram[i * n + i] = std::exp(static_cast<float>(i * 37 % 11) / 2.0f);
      return gram;
    };
    const auto before = pass(), after = pass();
    run_layer(layer, shape, *ops, *before);
    const FloatLayer original = layer;
    fold_awq_scales({random_gram(shape.hidden_size), random_gram(shape.q_size()),
                     random_gram(shape.hidden_size), random_gram(shape.intermediate_size)},
                    shape, {4, 32, false}, threads, &layer);
    EXPECT_NE(layer.qkv, original.qkv);
    EXPECT_NE(layer.o, original.o);
    EXPECT_NE(layer.input_norm, original.input_norm);
    run_layer(layer, shape, *ops, *after);
    double difference = 0, size = 0;
    for (std::int64_t i = 0; i < before->tokens() * shape.hidden_size; ++i) {
      difference += std::pow(before->hidden(0)[i] - after->hidden(0)[i], 2.0);
      size += std::pow(before->hidden(0)[i], 2.0);
    }
    EXPECT_LT(std::sqrt(difference / size), 0.01);  // BF16 weights are rounded anew
  }
}

}  // namespace
}  // namespace pagoda::quantize
