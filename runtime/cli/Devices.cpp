// quern-run devices: what this machine offers, which variant would be chosen, and why not the
// others.
#include "runtime/abi/Variants.h"
#include "runtime/cli/Model.h"
#include "runtime/cli/Report.h"
#include "runtime/cli/Verbs.h"
#include "runtime/device/cpu/Cores.h"
#include "runtime/device/cpu/Features.h"
#include "runtime/device/cuda/CodeSection.h"
#include "runtime/device/cuda/Gpu.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <functional>

namespace quern::cli {
namespace {

using device::VariantStatus;

// Those of one target: an artifact's, or what the compiler makes code for. Best first.
struct CudaVariant {
  std::string name;
  uint32_t shared = 0; ///< bytes of shared memory of a block that its code takes, where it is known
};
struct Variants {
  std::vector<VariantStatus> cpu;
  std::vector<CudaVariant> cuda;
};

// The first that is usable; "" if none is.
std::string chosen_of(const std::vector<VariantStatus> &variants) {
  const auto found = std::ranges::find(variants, true, &VariantStatus::usable);
  return found == variants.end() ? "" : found->name;
}

Variants known_to_runtime() {
  Variants variants;
  for (const CpuVariant &known : kCpuVariants) {
    const std::string missing = device::missing_features(known.features);
    variants.cpu.push_back(
        {std::string(known.name), missing.empty(),
         missing.empty() ? "" : absl::StrCat("needs ", missing, ", which this CPU does not have")});
  }
  for (const auto &known : kCudaVariants)
    variants.cuda.push_back({std::string(known)});
  return variants;
}

absl::StatusOr<Variants> held_by(const std::string &path) {
  auto artifact = artifact::Artifact::open(path);
  if (!artifact.ok())
    return artifact.status();
  auto cpu = device::open_device("cpu", {.threads = 1});
  if (!cpu.ok())
    return cpu.status();
  Variants variants;
  variants.cpu = (*cpu)->variants(**artifact);
  for (const artifact::Variant *variant : artifact::items((*artifact)->manifest().variants()))
    if (artifact::text(variant->target()) == "cuda")
      variants.cuda.push_back({std::string(artifact::text(variant->name()))});
  for (CudaVariant &variant : variants.cuda)
    variant.shared = device::cuda::largest_shared((*artifact)->code(variant.name));
  std::ranges::sort(variants.cuda, std::greater(), &CudaVariant::name);
  return variants;
}

// A GPU, or what a driver that is none shows as one.
struct Gpu {
  std::string device; ///< as --device takes it
  device::cuda::GpuInfo info;
  std::vector<VariantStatus> variants;
};

struct Found {
  std::vector<Gpu> gpus;
  std::vector<device::cuda::SilentGpu> silent; ///< of the driver's
  std::string none;                            ///< why the driver shows none
};

// Those of the driver and, where it is there, of the interpreter of PTX.
Found find_gpus(const std::vector<CudaVariant> &variants) {
  using device::cuda::Driver;
  using device::cuda::Library;
  Found all;
  for (const Library library : {Library::driver, Library::interpreter}) {
    const auto driver = Driver::load(library);
    const auto found = driver.ok() ? device::cuda::list_gpus(**driver) : driver.status();
    if (library == Library::driver && !found.ok()) {
      const std::string message(found.status().message());
      all.none = message.substr(0, message.find('\n'));
    } else if (library == Library::driver && found->answering.empty()) {
      all.none = found->silent.empty() ? "there is no CUDA device" : "no CUDA device answers";
    }
    if (!found.ok())
      continue;
    if (library == Library::driver)
      all.silent = found->silent;
    for (const device::cuda::GpuInfo &info : found->answering) {
      Gpu &gpu = all.gpus.emplace_back();
      gpu.device = library == Library::interpreter ? "ptx" : absl::StrCat("cuda:", info.index);
      gpu.info = info;
      for (const CudaVariant &variant : variants) {
        const std::string why = device::cuda::why_not(variant.name, info, variant.shared);
        gpu.variants.push_back({variant.name, why.empty(), why});
      }
    }
  }
  return all;
}

// Whether a variant runs on any GPU of the machine.
VariantStatus on_any(const std::string &variant, const std::vector<Gpu> &gpus,
                     const std::string &none) {
  VariantStatus status{variant, false, none};
  for (const Gpu &gpu : gpus)
    for (const VariantStatus &here : gpu.variants)
      if (gpu.device != "ptx" && here.name == variant && !status.usable)
        status = here;
  return status;
}

nlohmann::ordered_json to_json(const std::vector<VariantStatus> &variants) {
  auto list = nlohmann::ordered_json::array();
  for (const VariantStatus &variant : variants)
    list.push_back({{"name", variant.name}, {"usable", variant.usable}, {"why", variant.why}});
  return list;
}

void print_variants(const std::vector<VariantStatus> &variants) {
  const std::string chosen = chosen_of(variants);
  for (const VariantStatus &variant : variants)
    std::printf("%-9s %s\n", variant.name.c_str(),
                variant.name == chosen ? "usable, chosen"
                : variant.usable       ? "usable"
                                       : absl::StrCat("not usable: ", variant.why).c_str());
}

} // namespace

int devices(Args args) {
  std::string model;
  bool json = false;
  const Command command{
      "quern-run devices [-m FILE]",
      "What this machine offers, which variant would be chosen, and why not the others.",
      {{"-m, --model", "FILE", "look at this artifact's variants", &model},
       {"--json", "", "print one JSON object", &json}},
      "quern-run devices"};
  if (auto code = parse(command, args))
    return *code;
  Variants variants;
  if (model.empty()) {
    variants = known_to_runtime();
  } else {
    auto held = held_by(model);
    if (!held.ok())
      return fail(held.status());
    variants = *std::move(held);
  }
  std::vector<std::string> features;
  for (const device::Feature &feature : device::cpu_features())
    if (feature.present)
      features.emplace_back(feature.name);
  const auto [gpus, silent, none] = find_gpus(variants.cuda);

  if (json) {
    std::vector<VariantStatus> all = variants.cpu;
    for (const CudaVariant &variant : variants.cuda)
      all.push_back(on_any(variant.name, gpus, none));
    auto list = nlohmann::ordered_json::array();
    for (const Gpu &gpu : gpus)
      list.push_back({{"device", gpu.device},
                      {"name", gpu.info.name},
                      {"compute_capability", gpu.info.capability()},
                      {"memory", gpu.info.memory},
                      {"multiprocessors", gpu.info.multiprocessors},
                      {"variants", to_json(gpu.variants)},
                      {"chosen", chosen_of(gpu.variants)}});
    auto without_answer = nlohmann::ordered_json::array();
    for (const device::cuda::SilentGpu &gpu : silent)
      without_answer.push_back({{"device", absl::StrCat("cuda:", gpu.index)}, {"why", gpu.why}});
    print_json({{"cpu",
                 {{"model", device::cpu_model()},
                  {"cores", device::usable_cores()},
                  {"cpus", device::usable_cpus()},
                  {"features", features}}},
                {"gpus", list},
                {"silent_gpus", without_answer},
                {"variants", to_json(all)},
                {"chosen", chosen_of(variants.cpu)}});
    return kDone;
  }
  std::printf("cpu       %s\ncores     %d (%d logical CPUs)\nfeatures  %s\n",
              device::cpu_model().c_str(), device::usable_cores(), device::usable_cpus(),
              absl::StrJoin(features, " ").c_str());
  print_variants(variants.cpu);
  // Of an artifact: what has no line of its own would pass for what nobody looked at.
  for (const auto &[target, has_none] :
       {std::pair("cpu", variants.cpu.empty()), std::pair("cuda", variants.cuda.empty())})
    if (has_none)
      std::printf("%-9s %s has no code for it; quern compile --target cpu,cuda makes both\n",
                  target, model.c_str());
  if (!none.empty())
    std::printf("cuda      %s\n", none.c_str());
  for (const device::cuda::SilentGpu &gpu : silent)
    std::printf("%-9s does not answer: %s\n", absl::StrCat("cuda:", gpu.index).c_str(),
                gpu.why.c_str());
  for (const Gpu &gpu : gpus) {
    std::printf("%-9s %s, compute capability %s, %s, %d multiprocessors\n", gpu.device.c_str(),
                gpu.info.name.c_str(), gpu.info.capability().c_str(),
                session::human_bytes(gpu.info.memory).c_str(), gpu.info.multiprocessors);
    print_variants(gpu.variants);
  }
  return kDone;
}

} // namespace quern::cli
