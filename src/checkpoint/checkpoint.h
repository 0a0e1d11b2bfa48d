#pragma once
// A model directory: config.json, optional generation_config.json, and safetensors (single, or sharded with
// model.safetensors.index.json). Finds tensors by name across shards. Immutable after open.

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "checkpoint/config.h"
#include "checkpoint/safetensors.h"

namespace pagoda::checkpoint {

// A tensor where it lies. Valid as long as its Checkpoint.
struct Tensor {
  std::string name;
  const SafetensorsFile* file = nullptr;
  TensorInfo info;
  std::span<const std::byte> bytes() const { return file->bytes(info); }
};

class Checkpoint {
 public:
  // Opens and checks the directory: the config parses, every tensor of the index is where it says. The shapes
  // the architecture needs are checked by check_tensors below.
  static base::Result<Checkpoint> open(const std::string& directory);

  const std::string& directory() const { return directory_; }
  const Config& config() const { return config_; }
  const std::vector<SafetensorsFile>& files() const { return files_; }
  // All tensors, by name, across shards.
  const std::map<std::string, const SafetensorsFile*>& index() const { return index_; }

  bool has(const std::string& name) const { return index_.contains(name); }
  // kDataLoss naming file and tensor if it is missing, or if shape or dtype class is not as wanted.
  // `dtypes` lists what is acceptable.
  base::Result<Tensor> find(const std::string& name, const std::vector<std::int64_t>& shape,
                            const std::vector<tensor::DType>& dtypes) const;

  // Copies row `row` of a 2-D (or all of a 1-D, row 0) F32/F16/BF16 tensor to floats.
  static void copy_row(const Tensor& tensor, std::int64_t row, float* out);

 private:
  std::string directory_;
  Config config_;
  std::vector<SafetensorsFile> files_;  // never resized after open: index_ points into it
  std::map<std::string, const SafetensorsFile*> index_;
};

// The tensors a HunYuanDenseV1 checkpoint must hold for this config, each with its shape and acceptable
// dtypes; used by the loader, `pagoda inspect` and the tests. For INT8 per channel, X.weight is I8 and
// X.weight_scale F32 [out].
struct ExpectedTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<tensor::DType> dtypes;
};
std::vector<ExpectedTensor> expected_tensors(const Config& config);
// Every expected tensor is there with its shape and dtype; the first that is not makes the message.
base::Status check_tensors(const Checkpoint& checkpoint);

}  // namespace pagoda::checkpoint
