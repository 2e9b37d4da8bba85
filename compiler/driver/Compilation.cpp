#include "compiler/driver/Compilation.h"

#include "codegen/artifact/Agreement.h"
#include "codegen/artifact/Plan.h"
#include "codegen/artifact/Writer.h"
#include "compiler/driver/Dumps.h"
#include "compiler/driver/Progress.h"
#include "compiler/driver/Prove.h"
#include "compiler/driver/QuantReport.h"
#include "compiler/driver/TextFile.h"
#include "runtime/artifact/Layout.h"
#include "runtime/cli/Model.h"
#include "runtime/cli/Report.h"
#include "runtime/session/Memory.h"
#include "runtime/version/Version.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace quern::driver {
namespace {

std::string text_of(mlir::ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream);
  return text;
}

// /dev/stdout and its like, which are files where the shell made them so.
bool is_descriptor(const std::filesystem::path &path) {
  const std::filesystem::path normal = path.lexically_normal();
  return normal.string().starts_with("/dev/") || normal.string().starts_with("/proc/");
}

bool begins_as_artifact(const std::filesystem::path &path) {
  std::array<char, artifact::kMagic.size()> magic{};
  std::ifstream file(path, std::ios::binary);
  return file.read(magic.data(), magic.size()) &&
         std::equal(magic.begin(), magic.end(), artifact::kMagic.begin(),
                    [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; });
}

// The output must be a file, and none of the model's.
absl::Status check_output(const std::string &output, const std::string &model) {
  namespace fs = std::filesystem;
  std::error_code error;
  const bool exists = fs::exists(output, error);
  if ((exists && !fs::is_regular_file(output, error)) || is_descriptor(output))
    return absl::InvalidArgumentError(
        absl::StrCat(output, ": is no regular file\nhint: -o a file's name"));
  if (!exists)
    return absl::OkStatus();
  if (fs::equivalent(output, model, error))
    return absl::InvalidArgumentError(
        absl::StrCat(output, ": is the model itself\nhint: -o another file"));
  // What lies in the model's folder and is no artifact may be any part of it: a shard, a tokenizer.
  const auto folder = [](const fs::path &file) {
    return file.has_parent_path() ? file.parent_path() : fs::path(".");
  };
  const fs::path models = fs::is_directory(model, error) ? fs::path(model) : folder(model);
  if (fs::equivalent(folder(output), models, error) && fs::file_size(output, error) != 0 &&
      !begins_as_artifact(output))
    return absl::InvalidArgumentError(
        absl::StrCat(output, ": lies with the model and is no artifact: it may be a part of the "
                             "model\nhint: -o another file, or remove it first"));
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<weights::WeightStore>> open_files(mlir::ModuleOp module) {
  auto store = std::make_shared<weights::WeightStore>();
  if (auto files = module->getAttrOfType<mlir::ArrayAttr>(attrs::kFiles))
    for (auto path : files.getAsRange<mlir::StringAttr>())
      if (auto file = store->add(path.str()); !file.ok())
        return file.status();
  return store;
}

std::string base_name(const std::string &path) {
  std::filesystem::path p = std::filesystem::path(path).lexically_normal();
  return p.has_filename() ? p.filename().string() : p.parent_path().filename().string();
}

// What is said of a target's part: under its name where there are several.
std::string part_name(const CompileOptions &options, std::string_view target,
                      std::string_view part) {
  return options.targets.size() == 1 || target.empty()
             ? std::string(part)
             : absl::StrCat(std::string(target), ": ", std::string(part));
}

LoweringOptions lowering_options(const CompileOptions &options, Phase to, Progress &progress,
                                 Dumps &dumps) {
  LoweringOptions lowering;
  lowering.targets.clear();
  for (const ChosenTarget &chosen : options.targets)
    lowering.targets.emplace_back(chosen.target->name());
  const auto running = std::make_shared<std::string>();
  lowering.begins = [&, running](const std::string &target) {
    *running = target;
    dumps.enter(options.targets.size() == 1 ? "" : target);
  };
  lowering.to = to;
  lowering.threads = options.jobs;
  lowering.remarks = options.remarks;
  lowering.callbacks.before = [&, running](const PhaseInfo &phase) {
    progress.part(part_name(options, *running, phase.name.str()));
  };
  lowering.callbacks.after = [&](const PhaseInfo &phase, mlir::ModuleOp module, double) {
    progress.finish();
    if (dumps.wanted())
      dumps.write(absl::StrCat(phase.name.str(), ".mlir"), text_of(module));
  };
  if (options.timing)
    lowering.callbacks.after_pass = [&](llvm::StringRef pass, double seconds) {
      progress.step(pass, seconds);
    };
  return lowering;
}

artifact::ManifestExtras extras(const CompileOptions &options, const ImportedModel &model) {
  artifact::ManifestExtras extras = model_extras(model, options.model_flags);
  extras.producer =
      absl::StrCat("quern ", std::string(version()), " (commit ", std::string(commit()), ")");
  extras.source = base_name(options.model);
  extras.source_hash = model.source_hash;
  extras.flags = options.model_flags.recorded();
  if (options.omit_weights)
    extras.flags.emplace_back("--omit-weights");
  std::string targets; // --kv auto asks all of them
  for (const ChosenTarget &chosen : options.targets)
    absl::StrAppend(&targets, targets.empty() ? "" : ",", std::string(chosen.target->name()));
  if (targets != "cpu")
    extras.flags.push_back(absl::StrCat("--target ", targets));
  std::ranges::sort(extras.flags);
  for (const ChosenTarget &chosen : options.targets)
    for (const codegen::VariantInfo *variant : chosen.variants)
      extras.variants.push_back(
          {std::string(chosen.target->name()), variant->name, variant->required});
  return extras;
}

// A code section for each variant of each target, in that order.
absl::StatusOr<std::vector<std::string>> generate_code(const CompileOptions &options,
                                                       std::span<const mlir::ModuleOp> planned,
                                                       Progress &progress, Dumps &dumps) {
  std::vector<std::string> sections;
  for (size_t i = 0; i < planned.size(); ++i) {
    const ChosenTarget &chosen = options.targets[i];
    const std::string name(chosen.target->name());
    progress.part(part_name(options, name, "code"));
    dumps.enter(options.targets.size() == 1 ? "" : name);
    codegen::GenerateOptions generating;
    generating.threads = options.jobs;
    generating.cache = options.cache;
    if (options.timing)
      generating.took = [&](std::string_view step, double seconds) {
        progress.step(step, seconds);
      };
    if (dumps.wanted())
      generating.emit = [&](std::string_view file, std::string_view text) {
        dumps.write(file, text);
      };
    auto made = chosen.target->generate(planned[i], chosen.variant_names(), generating);
    if (!made.ok())
      return made.status();
    sections.insert(sections.end(), std::make_move_iterator(made->begin()),
                    std::make_move_iterator(made->end()));
  }
  return sections;
}

std::string summary(const CompileOptions &options, const artifact::PlannedSizes &sizes,
                    double seconds) {
  std::string variants;
  for (const ChosenTarget &chosen : options.targets)
    for (const codegen::VariantInfo *variant : chosen.variants)
      absl::StrAppend(&variants, variants.empty() ? "" : ", ", variant->name);
  std::error_code error;
  const auto bytes = std::filesystem::file_size(options.output, error);
  return absl::StrFormat("%s: %s (weights %s, code for %s) in %.1f s", options.output,
                         session::human_bytes(error ? 0 : bytes),
                         session::human_bytes(sizes.weights), variants, seconds);
}

// What of --kv auto is another target's wish: the CPU alone would keep floats beside bf16 weights.
std::string kv_note(const CompileOptions &options, mlir::ModuleOp planned) {
  if (options.model_flags.pipeline.kv != "auto" || options.targets.size() < 2)
    return "";
  for (auto state : planned.getOps<DeclareStateOp>()) {
    const auto type = mlir::cast<StateType>(state.getType());
    if (type.getKind() == StateKind::kv && type.getFormat() == StateFormat::bf16)
      return "kv state is bf16 on every target, as cuda has it beside bf16 weights; for the CPU "
             "alone "
             "it would be f32 (--kv f32)";
  }
  return "";
}

} // namespace

absl::Status compile_model(const CompileOptions &options) {
  const auto begun = std::chrono::steady_clock::now();
  if (absl::Status status = check_output(options.output, options.model); !status.ok())
    return status;
  if (absl::Status status = cli::check_writable(options.quant_report); !status.ok())
    return status;
  auto file = artifact::AtomicFile::create(options.output);
  if (!file.ok())
    return file.status();
  Progress progress(!options.quiet);
  Dumps dumps(options.emit_dir);
  auto lowered = lower(options.model, options.model_flags,
                       lowering_options(options, Phase::order, progress, dumps));
  if (!lowered.ok())
    return lowered.status();
  if (!options.quiet)
    for (const std::string &note : lowered->model.notes)
      progress.say(absl::StrCat("note: ", note));
  // What all targets share is as the first one's module has it.
  const std::vector<mlir::ModuleOp> modules = lowered->list();
  if (absl::Status status = artifact::check_agreement(modules); !status.ok())
    return status;
  mlir::ModuleOp planned = modules.front();
  if (const std::string note = kv_note(options, planned); !options.quiet && !note.empty())
    progress.say(absl::StrCat("note: ", note));
  const auto sizes = artifact::planned_sizes(planned);
  if (!sizes.ok())
    return sizes.status();

  artifact::Contents contents;
  contents.planned = modules;
  contents.omit_weights = options.omit_weights;
  contents.extras = extras(options, lowered->model);
  if (absl::Status status = artifact::check_limits(modules, contents.extras); !status.ok())
    return status;
  contents.tokenizer = lowered->model.tokenizer;
  auto code = generate_code(options, modules, progress, dumps);
  if (!code.ok())
    return code.status();
  if (!dumps.status().ok())
    return dumps.status();
  contents.code = *std::move(code);
  auto proof = draft_proof(planned, contents.tokenizer);
  if (!proof.ok())
    return proof.status();
  contents.proof = *std::move(proof);
  contents.compute_logits = [&](artifact::ProofContents &draft,
                                const artifact::PackedRows &weights) {
    progress.part("proof");
    absl::Status status = fill_logits(draft, planned, weights, options.jobs);
    progress.part("writing");
    return status;
  };
  auto store = open_files(planned);
  if (!store.ok())
    return store.status();
  progress.part("weights");
  artifact::PackOptions packing;
  packing.threads = options.jobs;
  packing.progress = [&](uint64_t bytes) {
    progress.done(static_cast<double>(bytes) / static_cast<double>(sizes->weights));
  };
  if (!options.quant_report.empty())
    packing.beside = formats::find_format(kNextFormat);
  const auto written = artifact::write_artifact(contents, **store, **file, packing);
  if (!written.ok())
    return written.status();
  progress.finish();
  if (!options.quiet)
    for (const std::string &note : written->notes)
      progress.say(absl::StrCat("note: ", note));
  if (!options.quant_report.empty())
    if (absl::Status status = write_quant_report(options.quant_report, planned, written->errors,
                                                 written->errors_beside);
        !status.ok())
      return status;
  if (options.timing)
    progress.print_timing();
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begun;
  if (!options.quiet)
    progress.say(summary(options, *sizes, taken.count()));
  return absl::OkStatus();
}

absl::Status print_ir(const CompileOptions &options) {
  Progress progress(!options.quiet);
  Dumps dumps(options.emit_dir);
  auto lowered = lower(options.model, options.model_flags,
                       lowering_options(options, *options.to, progress, dumps));
  if (!lowered.ok())
    return lowered.status();
  if (!dumps.status().ok())
    return dumps.status();
  if (options.timing)
    progress.print_timing();
  std::string text;
  for (mlir::ModuleOp module : lowered->list())
    absl::StrAppend(&text, text.empty() ? "" : "// -----\n", text_of(module));
  if (!options.output.empty())
    return write_text(options.output, text);
  cli::print(text); // flush_output reports what went wrong
  return absl::OkStatus();
}

} // namespace quern::driver
