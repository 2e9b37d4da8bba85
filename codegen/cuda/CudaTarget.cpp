// See CudaTarget.h.
#include "codegen/cuda/CudaTarget.h"

#include "codegen/cuda/CudaCodegen.h"
#include "codegen/cuda/Nvrtc.h"
#include "runtime/abi/Variants.h"
#include "runtime/device/cuda/Driver.h"
#include "runtime/device/cuda/Gpu.h"

#include "llvm/ADT/STLExtras.h"

#include <absl/strings/str_cat.h>

namespace quern::cuda {

// PTX and cubin, for one token and for many, and its share of a kernel of a whole bucket: 167 KiB
// on SmolLM2.
static constexpr uint64_t kBytesAKernel = 167 << 10;

static std::vector<std::string> spellings_of(std::string_view variant) {
  std::vector<std::string> spellings;
  for (const VariantSpelling &known : kVariantSpellings)
    if (known.name == variant)
      spellings.emplace_back(known.spelling);
  return spellings;
}

std::span<const codegen::VariantInfo> CudaTarget::variants() const {
  static const std::vector<codegen::VariantInfo> all = {
      {"sm_80", {"sm_80"}, spellings_of("sm_80"), kBytesAKernel},
      {"sm_90a", {"sm_90a"}, spellings_of("sm_90a"), kBytesAKernel}};
  return all;
}

absl::StatusOr<std::string> CudaTarget::native() const {
  constexpr const char *kHint =
      "\nhint: name the variant of the machine that will run it: sm_80 (a100) runs on every GPU "
      "since the A100, sm_90a (h100) on an H100 or H200; `quern-run devices` lists what a machine "
      "has";
  const auto driver = device::cuda::Driver::load(device::cuda::Library::driver);
  const auto gpus = driver.ok() ? device::cuda::list_gpus(**driver) : driver.status();
  if (!gpus.ok()) {
    const std::string why(gpus.status().message());
    return absl::FailedPreconditionError(absl::StrCat(why.substr(0, why.find('\n')), kHint));
  }
  for (const codegen::VariantInfo &variant : llvm::reverse(variants()))
    for (const device::cuda::GpuInfo &gpu : gpus->answering)
      if (device::cuda::why_not(variant.name, gpu).empty())
        return variant.name;
  std::string silent;
  for (const device::cuda::SilentGpu &gpu : gpus->silent)
    absl::StrAppend(&silent, "; CUDA device ", gpu.index, " does not answer: ", gpu.why);
  return absl::FailedPreconditionError(absl::StrCat(
      "this machine has no GPU that runs any variant of the target cuda", silent, kHint));
}

absl::Status CudaTarget::available() const { return cuda::available(); }

absl::Status CudaTarget::check(mlir::ModuleOp planned) const { return cuda::check(planned); }

absl::StatusOr<std::vector<std::string>>
CudaTarget::generate(mlir::ModuleOp planned, std::span<const std::string> variants,
                     const codegen::GenerateOptions &options) const {
  return cuda::generate(planned, variants, options);
}

} // namespace quern::cuda
