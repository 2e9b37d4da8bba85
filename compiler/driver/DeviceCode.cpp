#include "compiler/driver/DeviceCode.h"

#include "runtime/artifact/cuda_code_generated.h"
#include "runtime/session/Memory.h"

#include <absl/strings/str_cat.h>

#include <string_view>

namespace quern::driver {
namespace {

using artifact::items;
using artifact::text;

constexpr std::string_view kTarget = "cuda";

const artifact::Bucket *bucket_of(const artifact::Manifest &manifest, std::string_view symbol) {
  for (const artifact::Entry *entry : items(manifest.entries()))
    for (const artifact::Bucket *bucket : items(entry->buckets()))
      if (text(bucket->target()) == kTarget && text(bucket->symbol()) == symbol)
        return bucket;
  return nullptr;
}

// Notes which kernel a launch's function is of.
void note(const artifact::CudaLaunch &launch, const artifact::Bucket &bucket,
          std::span<DeviceFunction> functions) {
  const auto dispatches = items(bucket.dispatches());
  if (launch.function() < functions.size() && launch.dispatch() < dispatches.size())
    functions[launch.function()].kernel = dispatches[launch.dispatch()]->kernel();
}

std::vector<DeviceFunction> functions_of(const artifact::Manifest &manifest,
                                         const std::string &variant,
                                         const artifact::CudaCode &code) {
  std::vector<DeviceFunction> functions;
  const auto modules = items(code.modules());
  for (const artifact::CudaFunction *function : items(code.functions())) {
    DeviceFunction &made = functions.emplace_back();
    made.variant = variant;
    made.name = std::string(text(function->name()));
    made.registers = function->registers();
    made.shared = function->shared();
    made.local = function->local();
    made.persistent = function->persistent();
    if (function->module_() < modules.size()) {
      made.ptx = text(modules[function->module_()]->ptx()).size();
      made.cubin = items(modules[function->module_()]->cubin()).size();
    }
  }
  for (const artifact::CudaBucket *described : items(code.buckets()))
    if (const artifact::Bucket *bucket = bucket_of(manifest, text(described->symbol())))
      for (const artifact::CudaLaunch *launch : items(described->launches()))
        note(*launch, *bucket, functions);
  return functions;
}

} // namespace

std::vector<DeviceFunction> device_functions(const artifact::Artifact &artifact) {
  std::vector<DeviceFunction> all;
  for (const artifact::Variant *variant : items(artifact.manifest().variants())) {
    if (text(variant->target()) != kTarget)
      continue;
    // Opening the artifact has verified the section as a FlatBuffer.
    const auto bytes = artifact.code(text(variant->name()));
    const std::vector<DeviceFunction> functions =
        functions_of(artifact.manifest(), std::string(text(variant->name())),
                     *artifact::GetCudaCode(bytes.data()));
    all.insert(all.end(), functions.begin(), functions.end());
  }
  return all;
}

std::string describe(const DeviceFunction &function) {
  return absl::StrCat(
      function.registers, " registers, ", function.shared, " bytes of shared memory, ",
      function.local == 0 ? "no spills" : absl::StrCat(function.local, " bytes of spills"),
      "; its module's PTX ", session::human_bytes(function.ptx), ", cubin ",
      session::human_bytes(function.cubin));
}

} // namespace quern::driver
