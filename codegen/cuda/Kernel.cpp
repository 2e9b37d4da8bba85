// See Kernel.h.
#include "codegen/cuda/Kernel.h"

#include "runtime/abi/CudaStep.h"

#include "llvm/ADT/STLExtras.h"

#include <absl/strings/str_join.h>

using namespace mlir;

namespace quern::cuda {

/// Shared memory that blocks can have on every GPU of our variants: an A100's 163 KiB, less what
/// the system takes.
static constexpr int64_t kMostShared = 160 << 10;

Generator generatorOf(Anchor anchor) {
  switch (anchor) {
  case Anchor::rows:
    return &Kernel::generateRows;
  case Anchor::linear:
    return &Kernel::generateLinear;
  case Anchor::embedding:
    return &Kernel::generateEmbedding;
  case Anchor::attention:
    return &Kernel::generateAttention;
  case Anchor::kv_append:
    return &Kernel::generateKvAppend;
  case Anchor::linear_recurrence:
    return &Kernel::generateRecurrence;
  case Anchor::causal_conv1d:
    return &Kernel::generateConv;
  case Anchor::route:
    return &Kernel::generateRoute;
  case Anchor::expert_linear:
    return &Kernel::generateExpertLinear;
  case Anchor::block_linear:
    return &Kernel::generateBlockLinear;
  case Anchor::token_shift:
    return &Kernel::generateTokenShift;
  case Anchor::scan:
    return &Kernel::generateScan;
  case Anchor::long_conv:
    return &Kernel::generateLongConv;
  case Anchor::generic:
    return &Kernel::generateGeneric;
  case Anchor::attention_rows:
    return nullptr;
  }
  llvm_unreachable("an anchor without a generator");
}

StringRef nameOf(Form form) {
  switch (form) {
  case Form::Many:
    return "many";
  case Form::One:
    return "one";
  case Form::Last:
    return "last";
  }
  llvm_unreachable("all forms are named");
}

StringRef nameOf(Team team) { return team == Team::Block ? "Block" : "Warp"; }

int64_t threadsOf(Team team) { return team == Team::Block ? QUERN_CUDA_THREADS : 32; }

Kernel::Kernel(KernelOp op, std::string name, Form form, std::vector<std::string> labels)
    : op(op), single(form != Form::Many), last(form == Form::Last), name_(std::move(name)),
      labels_(std::move(labels)) {
  // Weights of which rows are looked up or multiplied are packed; those of norms are floats.
  auto isPacked = [](BlockArgument weight) {
    return llvm::any_of(weight.getUses(), [](OpOperand &use) {
      auto anchor = dyn_cast<AnchorOpInterface>(use.getOwner());
      return anchor && anchor.facts().matrix.operand == &use;
    });
  };
  for (BlockArgument arg : op.getBody().getArguments()) {
    const std::string number = absl::StrCat(arg.getArgNumber());
    auto add = [&](const char *type, const std::string &stem) {
      parameters_.push_back({type, stem + number});
      pointers_[arg] = stem + number;
    };
    if (isa<StateType>(arg.getType())) {
      parameters_.push_back({"i64 ", "group" + number});
      parameters_.push_back({"i64 ", "offset" + number});
      states_[arg] = {"group" + number, "offset" + number};
    } else if (isa<WeightType>(arg.getType())) {
      isPacked(arg) ? add("const u8 *", "weights") : add("const float *", "vector");
    } else if (isa<Q8RowsType>(arg.getType())) {
      add("const u8 *", "q8_rows");
    } else if (isIndices(arg.getType()) || isChoices(arg.getType())) {
      add("const int *", "indices");
    } else if (!isa<BatchType>(arg.getType())) {
      add("const float *", "rows");
    }
  }
  for (auto [i, type] : llvm::enumerate(op.getResultTypes())) {
    results_.push_back(absl::StrCat("result", i));
    parameters_.push_back({isa<Q8RowsType>(type) ? "u8 *"
                           : isChoices(type)     ? "int *"
                                                 : "float *",
                           results_.back()});
  }
  if (scratchBytes(op, single) != 0) {
    scratch_ = "scratch";
    parameters_.push_back({"float *", scratch_});
  }
  yield = cast<YieldOp>(op.getBody().front().getTerminator());
  anchor = op.anchorOp();
  include("Team.cuh");
}

LogicalResult Kernel::generate() {
  const Generator generator = generatorOf(op.getAnchor());
  if (!generator)
    return op.emitError("the cuda target has no code for kernels of anchor '")
           << stringifyAnchor(op.getAnchor()) << "'";
  if (failed((this->*generator)()))
    return failure();
  if (sharedBytes_ > kMostShared)
    return op.emitError("needs ") << sharedBytes_ << " bytes of shared memory a block, more than "
                                  << kMostShared << ": its rows are too wide for the cuda target";
  return success();
}

std::string Kernel::parameters() const {
  std::string all;
  for (const Parameter &parameter : parameters_)
    absl::StrAppend(&all, ", ", parameter.type, parameter.name);
  return all;
}

std::vector<std::string> Kernel::parameterTypes() const {
  std::vector<std::string> types;
  for (const Parameter &parameter : parameters_)
    types.push_back(parameter.type);
  return types;
}

void Kernel::setPrefetch(std::string function, mlir::Value weights) {
  prefetch_ = std::move(function);
  prefetched_ = llvm::find_if(parameters_,
                              [&](const Parameter &parameter) {
                                return parameter.name == pointer(weights);
                              }) -
                parameters_.begin();
}

std::string Kernel::function(bool inlined) const {
  Text head;
  for (const std::string &declaration : declarations_)
    head.line(declaration);
  if (!declarations_.empty())
    head.line("");
  constexpr size_t kLabels = 3;
  if (!labels_.empty()) {
    std::vector<std::string> some(labels_.begin(),
                                  labels_.begin() + std::min(labels_.size(), kLabels));
    std::string names = absl::StrJoin(some, ", ");
    if (labels_.size() > kLabels)
      absl::StrAppend(&names, " and ", labels_.size() - kLabels, " more");
    head.comment(names);
  }
  head.line("__device__ ", inlined ? "" : "__noinline__ ", "void ", name_,
            "(const QuernCudaStep &step, int worker, int workers, u8 *", inlined ? "shared" : "",
            parameters(), ") {");
  // What is handed over would be a pointer to any memory, and slower.
  if (!inlined)
    head.line("  extern __shared__ __align__(128) u8 shared[];");
  Text tail;
  tail.line("}");
  tail.line("inline constexpr int ", name_, "_shared = ", sharedBytes_, ";");
  return head.str() + text.str() + tail.str();
}

std::string Kernel::head() const {
  Text head;
  for (const std::string &header : includes_)
    head.line("#include \"codegen/cuda/device/", header, "\"");
  // Left open: where registers spill, there are fewer (Nvrtc.h).
  head.line("");
  head.line("#ifndef QUERN_RESIDENT");
  head.line("#define QUERN_RESIDENT ", resident_);
  head.line("#endif");
  return head.str();
}

std::string Kernel::unit() const {
  Text head;
  head.line("");
  head.line("namespace quern::kernels {");
  head.line("");
  Text tail;
  tail.line("");
  tail.line("} // namespace quern::kernels");
  tail.line("");
  tail.line("extern \"C\" __global__ void __launch_bounds__(QUERN_CUDA_THREADS, QUERN_RESIDENT)");
  tail.open(name_, "(const QuernCudaStep *step", parameters(), ")");
  tail.line("extern __shared__ __align__(128) u8 shared[];");
  std::string arguments;
  for (const Parameter &parameter : parameters_)
    absl::StrAppend(&arguments, ", ", parameter.name);
  tail.line("quern::kernels::", name_,
            "(*step, static_cast<int>(blockIdx.x), static_cast<int>(gridDim.x), shared", arguments,
            ");");
  tail.close();
  return head.str() + function() + tail.str();
}

std::string Kernel::count(StringRef symbol) const {
  if (single && symbol != "R")
    return "1";
  return absl::StrCat("static_cast<int>(step.num_",
                      symbol == "T"   ? "tokens"
                      : symbol == "B" ? "seqs"
                                      : "rows",
                      ")");
}

std::string Kernel::index(StringRef array, const std::string &index) {
  return absl::StrCat("step.", array.str(), "[", index, "]");
}

std::string Kernel::kvPage(mlir::Value state, const std::string &seq,
                           const std::string &page) const {
  const auto &[group, offset] = states_.at(state);
  return absl::StrCat("kv_page(step, ", group, ", ", offset, ", ", seq, ", ", page, ")");
}

std::string Kernel::fixedState(mlir::Value state, const std::string &seq) const {
  return absl::StrCat("fixed_state(step, ", states_.at(state).second, ", ", seq, ")");
}

std::string Kernel::fresh(StringRef stem) { return absl::StrCat(stem.str(), "_", names_++); }

std::string Kernel::shared(StringRef type, int64_t count, StringRef stem, Team team) {
  constexpr int64_t kAlign = 16, kWarps = 8;
  const int64_t size = type == "u8" ? 1 : type == "u64" || type == "double" ? 8 : 4;
  const int64_t each = llvm::alignTo(count * size, kAlign);
  const std::string name = fresh(stem);
  const std::string at = team == Team::Warp ? absl::StrCat(sharedTop_, " + warp() * ", each)
                                            : absl::StrCat(sharedTop_);
  text.line(type.str(), " *const ", name, " = reinterpret_cast<", type.str(), " *>(",
            plus("shared", at), "); // [", count, "]");
  sharedTop_ += team == Team::Warp ? kWarps * each : each;
  sharedBytes_ = std::max(sharedBytes_, sharedTop_);
  return name;
}

void Kernel::sync(Team team) { text.line(nameOf(team).str(), "::sync();"); }

} // namespace quern::cuda
