// quern plan: exact memory, before compiling. Reads shapes, never weights.
#include "codegen/artifact/Plan.h"

#include "codegen/Target.h"
#include "codegen/artifact/Manifest.h"
#include "compiler/driver/Lowering.h"
#include "compiler/driver/Sizes.h"
#include "compiler/driver/Targets.h"
#include "compiler/driver/Verbs.h"
#include "passes/target/Target.h"
#include "runtime/cli/Model.h"
#include "runtime/cli/Report.h"
#include "runtime/session/Engine.h"

#include <absl/strings/str_cat.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>

namespace quern::driver {
namespace {

// An arena that is worth a look at what it is for, and how many buffers of it are named.
constexpr uint64_t kLargeArena = uint64_t{256} << 20;
constexpr size_t kLargestNamed = 3;

// Whether `model` is a config.json without weights beside it: its sizes are known all the same.
bool is_config_alone(const std::string &model) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (fs::is_regular_file(model, error))
    return fs::path(model).extension() == ".json";
  fs::directory_iterator files(model, error);
  return !error && fs::exists(fs::path(model) / "config.json", error) &&
         std::ranges::none_of(files, [](const fs::directory_entry &file) {
           return file.path().extension() == ".safetensors";
         });
}

// What an artifact of the plan says of itself, of each target.
absl::StatusOr<std::vector<Sizes>> sizes_of(const std::string &model, const ModelFlags &flags,
                                            const TargetFlags &targets, uint64_t slots,
                                            uint64_t checkpoints) {
  LoweringOptions options;
  options.targets = targets.names();
  auto lowered = lower(model, flags, options);
  if (!lowered.ok())
    return lowered.status();
  for (const std::string &note : lowered->model.notes)
    std::fprintf(stderr, "note: %s\n", note.c_str());
  if (slots != 1 && lowered->model.family == "onnx")
    std::fprintf(stderr, "note: --slots: no effect on a graph, which keeps no state\n");
  const std::vector<mlir::ModuleOp> modules = lowered->list();
  const auto bytes = artifact::build_manifest(modules, model_extras(lowered->model, flags), {}, {});
  if (!bytes.ok())
    return bytes.status();
  const artifact::Manifest &manifest = *artifact::GetManifest(bytes->data());
  std::vector<Sizes> all;
  for (mlir::ModuleOp module : modules) {
    const auto planned = artifact::planned_sizes(module);
    if (!planned.ok())
      return planned.status();
    Sizes &sizes = all.emplace_back();
    sizes.target = target::of(module).name.str();
    sizes.model = session::model_sizes(manifest, sizes.target);
    sizes.model.weights = planned->weights;
    // Code is compiled later, so its size is a guess: what a kernel takes on average.
    const auto kernels = static_cast<uint64_t>(llvm::range_size(module.getOps<KernelOp>()));
    for (const codegen::VariantInfo &variant : codegen::find_target(sizes.target)->variants())
      sizes.model.code = std::max(sizes.model.code, kernels * variant.bytes_a_kernel);
    sizes.arena_bound = planned->arena_bound;
    sizes.ctx = manifest.context();
    sizes.slots = slots;
    sizes.checkpoints = checkpoints;
    sizes.entry_sizes = entry_sizes(manifest, flags.import_options().dims);
    if (sizes.model.arena >= kLargeArena)
      sizes.largest = largest_buffers(manifest, sizes.target, kLargestNamed);
  }
  return all;
}

} // namespace

int plan(Args args) {
  ModelFlags flags;
  TargetFlags targets;
  uint64_t slots = 1;
  cli::Bytes memory, checkpoints;
  bool json = false;
  std::vector<std::string> models;
  const cli::Command command{
      "quern plan MODEL [flags]",
      "Says what a model will take in memory, to the byte, without compiling it: weights, arena, "
      "state.\nThe code's size alone is an estimate. Reads no weights: a config.json is enough, "
      "and a "
      "note says\nwhat it leaves open.\n"
      "A layer with a sliding window takes state for what a step of --max-tokens sees, whatever "
      "-c.",
      flags.flags() +
          std::vector<cli::Flag>{targets.target_flag(),
                                 {"--slots", "N", "sequences alive at once (default: 1)", &slots},
                                 {"--memory", "BYTES",
                                  "exit with 1, and what would fit, if the total is more", &memory},
                                 {"--checkpoints", "BYTES",
                                  "what of memory bounds what an edit computes again (default: 0)",
                                  &checkpoints},
                                 {"--json", "", "print one JSON object", &json}},
      "quern plan models/smollm2-135m-instruct-q4_1.gguf -c 2048 --slots 4 --memory 1G", &models};
  if (auto code = cli::parse(command, args))
    return *code;
  if (models.size() != 1)
    return cli::wrong_usage(models.empty() ? "no model is given" : "more than one model is given",
                            "quern plan MODEL");
  if (slots == 0 || slots > session::kMaxSlots)
    return cli::wrong_usage(absl::StrCat("--slots takes 1 to ", session::kMaxSlots), "--slots 1");
  for (const absl::Status &status : {flags.check(), targets.check()})
    if (!status.ok())
      return cli::wrong_usage(status);
  if (flags.synthetic.empty() && is_config_alone(models[0]))
    flags.formats_only = true;
  flags.identify = false;
  const auto all = sizes_of(models[0], flags, targets, slots, checkpoints.value);
  if (!all.ok())
    return cli::fail(all.status());
  for (const Sizes &sizes : *all)
    if (absl::Status status =
            session::check_checkpoints(sizes.model, sizes.ctx, sizes.slots, checkpoints.value);
        !status.ok())
      return cli::fail(status);
  if (json)
    cli::print_json(to_json(std::span<const Sizes>(*all)));
  else
    for (const Sizes &sizes : *all)
      print_table(sizes, "estimated");
  if (memory.value != 0)
    for (const Sizes &sizes : *all)
      if (absl::Status status =
              session::check_fits(sizes.model, sizes.ctx, sizes.slots, memory.value,
                                  "--memory allows", {}, checkpoints.value);
          !status.ok())
        return cli::fail(status);
  return cli::kDone;
}

} // namespace quern::driver
