#include "compiler/driver/Lowering.h"

#include "ir/formats/Format.h"
#include "ir/quern/QuernDialect.h"
#include "passes/analysis/Buffers.h"
#include "passes/analysis/SourceNames.h"
#include "passes/target/Target.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/ThreadPool.h"

#include <absl/strings/ascii.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <set>
#include <utility>

namespace quern::driver {
namespace {

// The runtime refuses artifacts beyond these (runtime/artifact/Validate.cpp).
constexpr int64_t kMostTokens = 1 << 20;
constexpr int64_t kMostSeqs = 1 << 16;

absl::Status wrong(const std::string &what, const std::string &hint) {
  return absl::InvalidArgumentError(absl::StrCat(what, "\nhint: ", hint));
}

// The entries of a list, without the blanks around them; none of an empty one.
std::vector<std::string> names_in(const std::string &list) {
  std::vector<std::string> names;
  if (!list.empty())
    for (const absl::string_view name : absl::StrSplit(list, ','))
      names.emplace_back(absl::StripAsciiWhitespace(name));
  return names;
}

// NAME=MAX, of which the name may hold anything but a last '='.
std::optional<std::pair<std::string, int64_t>> parse_dim_flag(const std::string &text) {
  constexpr int64_t kLargest = int64_t{1} << 40;
  const size_t equals = text.rfind('=');
  int64_t most = 0;
  if (equals == text.npos || equals == 0 || !absl::SimpleAtoi(text.substr(equals + 1), &most) ||
      most < 1 || most > kLargest)
    return std::nullopt;
  return std::pair(text.substr(0, equals), most);
}

// Diagnostics under the names by which the model's author knows things: errors are collected, the
// rest is printed.
class Diagnostics {
public:
  explicit Diagnostics(mlir::MLIRContext &context)
      : handler_(&context, [this](mlir::Diagnostic &diagnostic) {
          const std::string name = sourceName(diagnostic.getLocation());
          const std::string text = absl::StrCat(name, name.empty() ? "" : ": ", diagnostic.str());
          if (diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error)
            absl::StrAppend(&errors_, errors_.empty() ? "" : "; ", text);
          else if (diagnostic.getSeverity() == mlir::DiagnosticSeverity::Warning)
            std::fprintf(stderr, "warning: %s\n", text.c_str());
        }) {}

  absl::Status error(llvm::StringRef phase) const {
    return absl::InvalidArgumentError(
        absl::StrCat(phase.str(), ": ", errors_.empty() ? "failed" : errors_));
  }

private:
  std::string errors_;
  mlir::ScopedDiagnosticHandler handler_;
};

void print_remark(const mlir::remark::detail::Remark &remark) {
  const std::string name = sourceName(remark.getLocation());
  std::fprintf(stderr, "remark: %s%s%s\n", name.c_str(), name.empty() ? "" : ": ",
               remark.getMsg().c_str());
}

} // namespace

std::vector<cli::Flag> ModelFlags::flags() {
  static const std::string kv = absl::StrCat(
      "kv state: ", kvFormatNames(), "auto (f16 beside integers; bf16 beside bf16 with cuda)");
  static const std::string quant = absl::StrCat(formats::quant_choices(), " (default: keep)");
  return {
      {"--quant", "F", quant, &pipeline.quant},
      {"--kv", "F", kv, &pipeline.kv},
      {"-c, --context", "N", "longest sequence (default: the model's)", &context},
      {"--max-tokens", "T", "largest step, in tokens (default: 512)", &pipeline.max_tokens},
      {"--max-seqs", "B", "most sequences of a step (default: 16)", &pipeline.max_seqs},
      {"--synthetic", "SEED", "make the weights up; config.json is enough", &synthetic},
      {"--ignore-keys", "LIST", "keys of config.json, which Quern does not know, to go on without",
       &ignored_keys},
      {"--dim", "NAME=MAX", "greatest size of a dimension of an ONNX graph; again for others",
       &dims},
      {"--without", "LIST", "fusions to switch off, to measure what they bring; all: every one",
       &pipeline.without},
  };
}

absl::Status ModelFlags::check() const {
  if (const auto quant = formats::parse_quant_flag(pipeline.quant); !quant.ok())
    return wrong(absl::StrCat("--quant ", pipeline.quant, ": no such format"),
                 formats::quant_choices());
  if (pipeline.kv != "auto" && !symbolizeStateFormat(pipeline.kv))
    return wrong(absl::StrCat("--kv ", pipeline.kv, ": no format of kv state"),
                 absl::StrCat(kvFormatNames(), "auto"));
  if (pipeline.max_tokens < 1 || pipeline.max_tokens > kMostTokens)
    return wrong(absl::StrCat("--max-tokens takes 1 to ", kMostTokens), "--max-tokens 512");
  if (pipeline.max_seqs < 1 || pipeline.max_seqs > kMostSeqs)
    return wrong(absl::StrCat("--max-seqs takes 1 to ", kMostSeqs), "--max-seqs 16");
  if (pipeline.max_seqs > pipeline.max_tokens)
    return wrong("--max-seqs is more than --max-tokens, and every sequence of a step has a token",
                 absl::StrCat("--max-seqs ", pipeline.max_tokens));
  for (llvm::StringRef name : llvm::split(pipeline.without, ','))
    if (!pipeline.without.empty() && name != "all" && !llvm::is_contained(fusions(), name))
      return wrong(absl::StrCat("--without ", name.str(), ": no such fusion"),
                   absl::StrCat("all, or of ", llvm::join(fusions(), ", ")));
  for (const std::string &key : names_in(ignored_keys))
    if (key.empty())
      return wrong(absl::StrCat("--ignore-keys ", ignored_keys, ": a key without a name"),
                   "--ignore-keys KEY,KEY");
  std::set<std::string> bounded;
  for (const std::string &dim : dims) {
    const auto bound = parse_dim_flag(dim);
    if (!bound)
      return wrong(absl::StrCat("--dim ", dim, ": it takes a name and a size of at least 1"),
                   "--dim sequence=512");
    if (!bounded.insert(bound->first).second)
      return wrong(absl::StrCat("--dim ", bound->first, " is given twice"), "one for each name");
  }
  uint64_t seed;
  if (!synthetic.empty() && !absl::SimpleAtoi(synthetic, &seed))
    return wrong(absl::StrCat("--synthetic takes a whole number, not '", synthetic, "'"),
                 "--synthetic 1");
  return absl::OkStatus();
}

std::vector<std::string> ModelFlags::recorded() const {
  std::vector<std::string> list = {absl::StrCat("--quant ", pipeline.quant),
                                   absl::StrCat("--kv ", pipeline.kv),
                                   absl::StrCat("--max-tokens ", pipeline.max_tokens),
                                   absl::StrCat("--max-seqs ", pipeline.max_seqs)};
  if (context != 0)
    list.push_back(absl::StrCat("-c ", context));
  if (!pipeline.without.empty())
    list.push_back(absl::StrCat("--without ", pipeline.without));
  if (!ignored_keys.empty()) {
    std::vector<std::string> keys = names_in(ignored_keys);
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    list.push_back(absl::StrCat("--ignore-keys ", absl::StrJoin(keys, ",")));
  }
  for (const std::string &dim : dims)
    list.push_back(absl::StrCat("--dim ", dim));
  if (!synthetic.empty())
    list.push_back(absl::StrCat("--synthetic ", synthetic));
  std::sort(list.begin(), list.end());
  return list;
}

ImportOptions ModelFlags::import_options() const {
  ImportOptions options;
  // What no int64 holds is refused by the importer like any other context that is too long.
  if (context != 0)
    options.context = static_cast<int64_t>(std::min<uint64_t>(context, INT64_MAX));
  uint64_t seed;
  if (absl::SimpleAtoi(synthetic, &seed))
    options.synthetic = seed;
  if (formats_only) {
    options.synthetic = 0;
    options.formats_only = true;
  }
  options.identify = identify;
  options.ignored_keys = names_in(ignored_keys);
  for (const std::string &dim : dims)
    if (const auto bound = parse_dim_flag(dim))
      options.dims.insert_or_assign(bound->first, bound->second);
  return options;
}

PipelineOptions pipeline_for(const ImportedModel &model, const ModelFlags &flags) {
  // Texts are a dozen tokens and more.
  constexpr int64_t kTokensASequence = 8;
  PipelineOptions options = flags.pipeline;
  if (!model.encodes)
    return options;
  options.max_tokens = std::max<int64_t>(options.max_tokens, model.context);
  options.max_seqs = std::max<int64_t>(
      options.max_seqs, std::min<int64_t>(options.max_tokens, 512) / kTokensASequence);
  return options;
}

// A graph keeps no state, and its --dim say how large a call may be.
void note_flags_without_effect(const ModelFlags &flags, ImportedModel &model) {
  const PipelineOptions defaults;
  std::vector<std::string> given;
  if (flags.pipeline.kv != defaults.kv)
    given.emplace_back("--kv");
  if (flags.pipeline.max_tokens != defaults.max_tokens && !model.encodes)
    given.emplace_back("--max-tokens");
  if (flags.pipeline.max_seqs != defaults.max_seqs && !model.encodes)
    given.emplace_back("--max-seqs");
  if (model.family == "onnx" && !given.empty())
    model.notes.push_back(absl::StrCat(absl::StrJoin(given, ", "),
                                       ": no effect on a graph, which keeps no state; --dim "
                                       "NAME=MAX says how large its inputs may be"));
}

artifact::ManifestExtras model_extras(const ImportedModel &model, const ModelFlags &flags) {
  artifact::ManifestExtras extras;
  extras.context = static_cast<uint64_t>(model.context);
  const PipelineOptions pipeline = pipeline_for(model, flags);
  extras.max_tokens = static_cast<uint64_t>(pipeline.max_tokens);
  extras.max_seqs = static_cast<uint64_t>(pipeline.max_seqs);
  if (!model.encodes)
    return extras;
  auto &encoder = extras.encoder.emplace();
  encoder.max_length = static_cast<uint64_t>(model.encoder.max_length);
  for (const EncoderPrompt &prompt : model.encoder.prompts)
    encoder.prompts.emplace_back(prompt.name, prompt.text);
  encoder.default_prompt = model.encoder.default_prompt;
  encoder.labels = model.encoder.labels;
  return extras;
}

absl::StatusOr<Lowered> lower(const std::string &model, const ModelFlags &flags,
                              const LoweringOptions &options) {
  Lowered lowered;
  lowered.context = std::make_unique<mlir::MLIRContext>(
      options.threads > 1 ? mlir::MLIRContext::Threading::ENABLED
                          : mlir::MLIRContext::Threading::DISABLED);
  mlir::MLIRContext &context = *lowered.context;
  context.loadDialect<QuernDialect, mlir::func::FuncDialect>();
  if (options.remarks)
    listenToRemarks(context, print_remark);

  PipelineCallbacks callbacks = options.callbacks;
  if (callbacks.before)
    callbacks.before(info(Phase::import));
  const auto start = std::chrono::steady_clock::now();
  auto imported = import_model(model, flags.import_options(), context);
  if (!imported.ok())
    return imported.status();
  lowered.model = *std::move(imported);
  note_flags_without_effect(flags, lowered.model);
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;

  std::string running = "import";
  callbacks.before = [&](const PhaseInfo &phase) {
    running = phase.name.str();
    if (options.callbacks.before)
      options.callbacks.before(phase);
  };
  // Of the import there is one, whatever the targets.
  if (callbacks.after)
    callbacks.after = [&](const PhaseInfo &phase, mlir::ModuleOp module, double seconds) {
      if (phase.phase != Phase::import)
        options.callbacks.after(phase, module, seconds);
    };
  Diagnostics diagnostics(context);
  mlir::OwningOpRef<mlir::ModuleOp> as_imported = std::move(lowered.model.module);
  if (options.callbacks.after)
    options.callbacks.after(info(Phase::import), *as_imported, taken.count());
  if (options.to == Phase::import) {
    lowered.modules.emplace_back((*as_imported).clone());
    return lowered;
  }
  for (const std::string &target : options.targets) {
    if (options.begins)
      options.begins(target);
    lowered.modules.push_back(module_for(target, options.targets, *as_imported));
    if (mlir::failed(runTo(*lowered.modules.back(), options.to, pipeline_for(lowered.model, flags),
                           callbacks)))
      return diagnostics.error(running);
  }
  return lowered;
}

std::vector<mlir::ModuleOp> unowned(const std::vector<mlir::OwningOpRef<mlir::ModuleOp>> &modules) {
  std::vector<mlir::ModuleOp> list;
  for (const auto &module : modules)
    list.push_back(*module);
  return list;
}

mlir::OwningOpRef<mlir::ModuleOp> module_for(const std::string &target,
                                             const std::vector<std::string> &targets,
                                             mlir::ModuleOp imported) {
  mlir::OwningOpRef<mlir::ModuleOp> module = imported.clone();
  mlir::Builder builder(imported.getContext());
  (*module)->setAttr(attrs::kTarget, builder.getStringAttr(target));
  if (targets.size() > 1)
    (*module)->setAttr(attrs::kTargets,
                       builder.getStrArrayAttr(llvm::to_vector_of<llvm::StringRef>(targets)));
  return module;
}

} // namespace quern::driver
