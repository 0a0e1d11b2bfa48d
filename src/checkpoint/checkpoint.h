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
  // "model.safetensors: tensor model.norm.weight", the subject of a message.
  std::string label() const;
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

// The matrices of a HunYuanDenseV1 model: embedding, linear layers in the order of the forward pass, head.
// stored_linear.h finds the tensors of each.
struct LinearLayer {
  std::string name;  // "model.layers.0.mlp.up_proj"
  std::int64_t out, in;
};
std::vector<LinearLayer> linear_layers(const Config& config);
// The weights of its norms, without ".weight", each with its size.
std::vector<std::pair<std::string, std::int64_t>> norm_vectors(const Config& config);

// The tensors a checkpoint holds in which everything that its method quantises is quantised, each with its
// shape and acceptable dtypes. Real ones may leave single layers as floats, and have g_idx and the like.
struct ExpectedTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<tensor::DType> dtypes;
};
std::vector<ExpectedTensor> expected_tensors(const Config& config);
// Every matrix and vector is there, as its layout wants it; the first that is not makes the message.
base::Status check_tensors(const Checkpoint& checkpoint);

}  // namespace pagoda::checkpoint
