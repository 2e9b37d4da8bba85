#include "compiler/driver/Targets.h"

#include "runtime/cli/Report.h"
#include "runtime/device/cpu/Features.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace quern::driver {
namespace {

std::vector<std::string> names_in(const std::string &list) { return absl::StrSplit(list, ','); }

std::string variant_names() {
  std::string names;
  for (const cpu::Variant &variant : cpu::variants())
    absl::StrAppend(&names, names.empty() ? "" : ", ", variant.name);
  return names;
}

// The most demanding variant that this machine runs.
absl::StatusOr<const cpu::Variant *> native_variant() {
  const auto &all = cpu::variants();
  for (auto variant = all.rbegin(); variant != all.rend(); ++variant) {
    const std::vector<std::string_view> features(variant->required.begin(),
                                                 variant->required.end());
    if (device::missing_features(features).empty())
      return &*variant;
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "this machine runs none of the variants ", variant_names(),
      "\nhint: name the variant of the machine that will run it: --variant x86-64-v3"));
}

// Names that are right, of variants that no target of this build makes.
bool is_planned_variant(std::string_view name) {
  constexpr std::array<std::string_view, 4> kKnown = {"sm_80", "sm_90a", "a100", "h100"};
  return std::ranges::find(kKnown, name) != kKnown.end();
}

absl::Status not_built(const std::string &what) {
  return absl::FailedPreconditionError(absl::StrCat(
      what, ": this build does not make it\nhint: it compiles for cpu: ", variant_names()));
}

} // namespace

std::vector<cli::Flag> TargetFlags::flags() {
  return {{"--target", "LIST", "cpu (default: cpu)", &target},
          {"--variant", "LIST", "x86-64-v3, x86-64-v4, amx, native (default: all)", &variant}};
}

absl::Status TargetFlags::check() const {
  for (const std::string &name : names_in(target)) {
    if (name == "cpu" || name == "cuda")
      continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--target ", name, ": no such target\nhint: --target cpu"));
  }
  if (variant.empty())
    return absl::OkStatus();
  for (const std::string &name : names_in(variant)) {
    if (name == "native" || cpu::findVariant(name) || is_planned_variant(name))
      continue;
    std::vector<std::string_view> names = {"native"};
    for (const cpu::Variant &known : cpu::variants())
      names.push_back(known.name);
    const std::string near(cli::nearest(name, names));
    return absl::InvalidArgumentError(
        absl::StrCat("--variant ", name, ": no such variant\nhint: ",
                     near.empty() ? absl::StrCat("there are native, ", variant_names())
                                  : absl::StrCat("did you mean ", near, "?")));
  }
  return absl::OkStatus();
}

std::vector<absl::Status> TargetFlags::refused() const {
  std::vector<absl::Status> refused;
  for (const std::string &name : names_in(target))
    if (name == "cuda")
      refused.push_back(not_built("--target cuda"));
  if (variant.empty())
    return refused;
  for (const std::string &name : names_in(variant))
    if (is_planned_variant(name))
      refused.push_back(not_built(absl::StrCat("--variant ", name)));
    else if (const auto native = native_variant(); name == "native" && !native.ok())
      refused.push_back(native.status());
  return refused;
}

absl::StatusOr<std::vector<const cpu::Variant *>> TargetFlags::variants() const {
  if (const std::vector<absl::Status> wrong = refused(); !wrong.empty())
    return wrong.front();
  std::vector<const cpu::Variant *> chosen;
  for (const cpu::Variant &known : cpu::variants())
    if (variant.empty())
      chosen.push_back(&known);
  if (!chosen.empty())
    return chosen;
  for (const std::string &name : names_in(variant))
    chosen.push_back(name == "native" ? *native_variant() : cpu::findVariant(name));
  std::sort(chosen.begin(), chosen.end()); // they lie in one vector
  chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
  return chosen;
}

} // namespace quern::driver
