#include "compiler/driver/Examine.h"

#include "codegen/artifact/Agreement.h"
#include "codegen/artifact/Manifest.h"
#include "codegen/artifact/WeightRows.h"
#include "compiler/driver/Prove.h"
#include "ir/formats/Format.h"
#include "ir/quern/AttributeNames.h"
#include "ir/quern/QuernDialect.h"
#include "passes/analysis/SourceNames.h"
#include "passes/target/Target.h"

#include "mlir/IR/AttrTypeSubElements.h"
#include "mlir/IR/Diagnostics.h"

#include <absl/strings/str_cat.h>

#include <memory>
#include <set>
#include <tuple>

namespace quern::driver {
namespace {

constexpr const char *kAsPublished =
    "take the model's files as they were published, all of one model";
constexpr const char *kFault =
    "this may be a fault of Quern's: report it with the model's config, and try --without all";

/// Problems without those that were there before.
class Collector {
public:
  void add(Problem problem, const char *fallback) {
    ++said_;
    if (problem.hint.empty())
      problem.hint = fallback;
    if (seen_.emplace(problem.where, problem.what).second)
      list_.push_back(std::move(problem));
  }
  /// "NAME: what", a text of a target's or a phase's. What comes after the last "; " is what to do.
  void add_text(std::string where, std::string text, const char *fallback) {
    std::string hint;
    for (const std::string &mark : {std::string("\nhint: "), std::string("; ")})
      if (const size_t at = text.rfind(mark); hint.empty() && at != text.npos) {
        hint = text.substr(at + mark.size());
        text.resize(at);
      }
    add({std::move(where), std::move(text), std::move(hint)}, fallback);
  }
  size_t size() const { return list_.size(); }
  /// How many were added, those that were there before too.
  size_t said() const { return said_; }
  std::vector<Problem> take() { return std::move(list_); }

private:
  std::vector<Problem> list_;
  std::set<std::pair<std::string, std::string>> seen_;
  size_t said_ = 0;
};

/// Errors of passes and generators become problems under the model's own names.
class ErrorsAsProblems {
public:
  ErrorsAsProblems(mlir::MLIRContext &context, Collector &to)
      : handler_(&context, [&to, this](mlir::Diagnostic &diagnostic) {
          if (diagnostic.getSeverity() != mlir::DiagnosticSeverity::Error)
            return;
          const std::string name = sourceName(diagnostic.getLocation());
          to.add_text(name.empty() ? phase : name, diagnostic.str(), kFault);
        }) {}
  std::string phase; ///< the one that runs: where something is that has no name

private:
  mlir::ScopedDiagnosticHandler handler_;
};

/// All weights as floats, which every phase takes.
void make_floats(mlir::ModuleOp module) {
  mlir::AttrTypeReplacer replacer;
  const auto f32 = mlir::StringAttr::get(module.getContext(), "f32");
  replacer.addReplacement([&](WeightType type) -> std::optional<mlir::Type> {
    return WeightType::get(type.getContext(), type.getShape(), f32);
  });
  replacer.recursivelyReplaceElementsIn(module, /*replaceAttrs=*/true, /*replaceLocs=*/false,
                                        /*replaceTypes=*/true);
  module.walk([](WeightOp weight) { weight.removeCodedAttr(); });
}

/// Whether one of the weights that are packed together was made up and is in a format that no
/// weight can be made in: blocks of a GGUF file.
bool stands_for_blocks(PackedOp packed) {
  const auto result = packed.walk([&](WeightRefOp ref) {
    auto weight = mlir::SymbolTable::lookupNearestSymbolFrom<WeightOp>(packed, ref.getNameAttr());
    if (!weight || static_cast<int>(weight.getFile()) != weights::WeightRef::kSynthetic)
      return mlir::WalkResult::advance();
    const auto *format =
        formats::find_format(mlir::cast<WeightType>(weight.getType()).getFormat().getValue());
    return format && !format->can_encode() ? mlir::WalkResult::interrupt()
                                           : mlir::WalkResult::advance();
  });
  return result.wasInterrupted();
}

/// What packing the weights would refuse: their expressions are set up, and no row is computed.
/// `made_up`: the files' weights cannot be read, and others in their formats stand for them.
void check_packing(mlir::ModuleOp planned, bool made_up, Collector &to) {
  weights::WeightStore store;
  if (auto files = planned->getAttrOfType<mlir::ArrayAttr>(attrs::kFiles))
    for (auto path : files.getAsRange<mlir::StringAttr>())
      if (auto file = store.add(path.str()); !file.ok())
        return to.add_text(path.str(), std::string(file.status().message()), kAsPublished);
  for (auto packed : planned.getOps<PackedOp>()) {
    if (made_up && stands_for_blocks(packed))
      continue;
    const auto rows =
        artifact::weight_rows(packed.getBody().front().getTerminator()->getOperand(0), store);
    if (!rows.ok())
      to.add_text(sourceName(packed.getLoc()), std::string(rows.status().message()), kAsPublished);
  }
}

/// What the artifact's writer and its proof would refuse of a planned model.
void check_artifact(const ImportedModel &model, std::span<const mlir::ModuleOp> planned,
                    const ModelFlags &flags, Collector &to) {
  artifact::ManifestExtras extras = model_extras(model, flags);
  for (mlir::ModuleOp module : planned) {
    const codegen::Target &target = *codegen::find_target(target::of(module).name);
    for (const codegen::VariantInfo &variant : target.variants())
      extras.variants.push_back({std::string(target.name()), variant.name, variant.required});
  }
  if (const absl::Status status = artifact::check_limits(planned, extras); !status.ok())
    to.add_text(model.family, std::string(status.message()), kAsPublished);
  if (const auto proof = draft_proof(planned.front(), model.tokenizer); !proof.ok())
    to.add_text("tokenizer", std::string(proof.status().message()), kAsPublished);
}

/// Runs the phases and what comes after them for every target; true if nothing was refused.
/// `made_up`: see check_packing.
bool run_phases(const ImportedModel &model, mlir::ModuleOp imported, bool made_up,
                const ModelFlags &flags, const std::vector<std::string> &targets, Collector &to) {
  const size_t before = to.said();
  ErrorsAsProblems errors(*imported.getContext(), to);
  PipelineCallbacks callbacks;
  callbacks.before = [&](const PhaseInfo &phase) { errors.phase = phase.name.str(); };
  std::vector<mlir::OwningOpRef<mlir::ModuleOp>> modules;
  for (const std::string &target : targets) {
    modules.push_back(module_for(target, targets, imported));
    if (mlir::failed(runTo(*modules.back(), Phase::order, pipeline_for(model, flags), callbacks))) {
      if (to.said() == before)
        to.add({errors.phase, "the phase failed", ""}, kFault);
      return false;
    }
  }
  errors.phase = "emit";
  const std::vector<mlir::ModuleOp> planned = unowned(modules);
  if (const absl::Status status = artifact::check_agreement(planned); !status.ok())
    to.add({errors.phase, std::string(status.message()), ""}, kFault);
  check_packing(planned.front(), made_up, to);
  check_artifact(model, planned, flags, to);
  for (mlir::ModuleOp module : planned)
    if (const absl::Status status = codegen::find_target(target::of(module).name)->check(module);
        !status.ok() && to.said() == before)
      to.add({errors.phase, std::string(status.message()), ""}, kFault);
  return to.said() == before;
}

} // namespace

Examination examine(const std::string &model, const ModelFlags &flags, const TargetFlags &targets) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.loadDialect<QuernDialect, mlir::func::FuncDialect>();
  Collector found;
  ExaminedModel examined = examine_model(model, flags.import_options(), context);
  for (Problem &problem : examined.problems)
    found.add(std::move(problem), kAsPublished);
  const bool made_up = found.size() != 0;
  if (examined.model.module) {
    mlir::ModuleOp imported = *examined.model.module;
    if (!run_phases(examined.model, imported, made_up, flags, targets.names(), found)) {
      make_floats(imported);
      run_phases(examined.model, imported, made_up, flags, targets.names(), found);
    }
  }
  for (const absl::Status &status : targets.refused()) {
    const std::string text(status.message());
    const size_t colon = text.starts_with("--") ? text.find(": ") : text.npos;
    if (colon == text.npos)
      found.add_text("--variant native", text, kAsPublished);
    else
      found.add_text(text.substr(0, colon), text.substr(colon + 2), kAsPublished);
  }
  return {found.take(), std::move(examined.model.notes)};
}

} // namespace quern::driver
