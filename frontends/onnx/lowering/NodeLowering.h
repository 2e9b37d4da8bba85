// What the lowering of one node sees of it, and the table of lowerings.
#ifndef QUERN_FRONTENDS_ONNX_LOWERING_NODELOWERING_H
#define QUERN_FRONTENDS_ONNX_LOWERING_NODELOWERING_H

#include "frontends/onnx/Graph.h"
#include "frontends/onnx/lowering/Arrays.h"
#include "frontends/onnx/shapes/Inference.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace quern::onnx {

class GraphLowering;

class NodeLowering {
public:
  NodeLowering(GraphLowering &graph, const Node &node) : graph_(graph), node_(node) {}

  const Node &node() const { return node_; }
  std::string_view op() const { return node_.op; }
  int64_t version() const { return node_.version; }
  Arrays &arrays();
  Writer &writer() { return arrays().writer(); }

  // Inputs.
  size_t inputs() const { return node_.inputs.size(); }
  bool has(size_t i) const { return i < inputs() && node_.inputs[i] != kNoValue; }
  const Fact &fact(size_t i) const;
  ElementType type(size_t i) const { return fact(i).type; }
  /// Empty for an input that is not there.
  Sizes shape(size_t i) const;
  size_t rank(size_t i) const { return shape(i).size(); }
  Array in(size_t i);
  /// All inputs.
  std::vector<Array> all();
  /// The input's elements where they are known before the model runs, as integers or numbers.
  std::optional<std::vector<int64_t>> constants(size_t i) const;
  std::optional<std::vector<Dim>> dims(size_t i) const { return fact(i).integers(); }
  std::optional<std::vector<double>> numbers(size_t i) const { return fact(i).numbers(); }
  /// Whether the input is a float initializer that is referred to in a file.
  bool is_weight(size_t i) const;
  /// quern.linear of rows with input `weight`, [K, N] or with `upright` [N, K]; null where it is no
  /// such weight.
  std::optional<Array> linear(const Array &x, size_t weight, bool upright,
                              std::optional<size_t> bias);

  // Attributes; their kinds were checked when shapes were inferred, or are taken as absent.
  bool has_attribute(std::string_view name) const { return node_.find(name) != nullptr; }
  int64_t integer(std::string_view name, int64_t otherwise) const;
  double number(std::string_view name, double otherwise) const;
  std::optional<std::vector<int64_t>> integers(std::string_view name) const;
  std::optional<std::vector<double>> floats(std::string_view name) const;
  std::string string(std::string_view name, std::string otherwise) const;
  ElementType type_attribute(std::string_view name, ElementType otherwise) const;
  /// Integers that an attribute gives or an input, if known before the model runs.
  std::optional<std::vector<int64_t>> attribute_or_input(std::string_view name, size_t input) const;

  // Results.
  size_t outputs() const { return node_.outputs.size(); }
  bool wants(size_t i) const { return i < outputs() && node_.outputs[i] != kNoValue; }
  ElementType out_type(size_t i = 0) const;
  Sizes out_shape(size_t i = 0) const;
  /// The result, brought to the type that was inferred; one that is not wanted is dropped.
  void set(size_t i, const Array &array);
  void set(const Array &array) { set(0, array); }
  bool done(size_t i) const;

  /// Why the node is not lowered; `what` follows its name, `hint` says what to do.
  void refuse(std::string what, std::string hint = "");
  /// Of input `i`, which would have to be known before the model runs.
  void refuse_unknown(size_t i, std::string_view what);
  bool refused() const { return refused_; }
  /// Something that is believed of this run, for the user to read.
  void note(std::string what);

  /// Counted from the front; the node is refused, and 0, where there is no such axis.
  size_t axis(int64_t value, size_t rank);

private:
  GraphLowering &graph_;
  const Node &node_;
  bool refused_ = false;
};

/// What its first input's elements may be.
enum class Takes : uint8_t {
  Any,
  Numbers, ///< floats that arithmetic is done in, and integers
  Reals,   ///< such floats
  Integers,
  SmallIntegers, ///< of 8 bits
  Bools,
};

struct LoweringRow {
  std::string_view op;
  void (*lower)(NodeLowering &);
  Takes takes = Takes::Any;
  size_t rank = 0; ///< that its first input has at least
};

/// Null for an op that is not lowered.
const LoweringRow *find_lowering(std::string_view domain, std::string_view op);

// By family, each in the file of its name.
std::span<const LoweringRow> elementwise_lowerings();
std::span<const LoweringRow> activation_lowerings();
std::span<const LoweringRow> cast_lowerings();
std::span<const LoweringRow> quantization_lowerings();
std::span<const LoweringRow> move_lowerings();
std::span<const LoweringRow> slice_lowerings();
std::span<const LoweringRow> gather_lowerings();
std::span<const LoweringRow>
made_lowerings(); ///< tensors made of sizes and numbers, MadeTensors.cpp
std::span<const LoweringRow> reduction_lowerings();
std::span<const LoweringRow> softmax_lowerings();
std::span<const LoweringRow> product_lowerings();
std::span<const LoweringRow> einsum_lowerings();
std::span<const LoweringRow> convolution_lowerings();
std::span<const LoweringRow> pool_lowerings();
std::span<const LoweringRow> norm_lowerings();
std::span<const LoweringRow> loss_lowerings();
std::span<const LoweringRow> attention_lowerings();
std::span<const LoweringRow> linear_recurrence_lowerings();
std::span<const LoweringRow> recurrence_lowerings();
std::span<const LoweringRow> resample_lowerings();
std::span<const LoweringRow> grid_lowerings();
std::span<const LoweringRow> scatter_lowerings();
std::span<const LoweringRow> order_lowerings();
std::span<const LoweringRow> selection_lowerings();
std::span<const LoweringRow> microsoft_lowerings();

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_LOWERING_NODELOWERING_H
