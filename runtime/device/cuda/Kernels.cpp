#include "runtime/device/cuda/Kernels.h"

#include "runtime/abi/CudaStep.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include <array>
#include <string_view>

namespace quern::device::cuda {
namespace {

// "8.0" of a text with a line ".version 8.0".
std::string ptx_version(std::string_view ptx) {
  constexpr std::string_view kDirective = ".version";
  const size_t at = ptx.find(kDirective);
  if (at == std::string_view::npos)
    return "of no version";
  const std::string_view rest = ptx.substr(at + kDirective.size(), 16);
  const size_t begin = std::min(rest.find_first_not_of(" \t"), rest.size());
  return std::string(rest.substr(begin, rest.find_first_of(" \t\r\n", begin) - begin));
}

/// The CUDA that came with a version of PTX: 11.4 with 7.4, 12.0 with 8.0, 12.7 with 8.6.
std::string cuda_of(std::string_view ptx) {
  int major = 0, minor = 0;
  const size_t dot = ptx.find('.');
  if (dot == std::string_view::npos ||
      !absl::SimpleAtoi(absl::string_view(ptx.data(), dot), &major) ||
      !absl::SimpleAtoi(absl::string_view(ptx.data() + dot + 1, ptx.size() - dot - 1), &minor))
    return "a later one";
  return absl::StrCat(major + 4, ".", major == 8 && minor >= 6 ? minor + 1 : minor);
}

/// Whether a cubin that is refused so may be made up for by its PTX: it is for other GPUs, or of a
/// toolkit that the driver is too old for, which drivers say in several ways.
bool is_another(Result result) {
  return result == kNoBinaryForGpu || result == kInvalidImage || result == kUnsupportedPtxVersion;
}

absl::StatusOr<OwnedModule> load_image(const std::shared_ptr<const Gpu> &gpu, const void *image,
                                       Result &result, std::string &log) {
  std::array<char, 8192> buffer{};
  std::array<JitOption, 2> options = {kErrorLog, kErrorLogBytes};
  std::array<void *, 2> values = {buffer.data(), reinterpret_cast<void *>(buffer.size() - 1)};
  Module module = nullptr;
  result = gpu->driver().module_load(&module, image, options.size(), options.data(), values.data());
  log = buffer.data();
  if (result != kSuccess)
    return gpu->driver().status(result, "loading a module");
  return OwnedModule(gpu, module, &Driver::module_unload);
}

/// `cubin` is what the driver said of the cubin where that was tried, `result` what it said last.
absl::Status refused(const Gpu &gpu, const CodeModule &module, Result cubin, Result result,
                     const std::string &log) {
  const Driver &driver = gpu.driver();
  if (result == kOutOfMemory)
    return driver.status(result, absl::StrCat("loading module ", module.name));
  const std::string where = absl::StrCat("module ", module.name);
  const std::string supports = version_text(driver.version());
  const std::string refuses_cubin =
      cubin == kSuccess ? "" : absl::StrCat("; its cubin was refused, too: ", driver.text(cubin));
  if (result == kUnsupportedPtxVersion && module.ptx) {
    const std::string version = ptx_version(module.ptx);
    return absl::FailedPreconditionError(
        absl::StrCat(where, ": the NVIDIA driver is too old: it supports CUDA ", supports,
                     ", which does not know PTX ", version, refuses_cubin,
                     "\nhint: update the driver to one of CUDA ", cuda_of(version), " or later"));
  }
  if (is_another(result) && result != kNoBinaryForGpu && !module.ptx)
    return absl::FailedPreconditionError(absl::StrCat(
        where, ": it has no PTX, and the driver, which supports CUDA ", supports,
        ", refuses its cubin: ", driver.text(result),
        "\nhint: update the driver, or compile the model again with this build's quern"));
  if (result == kNoBinaryForGpu && !module.ptx)
    return absl::FailedPreconditionError(
        absl::StrCat(where, ": it has no PTX, and its cubin is not for ", gpu.info().name,
                     " of compute capability ", gpu.info().capability(),
                     "\nhint: compile the model again with this build's quern"));
  if (result == kJitCompilerNotFound)
    return absl::FailedPreconditionError(
        absl::StrCat(where,
                     ": its PTX needs the driver's compiler, libnvidia-ptxjitcompiler.so.1, "
                     "which was not found",
                     refuses_cubin, "\nhint: install the whole driver"));
  return absl::FailedPreconditionError(absl::StrCat(
      where, ": the driver, which supports CUDA ", supports, ", refuses it: ", driver.text(result),
      refuses_cubin, log.empty() ? "" : "\n", std::string(absl::StripTrailingAsciiWhitespace(log)),
      "\nhint: compile the model again with this build's quern"));
}

} // namespace

absl::StatusOr<OwnedModule> load_module(const std::shared_ptr<const Gpu> &gpu,
                                        const CodeModule &module, bool only_ptx) {
  if (absl::Status status = gpu->enter(); !status.ok())
    return status;
  Result result = kNoBinaryForGpu, cubin = kSuccess;
  std::string log;
  if (!module.cubin.empty() && !(only_ptx && module.ptx)) {
    auto loaded = load_image(gpu, module.cubin.data(), result, log);
    if (loaded.ok())
      return loaded;
  }
  // Damage would have been found by the file's checksums: an image that is none to the driver is of
  // a newer toolkit.
  if (is_another(result) && module.ptx) {
    cubin = module.cubin.empty() || only_ptx ? kSuccess : result;
    auto loaded = load_image(gpu, module.ptx, result, log);
    if (loaded.ok())
      return loaded;
  }
  return refused(*gpu, module, cubin, result, log);
}

absl::StatusOr<Kernel> load_kernel(const Gpu &gpu, Module module, const std::string &name,
                                   uint32_t shared, uint32_t threads) {
  const Driver &driver = gpu.driver();
  Kernel kernel{name, nullptr, shared, 0};
  const Result found = driver.module_function(&kernel.function, module, name.c_str());
  if (found == kNotFound)
    return absl::NotFoundError(
        absl::StrCat("the code has no function ", name,
                     "\nhint: compile the model again with this build's quern"));
  if (absl::Status s = gpu.status(found, absl::StrCat("looking for kernel ", name)); !s.ok())
    return s;
  int fixed = 0;
  if (absl::Status s = gpu.status(driver.function_attribute(&fixed, kStaticShared, kernel.function),
                                  absl::StrCat("kernel ", name));
      !s.ok())
    return s;
  if (uint64_t{shared} + static_cast<uint64_t>(fixed) >
      static_cast<uint64_t>(gpu.info().max_shared))
    return absl::FailedPreconditionError(
        absl::StrCat("kernel ", name, " needs ", shared + static_cast<uint32_t>(fixed),
                     " bytes of shared memory, and a block of ", gpu.info().name, " has at most ",
                     gpu.info().max_shared, "\nhint: compile the model for this GPU's variant"));
  if (shared != 0)
    if (absl::Status s = gpu.status(
            driver.function_set(kernel.function, kMaxDynamicShared, static_cast<int>(shared)),
            absl::StrCat("kernel ", name));
        !s.ok())
      return s;
  int blocks = 0;
  if (absl::Status s =
          gpu.status(driver.occupancy(&blocks, kernel.function, static_cast<int>(threads), shared),
                     absl::StrCat("kernel ", name));
      !s.ok())
    return s;
  if (blocks < 1)
    return absl::FailedPreconditionError(
        absl::StrCat("kernel ", name, " does not fit on ", gpu.info().name, ": not one block of ",
                     threads, " threads and ", shared,
                     " bytes of shared memory can run\nhint: compile the model for "
                     "this GPU's variant"));
  kernel.resident = static_cast<uint32_t>(blocks) *
                    static_cast<uint32_t>(std::max(1, gpu.info().multiprocessors));
  return kernel;
}

absl::StatusOr<Kernels> Kernels::load(std::shared_ptr<const Gpu> gpu, const Code &code,
                                      bool only_ptx) {
  Kernels kernels;
  for (const CodeModule &module : code.modules) {
    auto loaded = load_module(gpu, module, only_ptx);
    if (!loaded.ok())
      return loaded.status();
    kernels.modules_.push_back(*std::move(loaded));
  }
  for (const CodeFunction &function : code.functions) {
    auto kernel = load_kernel(*gpu, kernels.modules_[function.module].get(), function.name,
                              function.shared, QUERN_CUDA_THREADS);
    if (!kernel.ok())
      return kernel.status();
    kernels.kernels_.push_back(*std::move(kernel));
  }
  return kernels;
}

} // namespace quern::device::cuda
