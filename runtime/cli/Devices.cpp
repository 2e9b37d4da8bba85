// quern-run devices: what this machine offers, which variant would be chosen, and why not the
// others.
#include "runtime/abi/Variants.h"
#include "runtime/cli/Model.h"
#include "runtime/cli/Report.h"
#include "runtime/cli/Verbs.h"
#include "runtime/device/cpu/Cores.h"
#include "runtime/device/cpu/Features.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <nlohmann/json.hpp>

#include <cstdio>

namespace quern::cli {
namespace {

// Without an artifact: the ISA levels that the compiler makes code for.
std::vector<device::VariantStatus> known_to_runtime() {
  std::vector<device::VariantStatus> variants;
  for (const CpuVariant &known : kCpuVariants) {
    const std::string missing = device::missing_features(known.features);
    variants.push_back(
        {std::string(known.name), missing.empty(),
         missing.empty() ? "" : absl::StrCat("needs ", missing, ", which this CPU does not have")});
  }
  return variants;
}

// An artifact's variants for the CPU as the device ranks them, then those for other devices.
absl::StatusOr<std::vector<device::VariantStatus>> held_by(const std::string &path) {
  auto artifact = artifact::Artifact::open(path);
  if (!artifact.ok())
    return artifact.status();
  auto cpu = device::open_device("cpu", {.threads = 1});
  if (!cpu.ok())
    return cpu.status();
  std::vector<device::VariantStatus> variants = (*cpu)->variants(**artifact);
  const size_t for_cpu = variants.size();
  for (const artifact::Variant *variant : artifact::items((*artifact)->manifest().variants())) {
    const std::string name(artifact::text(variant->name()));
    bool listed = false;
    for (size_t i = 0; i < for_cpu; ++i)
      listed |= variants[i].name == name;
    if (!listed)
      variants.push_back({name, false, "needs a device that this build has no driver for"});
  }
  return variants;
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
  std::vector<device::VariantStatus> variants;
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
  std::string chosen;
  for (const device::VariantStatus &variant : variants)
    if (variant.usable && chosen.empty())
      chosen = variant.name;

  if (json) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const device::VariantStatus &variant : variants)
      list.push_back({{"name", variant.name}, {"usable", variant.usable}, {"why", variant.why}});
    print_json({{"cpu",
                 {{"model", device::cpu_model()},
                  {"cores", device::usable_cores()},
                  {"cpus", device::usable_cpus()},
                  {"features", features}}},
                {"variants", list},
                {"chosen", chosen}});
    return kDone;
  }
  std::printf("cpu       %s\ncores     %d (%d logical CPUs)\nfeatures  %s\n",
              device::cpu_model().c_str(), device::usable_cores(), device::usable_cpus(),
              absl::StrJoin(features, " ").c_str());
  for (const device::VariantStatus &variant : variants)
    std::printf("%-9s %s\n", variant.name.c_str(),
                variant.name == chosen ? "usable, chosen"
                : variant.usable       ? "usable"
                                       : absl::StrCat("not usable: ", variant.why).c_str());
  return kDone;
}

} // namespace quern::cli
