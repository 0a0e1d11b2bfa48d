#include "quantize/target.h"

#include "quantize/matrix_product.h"

namespace pagoda::quantize {

std::vector<float> corrected_weights(std::span<const float> w, std::int64_t out, std::int64_t in,
                                     const InputStatistics& statistics, double damping,
                                     base::ThreadPool& threads) {
  std::vector<float> corrected(w.begin(), w.end());
  std::vector<float> h = statistics.gram;
  double trace = 0;
  for (std::int64_t i = 0; i < in; ++i) trace += h[i * in + i];
  if (!(trace > 0)) return corrected;
  const auto added = static_cast<float>(damping * trace / static_cast<double>(in));
  for (std::int64_t i = 0; i < in; ++i) h[i * in + i] += added;
  mirror_upper(h.data(), in);
  if (!inverse_cholesky(h.data(), in, threads)) return corrected;
  std::vector<float> inverse(in * in);
  multiply_add(MatrixRef{h.data(), in, in, in, 1}.transposed(), {h.data(), in, in, in, 1}, 1.0f, inverse.data(),
               in, /*upper_only=*/false, threads);
  std::vector<float> missing = statistics.residual;
  missing.resize(out * in);
  multiply_add({w.data(), out, in, in, 1}, {statistics.shift.data(), in, in, in, 1}, 1.0f, missing.data(), in,
               /*upper_only=*/false, threads);
  multiply_add({missing.data(), out, in, in, 1}, {inverse.data(), in, in, in, 1}, 1.0f, corrected.data(), in,
               /*upper_only=*/false, threads);
  return corrected;
}

}  // namespace pagoda::quantize
