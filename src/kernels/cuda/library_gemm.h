#pragma once
// Large matrix products by cuBLASLt, which is looked for at run time: building needs nvcc alone, and a
// machine without the library still runs, on our own kernels. One thread calls.
//
// For each shape the library names several kernels, the one it thinks best first. Few rows of x are worth
// more than its guess: measure() lets a product of them take the kernel that is fastest here.

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>

namespace pagoda::kernels::cuda {

class LibraryGemm {
 public:
  // Null, with the reason, if the library cannot be loaded. Looks at $PAGODA_CUBLASLT, then for
  // libcublasLt.so.13, .12 beside the program (where quickstart.sh puts a link to the wheel's), where the
  // loader looks, and in /usr/local/cuda.
  static std::unique_ptr<LibraryGemm> load(std::string* why_not);
  ~LibraryGemm();

  // out [m, n] (+)= x [m, k] W^T, W [n, k], all row-major; x and W bf16, or both e4m3 with a scale a row
  // each; out float or bf16. Strides in elements.
  struct Product {
    std::int64_t m = 0, n = 0, k = 0;
    std::int64_t x_stride = 0, w_stride = 0, out_stride = 0;
    bool fp8 = false;
    bool out_bf16 = false;
    bool accumulate = false;
    auto operator<=>(const Product&) const = default;
  };
  struct Operands {
    const void *x = nullptr, *w = nullptr;
    const float *x_scales = nullptr, *w_scales = nullptr;  // [m], [n]; e4m3 only
    void* out = nullptr;
  };
  // Whether the library and the device have a kernel for it (e4m3 wants sm_90 and cuBLAS 12.9 here).
  bool can_multiply(const Product& product);
  void multiply(const Product& product, const Operands& operands, void* workspace, void* stream);
  static constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;

  // While scratch is not null: the first multiply() of a product whose result has room there tries the
  // library's kernels, on a stream of its own, with the operands it is given but for `out`. Nothing else may
  // use scratch and workspace meanwhile; a relaxed capture on this thread may be under way.
  void measure(void* scratch, std::size_t scratch_bytes);

  const std::string& path() const { return path_; }

 private:
  struct Functions;
  struct Plan;
  LibraryGemm();
  Plan& plan_for(const Product& product);
  int run(const Plan& plan, int candidate, const Product& product, const Operands& operands, void* workspace,
          void* stream);
  void choose(Plan& plan, const Product& product, const Operands& operands, void* workspace);

  std::string path_;
  std::unique_ptr<Functions> functions_;
  void* handle_ = nullptr;
  std::map<Product, std::unique_ptr<Plan>>
      plans_;  // one a shape: the library takes some 50 us to name kernels
  void* scratch_ = nullptr;
  std::size_t scratch_bytes_ = 0;
};

}  // namespace pagoda::kernels::cuda
