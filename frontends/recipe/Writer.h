// The class that writes a recipe's IR, whose methods lie in Builder.cpp (the decoder, attention and
// MLPs), Encoders.cpp, LatentAttention.cpp, LinearAttention.cpp, DeltaNet.cpp, Hgrn.cpp, Hyena.cpp,
// Lru.cpp, Mamba3.cpp, Mlstm.cpp, Rwkv.cpp, Mixers.cpp (what else keeps a state of fixed size) and
// Mixtures.cpp (experts). No one else's.
#ifndef QUERN_FRONTENDS_RECIPE_WRITER_H
#define QUERN_FRONTENDS_RECIPE_WRITER_H

#include "frontends/recipe/Builder.h"
#include "ir/quern/QuernDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Location.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/StringSet.h"

#include <string>
#include <utility>

namespace quern::recipe {

using mlir::FloatAttr;
using mlir::IntegerAttr;
using mlir::Location;
using mlir::MLIRContext;
using mlir::ModuleOp;
using mlir::NameLoc;
using mlir::OpBuilder;
using mlir::OwningOpRef;
using mlir::RankedTensorType;
using mlir::UnknownLoc;
using mlir::Value;

/// The kind that a recipe names; families take names from known_activations(), which the tests hold
/// to the dialect.
inline UnaryKind unary_kind(const std::string &activation) {
  if (std::optional<UnaryKind> kind = symbolizeUnaryKind(activation))
    return *kind;
  llvm::report_fatal_error("quern.unary has no function " + llvm::StringRef(activation));
}

/// What a recurrence is given; null where it is without.
struct RecurrenceOperands {
  Value r, k, v, decay;
  Value rate{}, beta{}, a{}, b{}, bonus{};
};

/// Writes ops at one place. Every method takes the rows it works on and returns the rows it makes.
class Writer {
public:
  Writer(const Decoder &decoder, const Source &source, MLIRContext &context)
      : decoder_(decoder), source_(source), b_(&context) {}

  OwningOpRef<ModuleOp> write();
  /// Declares the weights in the module and writes the encoding's stages at `place`.
  Value write_stages(ModuleOp module, OpBuilder &place, Value rows);

  // Blocks.
  Value operator()(const Attention &a);
  Value operator()(const Mla &m);
  Value operator()(const Mamba1 &m);
  Value operator()(const Mamba2 &m);
  Value operator()(const DeltaNet &m);
  Value operator()(const LinearAttention &m);
  Value operator()(const Hgrn &m);
  Value operator()(const Mamba3 &m);
  Value operator()(const ShortConv &m);
  Value operator()(const Hyena &m);
  Value operator()(const Lru &m);
  Value operator()(const Mlstm &m);
  Value operator()(const Rwkv4 &m);
  Value operator()(const Rwkv6 &m);
  Value operator()(const Rwkv7 &m);
  Value operator()(const RwkvMlp &m);
  Value operator()(const GatedMlp &m);
  Value operator()(const Mlp &m);
  Value operator()(const Moe &m);
  Value operator()(const Linear &l) { return linear(l, x_); }

private:
  void declare_weights();
  /// Begins an entry of one result; the batch is its last input.
  mlir::Block *begin_entry(llvm::StringRef name, llvm::ArrayRef<mlir::Type> inputs,
                           mlir::Type result);
  void write_step();
  void write_encode();
  /// The stream behind the last layer. `types` is null where tokens have but one.
  Value last_rows(Value tokens, Value types);
  Value logits(Value tokens, Value rows);
  Value pooled(Value x);
  Value staged(Value y);
  Value attention_rows(const Attention &a, Value q, Value k, Value v);

  // Names.
  void at(llvm::StringRef module) { loc_ = NameLoc::get(b_.getStringAttr(module)); }
  Value weight(const std::string &name);
  Value state(const std::string &name, StateKind kind, llvm::ArrayRef<int64_t> shape,
              bool shared = false);

  // Ops.
  RankedTensorType rows_like(Value x, int64_t cols) {
    return rowsType(b_.getContext(), rowsOf(x.getType()), cols);
  }
  FloatAttr f32(double value) { return b_.getF32FloatAttr(static_cast<float>(value)); }
  WeightType weight_type(Value like, llvm::ArrayRef<int64_t> shape) {
    return WeightType::get(b_.getContext(), shape,
                           mlir::cast<WeightType>(like.getType()).getFormat());
  }
  Value all_parts(const std::string &name);
  Value expert_rows(const ExpertLinear &l, Value w, llvm::ArrayRef<int64_t> shape);
  Value experts(const ExpertLinear &l, Value x, Value ids);
  Value rows_of(const Rows &rows, Value stored, llvm::ArrayRef<int64_t> shape);
  /// `fn` of a weight (quern.weight_map), in float32.
  Value map(llvm::StringRef fn, Value weight, FloatAttr factor = {}) {
    auto type =
        WeightType::get(b_.getContext(), mlir::cast<WeightType>(weight.getType()).getShape(),
                        b_.getStringAttr("f32"));
    return WeightMapOp::create(b_, loc_, type, weight, b_.getStringAttr(fn), factor);
  }
  Value norm_weight(const Norm &n);
  Value scale(Value x, double factor) {
    return factor == 1 ? x : ScaleOp::create(b_, loc_, x.getType(), x, f32(factor));
  }
  Value clip(Value x, double bound) {
    return bound == 0 ? x : ClampOp::create(b_, loc_, x.getType(), x, f32(-bound), f32(bound));
  }
  Value looked_up(const std::string &module, Value ids);
  Value embedded(Value tokens, Value types);
  Value linear(const Linear &l, Value x);
  Value norm(const Norm &n, Value x);
  Value unary(UnaryKind fn, Value x) { return UnaryOp::create(b_, loc_, x.getType(), fn, x); }
  Value binary(BinaryKind fn, Value x, Value y, int64_t repeat = 1) {
    return BinaryOp::create(b_, loc_, x.getType(), fn, x, y, static_cast<uint64_t>(repeat));
  }
  Value linear_recurrence(const RecurrenceOperands &of, Value state, int64_t groups,
                          DecayKind decay_kind);
  /// The convolution of `module` over x, whose window has that name too, and its activation. What
  /// the weight holds is as `weight` has it.
  Value convolution(const std::string &name, Value x, int64_t kernel, Value weight, Value bias,
                    const std::string &activation);
  /// As above, of a weight [channels, kernel] in `module.weight`, without a bias.
  Value convolution(const std::string &module, Value x, int64_t kernel,
                    const std::string &activation) {
    at(module);
    return convolution(module, x, kernel, weight(module + ".weight"), Value(), activation);
  }
  /// A function of quern.unary, nothing where `name` is empty, or "elu_plus_one": 1 + x above 0,
  /// exp(x) below.
  Value feature(const std::string &name, Value x);
  /// Rows of `cols` times a constant; `like` has as many columns or more.
  Value constant(Value like, int64_t cols, double value) {
    Value x = slice(like, 0, cols);
    return ClampOp::create(b_, loc_, x.getType(), x, f32(value), f32(value));
  }
  /// x, in heads, of which each is there `times` times on end.
  Value repeated(Value x, int64_t heads, int64_t times) {
    return times == 1 ? x : concat(llvm::SmallVector<Value>(static_cast<size_t>(times), x), heads);
  }
  /// x, in heads, each divided by max(sum of |x|, 1e-6).
  Value shares(Value x, int64_t heads);
  Value mapped(const LinearAttention &m, const std::vector<Linear> &maps, bool sum, Value x);
  Value retained(int64_t heads);
  std::pair<Value, Value> turned(const Mamba3 &m, Value angles, Value dt);
  Value rotated(const Mamba3 &m, Value x, Value cosine, Value sine);
  Value by_rank(const Mamba3 &m, const std::string &tensor, int64_t cols);
  Value gated(const std::string &fn, Value gate, Value up) {
    return GatedActOp::create(b_, loc_, up.getType(), unary_kind(fn), gate, up);
  }
  Value concat(llvm::ArrayRef<Value> parts, int64_t groups);
  Value slice(Value x, int64_t offset, int64_t cols) {
    return SliceOp::create(b_, loc_, rows_like(x, cols), x, static_cast<uint64_t>(offset));
  }
  /// `cols` columns of each of `groups` runs of x's.
  Value slice(Value x, int64_t offset, int64_t cols, int64_t groups) {
    return SliceOp::create(b_, loc_, rows_like(x, groups * cols), x, static_cast<uint64_t>(offset),
                           static_cast<uint64_t>(groups));
  }
  Value rope(const Attention &a, Value x);
  Value mixed(Value from, Value to, Value mix);
  Value mixed(Value from, Value to, const Vector &mix) { return mixed(from, to, vector(mix)); }
  Value vector(const Vector &v);
  Value added_mixes(const Rwkv6::Mixes &m, Value before);
  Value unit(Value x, int64_t group, double eps, double factor = 1);
  Value shifted(const std::string &module, Value x);
  Value starts();
  Value ones();
  Value capped(Value x, double cap);

  const Decoder &decoder_;
  const Source &source_;
  OpBuilder b_;
  OpBuilder declarations_{b_}; ///< at the end of the module's declarations
  Location loc_ = UnknownLoc::get(b_.getContext());
  llvm::StringMap<WeightType> weights_;
  llvm::StringMap<llvm::SmallVector<std::string>> parts_; ///< of weights declared in parts
  llvm::StringSet<> upright_; ///< weights of transposed linears that are [out, in] all the same
  llvm::SmallVector<Value> tables_; ///< of decoder_.ropes
  Value normed_;                    ///< what the last sublayer's norm gave
  Value x_;                         ///< the block's input
  Value batch_;
  Value starts_, ones_, retained_; ///< once they are there
  Value first_values_;             ///< RWKV-7's, of its first layer
};

} // namespace quern::recipe

#endif // QUERN_FRONTENDS_RECIPE_WRITER_H
