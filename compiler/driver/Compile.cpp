// quern compile: the flags. Compilation.cpp does the work.
#include "codegen/cpu/CpuCodegen.h"
#include "compiler/driver/Compilation.h"
#include "compiler/driver/Verbs.h"
#include "runtime/cli/Model.h"
#include "runtime/cli/Report.h"
#include "runtime/device/cpu/Cores.h"
#include "runtime/device/cpu/Features.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <array>
#include <cstdlib>

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

// Where code is kept: in QUERN_CACHE, unless that is "off", or else in the user's cache folder.
std::string code_folder() {
  const auto variable = [](const char *name) {
    const char *value = std::getenv(name);
    return std::string(value ? value : "");
  };
  if (const std::string chosen = variable("QUERN_CACHE"); !chosen.empty())
    return chosen == "off" ? "" : chosen + "/code";
  if (const std::string caches = variable("XDG_CACHE_HOME"); caches.starts_with('/'))
    return caches + "/quern/code";
  if (const std::string home = variable("HOME"); !home.empty())
    return home + "/.cache/quern/code";
  return "";
}

struct TargetFlags {
  std::string target = "cpu";
  std::string variant;

  // Wrong usage: a name that is none.
  absl::Status check() const {
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

  // In the order of cpu::variants(), each once.
  absl::StatusOr<std::vector<const cpu::Variant *>> variants() const {
    for (const std::string &name : names_in(target))
      if (name == "cuda")
        return not_built("--target cuda");
    std::vector<const cpu::Variant *> chosen;
    for (const cpu::Variant &known : cpu::variants())
      if (variant.empty())
        chosen.push_back(&known);
    if (!chosen.empty())
      return chosen;
    for (const std::string &name : names_in(variant)) {
      if (is_planned_variant(name))
        return not_built(absl::StrCat("--variant ", name));
      if (name != "native") {
        chosen.push_back(cpu::findVariant(name));
        continue;
      }
      const auto native = native_variant();
      if (!native.ok())
        return native.status();
      chosen.push_back(*native);
    }
    std::sort(chosen.begin(), chosen.end()); // they lie in one vector
    chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
    return chosen;
  }
};

} // namespace

int compile(Args args) {
  CompileOptions options;
  TargetFlags targets;
  std::string to;
  bool no_cache = false;
  std::vector<std::string> models;
  const cli::Command command{
      "quern compile MODEL -o FILE.quern [flags]",
      "Compiles a model (a .gguf file, a folder with config.json and safetensors) to one file that "
      "quern-run runs.",
      std::vector<cli::Flag>{{"-o, --output", "FILE", "the artifact to write", &options.output}} +
          options.model_flags.flags() +
          std::vector<cli::Flag>{
              {"--target", "LIST", "cpu (default: cpu)", &targets.target},
              {"--variant", "LIST", "x86-64-v3, x86-64-v4, amx, native (default: all)",
               &targets.variant},
              {"--quant-report", "FILE", "write each weight's format, bytes and error as JSON",
               &options.quant_report},
              {"--to", "PHASE", "stop there and print the IR (to -o, if given)", &to},
              {"--emit-dir", "DIR", "write IR, LLVM IR and assembly as numbered files",
               &options.emit_dir},
              {"--remarks", "", "say what was fused, and what was not and why", &options.remarks},
              {"--timing", "", "", &options.timing},
              {"--no-cache", "", "make all code again (else it is kept in QUERN_CACHE)", &no_cache},
              {"-j, --jobs", "N", "threads (default: the physical cores)", &options.jobs},
              {"-q, --quiet", "", "", &options.quiet}},
      "quern compile models/smollm2-135m-instruct-q4_1.gguf -o smollm2.quern", &models};
  if (auto code = cli::parse(command, args))
    return *code;
  if (models.size() != 1)
    return cli::wrong_usage(models.empty() ? "no model is given" : "more than one model is given",
                            "quern compile MODEL -o FILE.quern");
  options.model = models[0];
  options.cache = no_cache ? "" : code_folder();
  if (!to.empty()) {
    options.to = parsePhase(to);
    if (!options.to)
      return cli::wrong_usage(absl::InvalidArgumentError(
          absl::StrCat("--to ", to, ": no such phase\nhint: ",
                       absl::StrJoin(phases(), ", ", [](std::string *out, const PhaseInfo &phase) {
                         out->append(phase.name.str());
                       }))));
  }
  const bool stops_early = options.to && *options.to != Phase::emit;
  if (options.output.empty() && !stops_early)
    return cli::wrong_usage("no output is given", "-o FILE.quern");
  for (const absl::Status &status : {options.model_flags.check(), targets.check()})
    if (!status.ok())
      return cli::wrong_usage(status);
  if (options.jobs < 0 || options.jobs > kMostJobs)
    return cli::wrong_usage(absl::StrCat("-j takes 1 to ", kMostJobs), "-j 2");
  if (options.jobs == 0)
    options.jobs = device::usable_cores();
  auto variants = targets.variants();
  if (!variants.ok())
    return cli::fail(variants.status());
  options.variants = *std::move(variants);
  if (absl::Status status = stops_early ? print_ir(options) : compile_model(options); !status.ok())
    return cli::fail(status);
  return cli::kDone;
}

} // namespace quern::driver
