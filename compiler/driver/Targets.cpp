#include "compiler/driver/Targets.h"

#include "runtime/abi/Variants.h"
#include "runtime/cli/Report.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <string_view>

namespace quern::driver {
namespace {

using codegen::targets;
using codegen::VariantInfo;

constexpr std::string_view kNative = kNativeVariant;

std::vector<std::string> names_in(const std::string &list) {
  return list.empty() ? std::vector<std::string>() : absl::StrSplit(list, ',');
}

bool is_called(const VariantInfo &variant, std::string_view name) {
  return variant.name == name ||
         std::ranges::find(variant.spellings, name) != variant.spellings.end();
}

// The target that has a variant of that name or spelling, or null.
const codegen::Target *target_of(std::string_view variant) {
  for (const codegen::Target *target : targets())
    if (std::ranges::any_of(target->variants(),
                            [&](const VariantInfo &v) { return is_called(v, variant); }))
      return target;
  return nullptr;
}

// All names that --variant takes, spellings after the name they stand for.
std::vector<std::string> variant_names() {
  std::vector<std::string> names;
  for (const codegen::Target *target : targets())
    for (const VariantInfo &variant : target->variants()) {
      names.push_back(variant.name);
      names.insert(names.end(), variant.spellings.begin(), variant.spellings.end());
    }
  names.emplace_back(kNative);
  return names;
}

std::string target_names(const char *separator) {
  return absl::StrJoin(targets(), separator, [](std::string *out, const codegen::Target *target) {
    absl::StrAppend(out, std::string(target->name()));
  });
}

absl::Status wrong(const std::string &what, const std::string &hint) {
  return absl::InvalidArgumentError(absl::StrCat(what, "\nhint: ", hint));
}

std::string near_or(std::string_view name, const std::vector<std::string> &names,
                    const std::string &otherwise) {
  const std::vector<std::string_view> candidates(names.begin(), names.end());
  const std::string near(cli::nearest(name, candidates));
  return near.empty() ? otherwise : absl::StrCat("did you mean ", near, "?");
}

} // namespace

std::vector<std::string> ChosenTarget::variant_names() const {
  std::vector<std::string> names;
  for (const VariantInfo *variant : variants)
    names.push_back(variant->name);
  return names;
}

cli::Flag TargetFlags::target_flag() {
  static const std::string help = absl::StrCat(target_names(", "), " (default: cpu)");
  return {"--target", "LIST", help, &target};
}

std::vector<cli::Flag> TargetFlags::flags() {
  static const std::string help =
      absl::StrCat(absl::StrJoin(variant_names(), ", "), " (default: all)");
  return {target_flag(), {"--variant", "LIST", help, &variant}};
}

std::vector<std::string> TargetFlags::names() const {
  const std::vector<std::string> asked = names_in(target);
  std::vector<std::string> names;
  for (const codegen::Target *known : targets())
    if (std::ranges::find(asked, known->name()) != asked.end())
      names.emplace_back(known->name());
  return names;
}

absl::Status TargetFlags::check() const {
  const std::vector<std::string> asked = names_in(target);
  if (asked.empty())
    return wrong("--target: none is named", "--target cpu");
  for (const std::string &name : asked)
    if (!codegen::find_target(name)) {
      const std::string all = absl::StrCat("--target ", target_names(" or --target "));
      return wrong(absl::StrCat("--target ", name, ": no such target"),
                   name == "gpu" ? "did you mean cuda?"
                                 : near_or(name, absl::StrSplit(target_names(","), ','), all));
    }
  for (const std::string &name : names_in(variant)) {
    if (name == kNative)
      continue;
    const codegen::Target *of = target_of(name);
    if (!of)
      return wrong(absl::StrCat("--variant ", name, ": no such variant"),
                   near_or(name, variant_names(),
                           absl::StrCat("there are ", absl::StrJoin(variant_names(), ", "))));
    if (std::ranges::find(asked, of->name()) == asked.end())
      return wrong(absl::StrCat("--variant ", name, ": is one of the target ",
                                std::string(of->name()), ", which --target does not name"),
                   absl::StrCat("--target ", target, ",", std::string(of->name())));
  }
  return absl::OkStatus();
}

std::string TargetFlags::others_by_name(std::string_view without) const {
  std::vector<std::string> others, all;
  for (const std::string &name : names()) {
    const codegen::Target &target = *codegen::find_target(name);
    if (name != without) {
      const auto native = target.native();
      if (!native.ok())
        return "";
      others.push_back(*native);
      continue;
    }
    for (const VariantInfo &variant : target.variants())
      all.push_back(variant.name);
  }
  if (others.empty())
    return "";
  return absl::StrCat("; --variant ", absl::StrJoin(others, ","), ",", absl::StrJoin(all, ","),
                      " is native of the others and all of ", std::string(without));
}

std::vector<absl::Status> TargetFlags::refused() const {
  std::vector<absl::Status> refused;
  for (const std::string &name : names()) {
    const codegen::Target &asked = *codegen::find_target(name);
    if (const absl::Status status = asked.available(); !status.ok())
      refused.push_back(
          absl::Status(status.code(), absl::StrCat("--target ", name, ": ", status.message())));
    for (const std::string &wanted : names_in(variant))
      if (const auto native = asked.native(); wanted == kNative && !native.ok())
        refused.push_back(absl::Status(
            native.status().code(),
            absl::StrCat("--variant native: ", native.status().message(), others_by_name(name))));
  }
  return refused;
}

absl::StatusOr<std::vector<ChosenTarget>> TargetFlags::chosen() const {
  const std::vector<std::string> wanted = names_in(variant);
  std::vector<ChosenTarget> chosen;
  for (const std::string &name : names()) {
    ChosenTarget &choice = chosen.emplace_back(ChosenTarget{codegen::find_target(name), {}});
    std::string native;
    if (std::ranges::find(wanted, kNative) != wanted.end()) {
      auto found = choice.target->native();
      if (!found.ok())
        return found.status();
      native = *std::move(found);
    }
    for (const VariantInfo &known : choice.target->variants())
      if (known.name == native ||
          std::ranges::any_of(wanted, [&](const std::string &w) { return is_called(known, w); }))
        choice.variants.push_back(&known);
    // Where none of its own is named, all of them.
    if (choice.variants.empty())
      for (const VariantInfo &known : choice.target->variants())
        choice.variants.push_back(&known);
  }
  return chosen;
}

} // namespace quern::driver
