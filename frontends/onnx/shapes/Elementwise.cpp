// Ops whose results have one element for each of their inputs', which are broadcast to each other.
#include "frontends/onnx/shapes/Elements.h"
#include "frontends/onnx/shapes/Rules.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace quern::onnx {
namespace {

/// The result of an op with these inputs' elements, or nothing known.
using Function = Element (*)(const NodeShapes &, const std::vector<Element> &);

struct Scalar {
  std::string_view op;
  Function of;
};

using Args = std::vector<Element>;

/// Both as expressions: one of them at least depends on sizes, or the type is an integer.
template <typename Op> Element on_dims(const Args &args, Op op) {
  const auto a = as_dim(args[0]), b = as_dim(args[1]);
  if (!a || !b)
    return {};
  const Dim result = op(*a, *b);
  return result.valid() ? Element(result) : Element();
}

/// Floats that are constant are computed as such, all else as expressions.
template <typename OnNumbers, typename OnDims>
Element arithmetic(const NodeShapes &node, const Args &args, OnNumbers on_numbers, OnDims dims) {
  const auto a = as_number(args[0]), b = as_number(args[1]);
  if (is_float(node.type(0)) && a && b)
    return rounded(node.type(0), on_numbers(*a, *b));
  return on_dims(args, dims);
}

Element divide(const NodeShapes &node, const Args &args) {
  const auto a = as_number(args[0]), b = as_number(args[1]);
  if (!is_float(node.type(0)))
    return on_dims(args, [](const Dim &x, const Dim &y) { return symbols::truncdiv(x, y); });
  if (a && b)
    return rounded(node.type(0), *a / *b);
  // A float that depends on sizes is known where the division leaves no fraction.
  return on_dims(args, [](const Dim &x, const Dim &y) {
    const Dim quotient = symbols::floordiv(x, y);
    return quotient * y == x ? quotient : Dim::invalid();
  });
}

Element modulo(const NodeShapes &node, const Args &args) {
  const Attribute *fmod = node.node().find("fmod");
  if (is_float(node.type(0)) || (fmod != nullptr && fmod->ints == std::vector<int64_t>{1}))
    return {};
  return on_dims(args, [](const Dim &x, const Dim &y) { return symbols::mod(x, y); });
}

Element power(const NodeShapes &node, const Args &args) {
  const auto a = as_number(args[0]), b = as_number(args[1]);
  if (is_float(node.type(0)))
    return a && b ? rounded(node.type(0), std::pow(*a, *b)) : Element();
  return on_dims(args, [](const Dim &x, const Dim &y) {
    const auto times = y.constant();
    Dim product = 1;
    for (int64_t i = 0; times && i < *times && i < 8; ++i)
      product *= x;
    return times && *times >= 0 && *times <= 8 ? product : Dim::invalid();
  });
}

Element compare(const Args &args, bool (*numbers)(double, double),
                Dim (*dims)(const Dim &, const Dim &)) {
  const auto a = as_number(args[0]), b = as_number(args[1]);
  if (a && b)
    return Dim(numbers(*a, *b));
  return on_dims(args, dims);
}

template <typename Op> Element unary(const NodeShapes &node, const Args &args, Op op) {
  const auto a = as_number(args[0]);
  return a && is_float(node.type(0)) ? rounded(node.type(0), op(*a)) : Element();
}

/// An op that leaves integers, of floats too, as they are.
template <typename Op> Element rounding(const NodeShapes &node, const Args &args, Op op) {
  if (const Dim *dim = std::get_if<Dim>(&args[0]); dim != nullptr && !dim->is_constant())
    return *dim;
  return unary(node, args, op);
}

// Truth is 1 or 0.
Dim both(const Dim &a, const Dim &b) { return a * b; }
Dim either(const Dim &a, const Dim &b) { return a + b - a * b; }

constexpr std::array<Scalar, 29> kFunctions = {{
    {"Add",
     [](const NodeShapes &n, const Args &a) {
       return arithmetic(n, a, std::plus<>(), std::plus<>());
     }},
    {"Sub",
     [](const NodeShapes &n, const Args &a) {
       return arithmetic(n, a, std::minus<>(), std::minus<>());
     }},
    {"Mul",
     [](const NodeShapes &n, const Args &a) {
       return arithmetic(n, a, std::multiplies<>(), std::multiplies<>());
     }},
    {"Div", divide},
    {"Mod", modulo},
    {"Pow", power},
    {"Min",
     [](const NodeShapes &n, const Args &a) {
       return arithmetic(
           n, a, [](double x, double y) { return std::min(x, y); },
           [](const Dim &x, const Dim &y) { return symbols::min(x, y); });
     }},
    {"Max",
     [](const NodeShapes &n, const Args &a) {
       return arithmetic(
           n, a, [](double x, double y) { return std::max(x, y); },
           [](const Dim &x, const Dim &y) { return symbols::max(x, y); });
     }},
    {"Equal",
     [](const NodeShapes &, const Args &a) {
       return compare(a, [](double x, double y) { return x == y; }, symbols::equal);
     }},
    {"Less",
     [](const NodeShapes &, const Args &a) {
       return compare(a, [](double x, double y) { return x < y; }, symbols::less);
     }},
    {"Greater",
     [](const NodeShapes &, const Args &a) {
       return compare(
           a, [](double x, double y) { return x > y; },
           [](const Dim &x, const Dim &y) { return symbols::less(y, x); });
     }},
    {"LessOrEqual",
     [](const NodeShapes &, const Args &a) {
       return compare(
           a, [](double x, double y) { return x <= y; },
           [](const Dim &x, const Dim &y) { return Dim(1) - symbols::less(y, x); });
     }},
    {"GreaterOrEqual",
     [](const NodeShapes &, const Args &a) {
       return compare(
           a, [](double x, double y) { return x >= y; },
           [](const Dim &x, const Dim &y) { return Dim(1) - symbols::less(x, y); });
     }},
    {"And", [](const NodeShapes &, const Args &a) { return on_dims(a, both); }},
    {"Or", [](const NodeShapes &, const Args &a) { return on_dims(a, either); }},
    {"Xor",
     [](const NodeShapes &, const Args &a) {
       return on_dims(a, [](const Dim &x, const Dim &y) { return x + y - Dim(2) * x * y; });
     }},
    {"Not",
     [](const NodeShapes &, const Args &a) {
       const auto x = as_dim(a[0]);
       return x ? Element(Dim(1) - *x) : Element();
     }},
    {"Where",
     [](const NodeShapes &, const Args &a) {
       const auto condition = as_dim(a[0]);
       if (condition && condition->is_constant())
         return condition->is(0) ? a[2] : a[1];
       const auto yes = as_dim(a[1]), no = as_dim(a[2]);
       if (yes && no && *yes == *no)
         return a[1];
       if (!condition || !yes || !no)
         return Element();
       const Dim chosen = symbols::choose(*condition, *yes, *no);
       return chosen.valid() ? Element(chosen) : Element();
     }},
    {"Neg",
     [](const NodeShapes &n, const Args &a) {
       const auto x = as_dim(a[0]);
       return is_float(n.type(0)) && as_number(a[0]) ? Element(-*as_number(a[0]))
              : x                                   ? Element(-*x)
                                                    : Element();
     }},
    {"Abs",
     [](const NodeShapes &n, const Args &a) {
       const auto x = as_dim(a[0]);
       return is_float(n.type(0)) && as_number(a[0]) ? Element(std::fabs(*as_number(a[0])))
              : x                                   ? Element(symbols::max(*x, -*x))
                                                    : Element();
     }},
    {"Floor",
     [](const NodeShapes &n, const Args &a) {
       return rounding(n, a, [](double x) { return std::floor(x); });
     }},
    {"Ceil",
     [](const NodeShapes &n, const Args &a) {
       return rounding(n, a, [](double x) { return std::ceil(x); });
     }},
    {"Round",
     [](const NodeShapes &n, const Args &a) {
       return rounding(n, a, [](double x) { return std::nearbyint(x); });
     }},
    {"Sqrt",
     [](const NodeShapes &n, const Args &a) {
       return unary(n, a, [](double x) { return std::sqrt(x); });
     }},
    {"Reciprocal",
     [](const NodeShapes &n, const Args &a) { return unary(n, a, [](double x) { return 1 / x; }); }},
    {"Exp",
     [](const NodeShapes &n, const Args &a) {
       return unary(n, a, [](double x) { return std::exp(x); });
     }},
    {"Log",
     [](const NodeShapes &n, const Args &a) {
       return unary(n, a, [](double x) { return std::log(x); });
     }},
    {"Relu",
     [](const NodeShapes &n, const Args &a) {
       const auto x = as_dim(a[0]);
       return is_float(n.type(0)) && as_number(a[0]) ? Element(std::max(0., *as_number(a[0])))
              : x                                   ? Element(symbols::max(*x, 0))
                                                    : Element();
     }},
    {"Identity", [](const NodeShapes &, const Args &a) { return a[0]; }},
}};

/// The elements of the result of the node's op, where they can be known.
void fold(NodeShapes &node, ElementType type) {
  const auto function = std::ranges::find(kFunctions, node.node().op, &Scalar::op);
  if (function == kFunctions.end())
    return;
  if (node.node().op == "Max" || node.node().op == "Min")
    return fold_many(
        node, type, [&](const Element &a, const Element &b) { return function->of(node, {a, b}); });
  fold_elements(node, type, [&](const Args &args) { return function->of(node, args); });
}

void any_number(NodeShapes &node, ElementType type, size_t first) {
  Shape shape = node.shape(first);
  for (size_t i = first + 1; i < node.inputs(); ++i) {
    if (!node.has_shape(i))
      return node.set_type(0, type);
    shape = node.broadcast(shape, node.shape(i));
  }
  node.set(0, type, std::move(shape));
  fold(node, type);
}

void of_one(NodeShapes &node) {
  node.set(0, node.type(0), node.shape(0));
  fold(node, node.type(0));
}

void arithmetic_op(NodeShapes &node) {
  for (size_t i = 1; i < node.inputs(); ++i)
    node.want_same_type(0, i);
  any_number(node, node.type(0), 0);
}

/// The second input's type may differ: an exponent, a slope, a shift.
void of_first_type(NodeShapes &node) { any_number(node, node.type(0), 0); }

void comparison(NodeShapes &node) {
  node.want_same_type(0, 1);
  any_number(node, ElementType::Bool, 0);
}

void test(NodeShapes &node) {
  node.set(0, ElementType::Bool, node.shape(0));
  fold(node, ElementType::Bool);
}

void where(NodeShapes &node) {
  node.want_same_type(1, 2);
  any_number(node, node.type(1), 0);
}

void prelu(NodeShapes &node) { node.set(0, node.type(0), node.shape(0)); }

void cast_to(NodeShapes &node, ElementType to) {
  node.set(0, to, node.shape(0));
  fold_elements(node, to, [&](const Args &args) { return cast(args[0], node.type(0), to); });
}

void cast_op(NodeShapes &node) {
  if (!node.has_attribute("to"))
    return node.fail("it does not say to which type");
  cast_to(node, node.type_attribute("to", ElementType::Undefined));
}

void cast_like(NodeShapes &node) { cast_to(node, node.type(1)); }

void bit_cast(NodeShapes &node) {
  node.set(0, node.type_attribute("to", ElementType::Undefined), node.shape(0));
}

void dropout(NodeShapes &node) {
  node.copy(0, 0);
  node.set(1, ElementType::Bool, node.shape(0));
}

void batch_normalization(NodeShapes &node) {
  node.set(0, node.type(0), node.shape(0));
  for (size_t i = 1; i < node.outputs(); ++i)
    node.set(i, node.type(3), node.shape(3));
}

/// A loss, or a norm's statistics, keep the leading dimensions.
void layer_normalization(NodeShapes &node) {
  const size_t rank = node.rank(0);
  if (!node.want_rank_at_least(0, 1))
    return;
  const size_t axis = node.axis(node.integer("axis", -1), rank);
  node.set(0, node.type(1) == ElementType::Undefined ? node.type(0) : node.type(1), node.shape(0));
  Shape statistics = node.shape(0);
  std::fill(statistics.begin() + static_cast<ptrdiff_t>(axis), statistics.end(), Dim(1));
  for (size_t i = 1; i < node.outputs(); ++i)
    node.set(i, ElementType::Float32, statistics);
}

void like(NodeShapes &node) {
  node.set(0, node.type_attribute("dtype", node.type(0)), node.shape(0));
}

void random(NodeShapes &node) {
  const auto shape = node.integers("shape");
  if (!shape)
    return node.fail("it does not say of which shape");
  node.set(0, node.type_attribute("dtype", ElementType::Float32),
           Shape(shape->begin(), shape->end()));
}

void swiglu(NodeShapes &node) {
  node.want_same_type(0, 1);
  node.set(0, node.type(0), node.broadcast(node.shape(0), node.shape(1)));
}

void identity(NodeShapes &node) { node.copy(0, 0); }

constexpr Rule kRules[] = {
    {"Identity", identity, 1, true},
    {"Cast", cast_op},
    {"CastLike", cast_like, 1},
    {"BitCast", bit_cast},
    {"Dropout", dropout},
    {"BatchNormalization", batch_normalization, 5},
    {"LayerNormalization", layer_normalization},
    {"SimplifiedLayerNormalization", layer_normalization, 2},
    {"RMSNormalization", layer_normalization, 2},
    {"Bernoulli", like},
    {"RandomNormalLike", like},
    {"RandomUniformLike", like},
    {"RandomNormal", random, 0},
    {"RandomUniform", random, 0},
    {"SwiGLU", swiglu, 2},
    {"Where", where, 3},
    {"PRelu", prelu, 2},
    {"Pow", of_first_type, 2},
    {"BitShift", arithmetic_op, 2},
    // of two or more
    {"Add", arithmetic_op, 2},
    {"Sub", arithmetic_op, 2},
    {"Mul", arithmetic_op, 2},
    {"Div", arithmetic_op, 2},
    {"Mod", arithmetic_op, 2},
    {"BitwiseAnd", arithmetic_op, 2},
    {"BitwiseOr", arithmetic_op, 2},
    {"BitwiseXor", arithmetic_op, 2},
    {"Max", arithmetic_op},
    {"Min", arithmetic_op},
    {"Mean", arithmetic_op},
    {"Sum", arithmetic_op},
    {"Equal", comparison, 2},
    {"Less", comparison, 2},
    {"LessOrEqual", comparison, 2},
    {"Greater", comparison, 2},
    {"GreaterOrEqual", comparison, 2},
    {"And", comparison, 2},
    {"Or", comparison, 2},
    {"Xor", comparison, 2},
    {"Not", test},
    {"IsNaN", test},
    {"IsInf", test},
    // of one
    {"Abs", of_one},
    {"Acos", of_one},
    {"Acosh", of_one},
    {"Asin", of_one},
    {"Asinh", of_one},
    {"Atan", of_one},
    {"Atanh", of_one},
    {"BitwiseNot", of_one},
    {"Ceil", of_one},
    {"Celu", of_one},
    {"Clip", of_one},
    {"Cos", of_one},
    {"Cosh", of_one},
    {"CumProd", of_one},
    {"CumSum", of_one},
    {"Elu", of_one},
    {"Erf", of_one},
    {"Exp", of_one},
    {"Floor", of_one},
    {"Gelu", of_one},
    {"GroupNormalization", of_one},
    {"HardSigmoid", of_one},
    {"HardSwish", of_one},
    {"Hardmax", of_one},
    {"InstanceNormalization", of_one},
    {"LRN", of_one},
    {"LeakyRelu", of_one},
    {"Log", of_one},
    {"LogSoftmax", of_one},
    {"LpNormalization", of_one},
    {"MeanVarianceNormalization", of_one},
    {"Mish", of_one},
    {"Neg", of_one},
    {"Reciprocal", of_one},
    {"Relu", of_one},
    {"Round", of_one},
    {"Selu", of_one},
    {"Shrink", of_one},
    {"Sigmoid", of_one},
    {"Sign", of_one},
    {"Sin", of_one},
    {"Sinh", of_one},
    {"Softmax", of_one},
    {"Softplus", of_one},
    {"Softsign", of_one},
    {"Sqrt", of_one},
    {"Swish", of_one},
    {"Tan", of_one},
    {"Tanh", of_one},
    {"ThresholdedRelu", of_one},
    {"Trilu", of_one},
};

} // namespace

std::span<const Rule> elementwise_rules() { return kRules; }

} // namespace quern::onnx
