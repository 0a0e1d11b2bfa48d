// config.json and generation_config.json: a config that is accepted can be computed with.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/config.h"

namespace {

using pagoda::checkpoint::Config;

void check_config(const Config& config) {
  CHECK(config.num_heads > 0 && config.num_kv_heads > 0 && config.num_heads % config.num_kv_heads == 0);
  CHECK(config.head_dim > 0 && config.head_dim % 2 == 0);
  CHECK(config.q_size() > 0 && config.kv_size() > 0 && config.kv_size() <= config.q_size());
  CHECK(std::isfinite(config.rope_base()) && config.rope_base() > 0);
  CHECK(config.rms_norm_eps > 0);
  for (const std::int32_t id : config.eos_token_ids) CHECK(id >= 0 && id < config.vocab_size);
  if (config.num_layers > 8) return;  // the list is long, and the same for each layer
  for (const auto& tensor : pagoda::checkpoint::expected_tensors(config)) {
    std::int64_t bytes = 4;
    for (const std::int64_t extent : tensor.shape) CHECK(!__builtin_mul_overflow(bytes, extent, &bytes));
    CHECK(bytes > 0 && !tensor.dtypes.empty());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string json(reinterpret_cast<const char*>(data), size);
  const auto parsed = pagoda::checkpoint::parse_config(json, "fuzz");
  if (parsed.ok()) check_config(*parsed);

  Config config;
  config.vocab_size = 1000;
  const pagoda::base::Status status = pagoda::checkpoint::parse_generation_config(json, "fuzz", &config);
  CHECK(status.ok() != !status.message().empty());
  for (const std::int32_t id : config.eos_token_ids) CHECK(id >= 0 && id < config.vocab_size);
  return 0;
}
