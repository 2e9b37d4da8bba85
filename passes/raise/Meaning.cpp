#include "passes/raise/Meaning.h"

#include "ir/reference/Interpreter.h"
#include "passes/raise/Rows.h"

#include <cmath>
#include <random>

using namespace mlir;

namespace quern::raise {
namespace {

constexpr UnaryKind kUnary[] = {
    UnaryKind::relu,        UnaryKind::gelu_erf,  UnaryKind::gelu_tanh,  UnaryKind::silu,
    UnaryKind::sigmoid,     UnaryKind::tanh,      UnaryKind::quick_gelu, UnaryKind::softplus,
    UnaryKind::exp,         UnaryKind::relu2,     UnaryKind::mish,       UnaryKind::relu6,
    UnaryKind::leaky_relu,  UnaryKind::hardswish, UnaryKind::gelu_10,    UnaryKind::abs,
    UnaryKind::log_sigmoid, UnaryKind::sin,       UnaryKind::cos};

double binary(BinaryKind kind, double a, double b) {
  switch (kind) {
  case BinaryKind::add:
    return a + b;
  case BinaryKind::mul:
    return a * b;
  case BinaryKind::sub:
    return a - b;
  case BinaryKind::max:
    return std::max(a, b);
  case BinaryKind::div:
    return a / b;
  }
  llvm_unreachable("a binary is one of these");
}
constexpr BinaryKind kBinary[] = {BinaryKind::add, BinaryKind::mul, BinaryKind::sub,
                                  BinaryKind::div, BinaryKind::max};

/// What was given and what came out.
struct Samples {
  std::vector<double> first, second, result;

  bool agree(llvm::function_ref<double(double, double)> function) const {
    for (size_t i = 0; i < result.size(); ++i)
      if (!close(function(first[i], second.empty() ? 0 : second[i]), result[i]))
        return false;
    return true;
  }
};

std::optional<Meaning> ofOne(const Samples &samples, Value x) {
  if (samples.agree([](double a, double) { return a; }))
    return Meaning{.kind = Meaning::Kind::Same, .first = x};
  for (UnaryKind kind : kUnary)
    if (samples.agree([&](double a, double) { return reference::unary_value(kind, a); }))
      return Meaning{.kind = Meaning::Kind::Unary, .first = x, .unary = kind};
  // The first number is far from 0 (below).
  const double factor = samples.result[0] / samples.first[0];
  if (std::isfinite(factor) && samples.agree([&](double a, double) { return factor * a; }))
    return Meaning{.kind = Meaning::Kind::Scale, .first = x, .factor = factor};
  return std::nullopt;
}

std::optional<Meaning> ofTwo(const Samples &samples, Value x, Value y, bool vector) {
  for (BinaryKind kind : kBinary)
    if (samples.agree([&](double a, double b) { return binary(kind, a, b); }))
      return Meaning{.kind = Meaning::Kind::Binary, .first = x, .second = y, .binary = kind};
  if (vector)
    return std::nullopt;
  for (BinaryKind kind : {BinaryKind::sub, BinaryKind::div})
    if (samples.agree([&](double a, double b) { return binary(kind, b, a); }))
      return Meaning{.kind = Meaning::Kind::Binary, .first = y, .second = x, .binary = kind};
  for (UnaryKind kind : kUnary) {
    if (samples.agree([&](double a, double b) { return reference::unary_value(kind, a) * b; }))
      return Meaning{.kind = Meaning::Kind::Gated, .first = x, .second = y, .unary = kind};
    if (samples.agree([&](double a, double b) { return reference::unary_value(kind, b) * a; }))
      return Meaning{.kind = Meaning::Kind::Gated, .first = y, .second = x, .unary = kind};
  }
  return std::nullopt;
}

} // namespace

bool close(double a, double b) {
  if (std::isnan(a) || std::isnan(b))
    return false;
  return std::abs(a - b) <= 1e-6 * (1 + std::min(std::abs(a), std::abs(b)));
}

reference::Tensor normalNumbers(Type element, std::vector<int64_t> shape, uint64_t seed,
                                double scale) {
  auto tensor = reference::Tensor::zeros(element, std::move(shape));
  reference::Tensor numbers = tensor.ok() ? *std::move(tensor) : reference::Tensor();
  // The same everywhere: no library's normal_distribution.
  std::mt19937_64 generator(seed);
  for (double &number : numbers.floats) {
    double sum = 0;
    for (int i = 0; i < 12; ++i)
      sum += static_cast<double>(generator() >> 11) * 0x1p-53;
    number = static_cast<float>((sum - 6) * scale);
  }
  return numbers;
}

std::optional<Meaning> meaningOf(const Piece &piece) {
  const auto type = cast<RankedTensorType>(piece.root()->getResult(0).getType());
  SmallVector<size_t> tensors, vectors;
  for (auto [i, leaf] : llvm::enumerate(piece.leaves())) {
    if (leaf.getType() == type)
      tensors.push_back(i);
    else if (isVector(leaf, type))
      vectors.push_back(i);
    else
      return std::nullopt;
  }
  if (tensors.empty() || tensors.size() + vectors.size() > 2)
    return std::nullopt;
  auto function = Function::of(piece);
  if (!function.ok())
    return std::nullopt;
  std::vector<reference::Tensor> given;
  for (size_t i = 0; i < piece.leaves().size(); ++i)
    given.push_back(normalNumbers(type.getElementType(), function->shape(i), i + 1, 4));
  // Numbers that tell functions apart wherever they bend.
  constexpr double kNumbers[] = {1.5, 0, -1, 6.5, 25, -25, 0.01, -3.5, 2.9};
  std::vector<double> &first = given[tensors[0]].floats;
  for (size_t i = 0; i < std::min(std::size(kNumbers), first.size()); ++i)
    first[i] = static_cast<float>(kNumbers[i]);
  const std::vector<reference::Tensor> kept = given;
  auto result = function->run(std::move(given));
  if (!result.ok() || result->floats.size() != kept[tensors[0]].floats.size() ||
      result->floats.size() < std::size(kNumbers))
    return std::nullopt;

  Samples samples{.first = kept[tensors[0]].floats, .second = {}, .result = result->floats};
  const Value x = piece.leaves()[tensors[0]];
  if (piece.leaves().size() == 1)
    return ofOne(samples, x);
  const size_t other = vectors.empty() ? tensors[1] : vectors[0];
  samples.second = kept[other].floats;
  for (size_t i = samples.second.size(); !vectors.empty() && i < samples.first.size(); ++i)
    samples.second.push_back(samples.second[i % kept[other].floats.size()]);
  return ofTwo(samples, x, piece.leaves()[other], !vectors.empty());
}

} // namespace quern::raise
