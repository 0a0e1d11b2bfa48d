// Tensors of quantised layers: whatever is accepted can be read row by row, and fused. The first bytes choose
// layout and sizes, the rest is a safetensors file.

#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/check.h"
#include "checkpoint/stored_linear.h"
#include "model/fused_linear.h"

namespace {

namespace fs = std::filesystem;
using namespace pagoda;

constexpr const char* kMethods[] = {
    R"({"quant_method": "gptq", "bits": 4, "group_size": 16})",
    R"({"quant_method": "gptq", "bits": 8, "group_size": -1, "checkpoint_format": "gptq_v2"})",
    R"({"quant_method": "awq", "bits": 4, "group_size": 32})",
    R"({"quant_method": "fp8"})",
    R"({"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {"g": {"weights":
       {"num_bits": 4, "strategy": "group", "group_size": 32, "symmetric": false}}}})",
    R"({"quant_method": "pagoda-int8", "bits": 8, "scheme": "per_channel_symmetric"})",
    R"({"quant_method": "compressed-tensors", "format": "int-quantized", "config_groups": {"g": {"weights":
       {"num_bits": 8, "strategy": "channel"}}}})",
};

// One a process, removed by the system's cleaning of the folder for temporary files.
const fs::path& directory() {
  static const fs::path path = [] {
    const fs::path made = fs::temp_directory_path() / ("pagoda_fuzz_packed_" + std::to_string(::getpid()));
    fs::create_directories(made);
    return made;
  }();
  return path;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const std::int64_t out = data[1], in = data[2];
  if (out == 0 || in == 0) return 0;
  std::ofstream(directory() / "config.json")
      << R"({"model_type": "hunyuan_v1_dense", "vocab_size": 8, "hidden_size": 8, "intermediate_size": 8,
             "num_hidden_layers": 1, "num_attention_heads": 1, "max_position_embeddings": 8,
             "quantization_config": )"
      << kMethods[data[0] % std::size(kMethods)] << "}";
  std::ofstream(directory() / "model.safetensors", std::ios::binary)
      .write(reinterpret_cast<const char*>(data) + 3, static_cast<std::streamsize>(size - 3));
  const auto opened = checkpoint::Checkpoint::open(directory().string());
  if (!opened.ok()) return 0;
  const auto found = find_linear(*opened, "x", out, in);
  if (!found.ok()) {
    CHECK(!found.status().message().empty());
    return 0;
  }
  const model::FusedLinear fused = model::fuse({*found, *found}, kernels::WeightFormat::kBF16);
  std::vector<float> row(in), again(in);
  for (std::int64_t r = 0; r < out; ++r) {
    found->copy_floats(r, row.data());
    kernels::dequantize_row(fused.source, r + out, again.data());
    if (fused.source.format == kernels::WeightFormat::kBF16) continue;  // rounded
    for (std::int64_t i = 0; i < in; ++i) CHECK(row[i] == again[i] || std::isnan(row[i]));
  }
  return 0;
}
