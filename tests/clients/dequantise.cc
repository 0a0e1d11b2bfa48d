// dequantise DIR OUT: every matrix of a model, however it is stored, as floats in the file OUT. For tests
// that compare Pagoda's reading with that of other programs.

#include <cstdio>
#include <deque>

#include "checkpoint/checkpoint.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/stored_linear.h"

namespace pagoda::checkpoint {
namespace {

base::Status run(const std::string& directory, const std::string& out) {
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::open(directory));
  std::deque<std::vector<float>> values;
  std::vector<TensorToWrite> tensors;
  for (const LinearLayer& layer : linear_layers(checkpoint.config())) {
    ASSIGN_OR_RETURN(const StoredLinear stored, find_linear(checkpoint, layer.name, layer.out, layer.in));
    std::vector<float>& matrix = values.emplace_back(layer.out * layer.in);
    for (std::int64_t row = 0; row < layer.out; ++row)
      stored.copy_floats(row, matrix.data() + row * layer.in);
    tensors.push_back(
        {layer.name, tensor::DType::kF32, {layer.out, layer.in}, std::as_bytes(std::span(matrix))});
  }
  return write_safetensors(out, tensors, {{"format", "pt"}});
}

}  // namespace
}  // namespace pagoda::checkpoint

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const pagoda::base::Status status = pagoda::checkpoint::run(argv[1], argv[2]);
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", status.message().c_str());
  return 1;
}
