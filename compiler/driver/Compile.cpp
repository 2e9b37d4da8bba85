// quern compile: the flags. Compilation.cpp does the work.
#include "compiler/driver/Compilation.h"
#include "compiler/driver/Targets.h"
#include "compiler/driver/Verbs.h"
#include "runtime/cli/Model.h"
#include "runtime/cli/Report.h"
#include "runtime/device/cpu/Cores.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <cstdlib>

namespace quern::driver {
namespace {

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

} // namespace

int compile(Args args) {
  CompileOptions options;
  TargetFlags targets;
  std::string to;
  bool no_cache = false;
  std::vector<std::string> models;
  const cli::Command command{
      "quern compile MODEL -o FILE.quern [flags]",
      "Compiles a model (.gguf, .onnx, a folder with config.json and safetensors) to one file for "
      "quern-run. --remarks: what was fused.",
      std::vector<cli::Flag>{{"-o, --output", "FILE", "the artifact to write", &options.output}} +
          options.model_flags.flags() + targets.flags() +
          std::vector<cli::Flag>{
              {"--omit-weights", "",
               "of --synthetic: leave them out, for what opens the file to make again",
               &options.omit_weights},
              {"--quant-report", "FILE", "write each weight's format, bytes and error as JSON",
               &options.quant_report},
              {"--to", "PHASE", "stop there and print the IR (to -o, if given)", &to},
              {"--emit-dir", "DIR",
               "write IR, LLVM IR, assembly, CUDA C++ and PTX as numbered files",
               &options.emit_dir},
              {"--remarks", "", "", &options.remarks},
              {"--timing", "", "", &options.timing},
              {"--no-cache", "", "", &no_cache},
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
  if (options.omit_weights && options.model_flags.synthetic.empty())
    return cli::wrong_usage("--omit-weights is for weights that are made up", "--synthetic 1");
  if (options.jobs < 0 || options.jobs > kMostJobs)
    return cli::wrong_usage(absl::StrCat("-j takes 1 to ", kMostJobs), "-j 2");
  if (options.jobs == 0)
    options.jobs = device::usable_cores();
  // IR can be looked at without what makes code of it.
  if (const auto refused = targets.refused(); !refused.empty() && !stops_early)
    return cli::fail(refused.front());
  auto chosen = targets.chosen();
  if (!chosen.ok())
    return cli::fail(chosen.status());
  options.targets = *std::move(chosen);
  if (absl::Status status = stops_early ? print_ir(options) : compile_model(options); !status.ok())
    return cli::fail(status);
  return cli::kDone;
}

} // namespace quern::driver
