#include "kernels/cuda/library_gemm.h"

#include <dlfcn.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "kernels/cuda/limits.cuh"

namespace pagoda::kernels::cuda {
namespace {

// The few names of cublasLt.h that are used here, with its values (CUDA 12 and 13 agree on them).
constexpr int kCompute32F = 68;
constexpr int kR32F = 0, kR16BF = 14, kR8FE4M3 = 28;
constexpr int kDescTransA = 3, kDescAScalePointer = 17, kDescBScalePointer = 18, kDescFastAccum = 25,
              kDescAScaleMode = 31, kDescBScaleMode = 32;
constexpr int kScaleOfEachRow = 3;  // CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F
constexpr int kOpT = 1;
constexpr int kPreferenceMaxWorkspaceBytes = 1;
constexpr int kCandidates = 16;  // kernels that are tried for a shape

struct Algorithm {
  std::uint64_t data[8];
};
struct Heuristic {
  Algorithm algorithm;
  std::size_t workspace_bytes;
  int state;
  float waves;
  int reserved[4];
};

void expect(int status, const char* what) {
  if (status == 0) return;
  std::fprintf(stderr, "pagoda: the GPU failed: cuBLASLt status %d in %s\n", status, what);
  std::fflush(stderr);
  std::_Exit(70);
}

}  // namespace

struct LibraryGemm::Functions {
  void* library = nullptr;
  int (*create)(void**) = nullptr;
  int (*destroy)(void*) = nullptr;
  int (*desc_create)(void**, int, int) = nullptr;
  int (*desc_set)(void*, int, const void*, std::size_t) = nullptr;
  int (*layout_create)(void**, int, std::uint64_t, std::uint64_t, std::int64_t) = nullptr;
  int (*preference_create)(void**) = nullptr;
  int (*preference_set)(void*, int, const void*, std::size_t) = nullptr;
  int (*heuristic)(void*, void*, void*, void*, void*, void*, void*, int, Heuristic*, int*) = nullptr;
  int (*matmul)(void*, void*, const void*, const void*, void*, const void*, void*, const void*, const void*,
                void*, void*, void*, const Algorithm*, void*, std::size_t, void*) = nullptr;

  bool find_all() {
    const auto find = [this](const char* name, auto& function) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(library, name));
      return function != nullptr;
    };
    return find("cublasLtCreate", create) && find("cublasLtDestroy", destroy) &&
           find("cublasLtMatmulDescCreate", desc_create) &&
           find("cublasLtMatmulDescSetAttribute", desc_set) &&
           find("cublasLtMatrixLayoutCreate", layout_create) &&
           find("cublasLtMatmulPreferenceCreate", preference_create) &&
           find("cublasLtMatmulPreferenceSetAttribute", preference_set) &&
           find("cublasLtMatmulAlgoGetHeuristic", heuristic) && find("cublasLtMatmul", matmul);
  }
};

// Descriptors live as long as the process: there are a few hundred at most.
struct LibraryGemm::Plan {
  void *desc = nullptr, *w = nullptr, *x = nullptr, *out = nullptr;
  std::array<Heuristic, kCandidates> candidates{};
  int found = 0;
  int chosen = 0;
  bool measured = false;
};

LibraryGemm::LibraryGemm() : functions_(std::make_unique<Functions>()) {}

LibraryGemm::~LibraryGemm() {
  if (handle_ != nullptr) functions_->destroy(handle_);
}

std::unique_ptr<LibraryGemm> LibraryGemm::load(std::string* why_not) {
  std::vector<std::string> places;
  if (const char* chosen = std::getenv("PAGODA_CUBLASLT")) places.emplace_back(chosen);
  std::error_code ignored;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", ignored);
  for (const char* name : {"libcublasLt.so.13", "libcublasLt.so.12"}) {
    if (program.has_parent_path()) places.push_back(program.parent_path() / name);
    places.emplace_back(name);
    places.emplace_back(std::string("/usr/local/cuda/lib64/") + name);
  }
  std::unique_ptr<LibraryGemm> gemm(new LibraryGemm);
  for (const std::string& place : places) {
    gemm->functions_->library = ::dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (gemm->functions_->library == nullptr) continue;
    if (!gemm->functions_->find_all() || gemm->functions_->create(&gemm->handle_) != 0) {
      *why_not = place + " is not a cuBLASLt that this program can use";
      return nullptr;
    }
    gemm->path_ = place;
    return gemm;
  }
  *why_not = "libcublasLt.so.13 or .12 was not found (PAGODA_CUBLASLT names it)";
  return nullptr;
}

// Row-major [a, b] is column-major [b, a]: W^T is then the transposed left operand, x the right one.
LibraryGemm::Plan& LibraryGemm::plan_for(const Product& p) {
  std::unique_ptr<Plan>& plan = plans_[p];
  if (plan != nullptr) return *plan;
  plan = std::make_unique<Plan>();
  const Functions& f = *functions_;
  const int in_type = p.fp8 ? kR8FE4M3 : kR16BF, out_type = p.out_bf16 ? kR16BF : kR32F;
  expect(f.desc_create(&plan->desc, kCompute32F, kR32F), "MatmulDescCreate");
  expect(f.desc_set(plan->desc, kDescTransA, &kOpT, sizeof(kOpT)), "MatmulDescSetAttribute");
  if (p.fp8) {
    // Older libraries do not know scales of rows: there is no plan then.
    const std::int8_t fast = 1;
    const float* placeholder =
        reinterpret_cast<const float*>(this);  // null would tell that there are no scales
    for (const int mode : {kDescAScaleMode, kDescBScaleMode})
      if (f.desc_set(plan->desc, mode, &kScaleOfEachRow, sizeof(kScaleOfEachRow)) != 0) return *plan;
    for (const int pointer : {kDescAScalePointer, kDescBScalePointer})
      expect(f.desc_set(plan->desc, pointer, &placeholder, sizeof(placeholder)), "MatmulDescSetAttribute");
    expect(f.desc_set(plan->desc, kDescFastAccum, &fast, sizeof(fast)), "MatmulDescSetAttribute");
  }
  expect(f.layout_create(&plan->w, in_type, p.k, p.n, p.w_stride), "MatrixLayoutCreate");
  expect(f.layout_create(&plan->x, in_type, p.k, p.m, p.x_stride), "MatrixLayoutCreate");
  expect(f.layout_create(&plan->out, out_type, p.n, p.m, p.out_stride), "MatrixLayoutCreate");
  void* preference = nullptr;
  expect(f.preference_create(&preference), "MatmulPreferenceCreate");
  expect(
      f.preference_set(preference, kPreferenceMaxWorkspaceBytes, &kWorkspaceBytes, sizeof(kWorkspaceBytes)),
      "MatmulPreferenceSetAttribute");
  int count = 0;
  const int status = f.heuristic(handle_, plan->desc, plan->w, plan->x, plan->out, plan->out, preference,
                                 kCandidates, plan->candidates.data(), &count);
  plan->found = status == 0 ? count : 0;
  return *plan;
}

bool LibraryGemm::can_multiply(const Product& product) { return plan_for(product).found > 0; }

void LibraryGemm::measure(void* scratch, std::size_t scratch_bytes) {
  scratch_ = scratch;
  scratch_bytes_ = scratch_bytes;
}

// Between two runs the scratch memory is cleared: it is larger than most caches, as all weights of a model
// are.
void LibraryGemm::choose(Plan& plan, const Product& product, const Operands& operands, void* workspace) {
  const std::size_t out_bytes =
      static_cast<std::size_t>(product.m * product.out_stride) * (product.out_bf16 ? 2 : 4);
  if (scratch_ == nullptr || plan.measured || out_bytes > scratch_bytes_) return;
  plan.measured = true;
  constexpr int kRounds = 4;
  constexpr double kWorthwhile = 0.99;  // of the time of the library's own choice: runs differ by as much
  cudaStream_t stream = nullptr;
  CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  Operands trial = operands;
  trial.out = scratch_;
  double best = 0;
  for (int i = 0; i < plan.found; ++i) {
    bool works = plan.candidates[i].state == 0;
    const double seconds = !works ? 0 : time_best(stream, kRounds, [&] {
      CUDA_CHECK(cudaMemsetAsync(scratch_, 0, scratch_bytes_, stream));
      works = works && run(plan, i, product, trial, workspace, stream) == 0;
    });
    if (!works || (best > 0 && seconds > kWorthwhile * best)) continue;
    best = seconds;
    plan.chosen = i;
  }
  CUDA_CHECK(cudaStreamDestroy(stream));
}

void LibraryGemm::multiply(const Product& product, const Operands& operands, void* workspace, void* stream) {
  Plan& plan = plan_for(product);
  expect(plan.found > 0 ? 0 : 15, "MatmulAlgoGetHeuristic (no algorithm)");
  choose(plan, product, operands, workspace);
  expect(run(plan, plan.chosen, product, operands, workspace, stream), "Matmul");
}

int LibraryGemm::run(const Plan& plan, int candidate, const Product& product, const Operands& operands,
                     void* workspace, void* stream) {
  if (product.fp8) {
    expect(functions_->desc_set(plan.desc, kDescAScalePointer, &operands.w_scales, sizeof(float*)),
           "MatmulDescSetAttribute");
    expect(functions_->desc_set(plan.desc, kDescBScalePointer, &operands.x_scales, sizeof(float*)),
           "MatmulDescSetAttribute");
  }
  const float one = 1, beta = product.accumulate ? 1 : 0;
  return functions_->matmul(handle_, plan.desc, &one, operands.w, plan.w, operands.x, plan.x, &beta,
                            operands.out, plan.out, operands.out, plan.out,
                            &plan.candidates[candidate].algorithm, workspace, kWorkspaceBytes, stream);
}

}  // namespace pagoda::kernels::cuda
