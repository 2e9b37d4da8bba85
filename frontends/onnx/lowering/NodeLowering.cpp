#include "frontends/onnx/lowering/NodeLowering.h"

#include "frontends/onnx/lowering/GraphLowering.h"
#include "frontends/onnx/lowering/Lowering.h"
#include "frontends/onnx/shapes/Rules.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <absl/strings/str_cat.h>

#include <unordered_map>
#include <utility>

namespace quern::onnx {
namespace {

const Fact kNothing;

constexpr char kWrongGraph[] = "the model is not as its exporter meant it: export it again";

using Table = std::unordered_map<std::string_view, const LoweringRow *>;

Table table_of(std::initializer_list<std::span<const LoweringRow>> families) {
  Table table;
  for (const auto &family : families)
    for (const LoweringRow &row : family)
      table.emplace(row.op, &row);
  return table;
}

} // namespace

const LoweringRow *find_lowering(std::string_view domain, std::string_view op) {
  static const Table standard =
      table_of({elementwise_lowerings(),  activation_lowerings(), cast_lowerings(),
                quantization_lowerings(), move_lowerings(),       slice_lowerings(),
                gather_lowerings(),       made_lowerings(),       reduction_lowerings(),
                softmax_lowerings(),      product_lowerings(),    einsum_lowerings(),
                convolution_lowerings(),  pool_lowerings(),       norm_lowerings(),
                loss_lowerings(),         attention_lowerings(),  linear_recurrence_lowerings(),
                recurrence_lowerings(),   resample_lowerings(),   grid_lowerings(),
                scatter_lowerings(),      order_lowerings(),      selection_lowerings()});
  static const Table microsoft = table_of({microsoft_lowerings()});
  if (!domain.empty() && domain != kMicrosoft)
    return nullptr;
  const Table &table = domain.empty() ? standard : microsoft;
  const auto found = table.find(op);
  return found == table.end() ? nullptr : found->second;
}

bool can_lower(std::string_view domain, std::string_view op) {
  return find_lowering(domain, op) != nullptr;
}

Arrays &NodeLowering::arrays() { return graph_.arrays(); }

const Fact &NodeLowering::fact(size_t i) const {
  return has(i) ? graph_.fact(node_.inputs[i]) : kNothing;
}

Sizes NodeLowering::shape(size_t i) const {
  const Fact &fact = this->fact(i);
  return fact.shape ? Sizes(*fact.shape) : Sizes();
}

Array NodeLowering::in(size_t i) {
  if (has(i))
    return graph_.array(node_.inputs[i]);
  refuse(absl::StrCat("it has no input ", i, ", which it needs here"), kWrongGraph);
  return arrays().empty(ElementType::Float32, {});
}

std::vector<Array> NodeLowering::all() {
  std::vector<Array> list;
  for (size_t i = 0; i < inputs(); ++i)
    if (has(i))
      list.push_back(in(i));
  return list;
}

std::optional<std::vector<int64_t>> NodeLowering::constants(size_t i) const {
  const auto list = dims(i);
  return list ? constant_shape(*list) : std::nullopt;
}

bool NodeLowering::is_weight(size_t i) const { return has(i) && graph_.is_weight(node_.inputs[i]); }

std::optional<Array> NodeLowering::linear(const Array &x, size_t weight, bool upright,
                                          std::optional<size_t> bias) {
  constexpr int64_t kLeast = 8;
  if (x.type != ElementType::Float32 || x.rank() < 2 || !is_weight(weight) ||
      type(weight) != ElementType::Float32 || rank(weight) != 2)
    return std::nullopt;
  const auto sizes = constant_shape(shape(weight));
  const int64_t inner = (*sizes)[upright ? 1 : 0], outer = (*sizes)[upright ? 0 : 1];
  if (inner < kLeast || outer < kLeast || (bias && (!is_weight(*bias) || rank(*bias) != 1)))
    return std::nullopt;
  mlir::OpBuilder &b = arrays().b();
  const mlir::Location loc = writer().loc;
  mlir::Value w = graph_.weight(node_.inputs[weight]);
  if (!upright)
    w = WeightTransposeOp::create(
        b, loc, WeightType::get(b.getContext(), {outer, inner}, b.getStringAttr("f32")), w);
  Dim rows = 1;
  for (size_t i = 0; i + 1 < x.rank(); ++i)
    rows *= x.shape[i];
  const auto rows_of = [&](int64_t columns) {
    return rowsType(b.getContext(), rows.text(), columns);
  };
  const mlir::Value in = ReshapeOp::create(b, loc, rows_of(inner), x.value);
  const mlir::Value out = LinearOp::create(
      b, loc, rows_of(outer), in, w, bias ? graph_.weight(node_.inputs[*bias]) : mlir::Value());
  Sizes shape = x.shape;
  shape.back() = outer;
  return Array{ReshapeOp::create(b, loc, arrays().type_of(x.type, shape), out), x.type, shape};
}

int64_t NodeLowering::integer(std::string_view name, int64_t otherwise) const {
  const Attribute *found = node_.find(name);
  return found != nullptr && found->kind == AttributeKind::Int ? found->ints[0] : otherwise;
}

double NodeLowering::number(std::string_view name, double otherwise) const {
  const Attribute *found = node_.find(name);
  return found != nullptr && found->kind == AttributeKind::Float ? found->floats[0] : otherwise;
}

std::optional<std::vector<int64_t>> NodeLowering::integers(std::string_view name) const {
  const Attribute *found = node_.find(name);
  return found != nullptr && found->kind == AttributeKind::Ints ? std::optional(found->ints)
                                                                : std::nullopt;
}

std::optional<std::vector<double>> NodeLowering::floats(std::string_view name) const {
  const Attribute *found = node_.find(name);
  if (found == nullptr || found->kind != AttributeKind::Floats)
    return std::nullopt;
  return std::vector<double>(found->floats.begin(), found->floats.end());
}

std::string NodeLowering::string(std::string_view name, std::string otherwise) const {
  const Attribute *found = node_.find(name);
  return found != nullptr && found->kind == AttributeKind::String ? found->strings[0] : otherwise;
}

ElementType NodeLowering::type_attribute(std::string_view name, ElementType otherwise) const {
  const auto type = find_element_type(integer(name, 0));
  return type && (is_float(*type) || is_integer(*type) || *type == ElementType::Bool) ? *type
                                                                                      : otherwise;
}

std::optional<std::vector<int64_t>> NodeLowering::attribute_or_input(std::string_view name,
                                                                     size_t input) const {
  return has_attribute(name) ? integers(name) : has(input) ? constants(input) : std::nullopt;
}

ElementType NodeLowering::out_type(size_t i) const {
  return wants(i) ? graph_.fact(node_.outputs[i]).type : type(0);
}

Sizes NodeLowering::out_shape(size_t i) const {
  return wants(i) ? Sizes(*graph_.fact(node_.outputs[i]).shape) : Sizes();
}

void NodeLowering::set(size_t i, const Array &array) {
  if (!wants(i) || refused_)
    return;
  Array result = array;
  result.shape = out_shape(i);
  const auto type = arrays().type_of(out_type(i), result.shape);
  for (size_t k = 0; k < array.rank(); ++k)
    arrays().demand(array.shape[k], result.shape[k]);
  if (result.value.getType() != type)
    result.value = mlir::tensor::CastOp::create(arrays().b(), writer().loc, type, result.value);
  graph_.set(node_.outputs[i], result);
}

bool NodeLowering::done(size_t i) const { return graph_.is_set(node_.outputs[i]); }

size_t NodeLowering::axis(int64_t value, size_t rank) {
  const auto count = static_cast<int64_t>(rank);
  if (value >= -count && value < count)
    return static_cast<size_t>(value < 0 ? value + count : value);
  if (!refused_)
    refuse(absl::StrCat("it names axis ", value, " of ", rank), kWrongGraph);
  return 0;
}

void NodeLowering::refuse(std::string what, std::string hint) {
  if (std::exchange(refused_, true))
    return; // what follows from it is not said again
  graph_.problems().add(node_.name, absl::StrCat(node_.qualified_op(), ": ", what),
                        hint.empty() ? "compile the model's Hugging Face folder or its GGUF file "
                                       "instead, or export it with other operators"
                                     : hint);
}

void NodeLowering::refuse_unknown(size_t i, std::string_view what) {
  refuse(
      absl::StrCat("its input ", i, ", ", std::string(what), ", is known only when the model runs"),
      "make it a constant of the model");
}

void NodeLowering::note(std::string what) {
  graph_.notes().push_back(absl::StrCat(node_.name, ": ", what));
}

} // namespace quern::onnx
