// Products of matrices and sums over products.
#include "frontends/onnx/shapes/Rules.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <map>

namespace quern::onnx {
namespace {

/// As numpy's matmul: a vector is a row on the left and a column on the right.
void set_matmul(NodeShapes &node, size_t left, size_t right, ElementType type) {
  if (!node.has_shape(left) || !node.has_shape(right))
    return node.set_type(0, type);
  if (!node.want_rank_at_least(left, 1) || !node.want_rank_at_least(right, 1))
    return;
  Shape a = node.shape(left), b = node.shape(right);
  const bool row = a.size() == 1, column = b.size() == 1;
  if (row)
    a.insert(a.begin(), 1);
  if (column)
    b.push_back(1);
  node.unify(a.back(), b[b.size() - 2],
             "the last dimension of its first input and the one before the last of its second");
  Shape shape = node.broadcast({a.begin(), a.end() - 2}, {b.begin(), b.end() - 2});
  if (!row)
    shape.push_back(a[a.size() - 2]);
  if (!column)
    shape.push_back(b.back());
  node.set(0, type, std::move(shape));
}

void matmul(NodeShapes &node) {
  if (node.want_same_type(0, 1))
    set_matmul(node, 0, 1, node.type(0));
}

void matmul_integer(NodeShapes &node) { set_matmul(node, 0, 1, ElementType::Int32); }

void qlinear_matmul(NodeShapes &node) { set_matmul(node, 0, 3, node.type(7)); }

void gemm(NodeShapes &node) {
  if (!node.want_rank(0, 2) || !node.want_rank(1, 2) || !node.want_same_type(0, 1))
    return;
  const bool turn_a = node.integer("transA", 0) != 0, turn_b = node.integer("transB", 0) != 0;
  const Shape &a = node.shape(0), &b = node.shape(1);
  node.unify(a[turn_a ? 0 : 1], b[turn_b ? 1 : 0], "the dimensions it sums over");
  Shape shape = {a[turn_a ? 1 : 0], b[turn_b ? 0 : 1]};
  if (node.has_shape(2) && node.rank(2) > 2)
    return node.fail(absl::StrCat("its bias has the shape ", shape_text(node.in(2).shape)));
  if (node.has_shape(2))
    for (size_t i = 0; i < node.rank(2); ++i)
      if (const Dim &dim = node.shape(2)[node.rank(2) - 1 - i]; !dim.is(1))
        node.unify(shape[1 - i], dim, "its result and its bias");
  node.set(0, node.type(0), std::move(shape));
}

/// The labels of one operand: letters, and how many dimensions the dots stand for before letter
/// `dots_at`.
struct Labels {
  std::string letters;
  std::optional<size_t> dots_at;
};

std::optional<Labels> read_labels(std::string_view text) {
  Labels labels;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '.') {
      if (labels.dots_at || text.substr(i, 3) != "...")
        return std::nullopt;
      labels.dots_at = labels.letters.size();
      i += 2;
    } else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      labels.letters += c;
    } else {
      return std::nullopt;
    }
  }
  return labels;
}

void einsum(NodeShapes &node) {
  std::string equation = node.string("equation", "");
  std::erase(equation, ' ');
  const auto bad = [&] { node.fail(absl::StrCat("its equation '", equation, "' is none")); };
  const size_t arrow = equation.find("->");
  std::string left = equation.substr(0, arrow);
  std::map<char, Dim> sizes;
  std::map<char, int> uses;
  Shape dots;
  for (size_t operand = 0; operand < node.inputs(); ++operand) {
    const size_t comma = left.find(',');
    const auto labels = read_labels(std::string_view(left).substr(0, comma));
    if (!labels || (comma == left.npos) != (operand + 1 == node.inputs()))
      return bad();
    left = comma == left.npos ? "" : left.substr(comma + 1);
    if (!node.has_shape(operand))
      return node.set_type(0, node.type(0));
    const Shape &shape = node.shape(operand);
    if (shape.size() < labels->letters.size() ||
        (!labels->dots_at && shape.size() != labels->letters.size()))
      return node.fail(absl::StrCat("its equation '", equation, "' does not fit the shape ",
                                    shape_text(shape), " of input ", operand));
    const size_t dotted = shape.size() - labels->letters.size();
    const size_t dots_at = labels->dots_at.value_or(0);
    dots = node.broadcast(dots, {shape.begin() + static_cast<ptrdiff_t>(dots_at),
                                 shape.begin() + static_cast<ptrdiff_t>(dots_at + dotted)});
    for (size_t i = 0; i < labels->letters.size(); ++i) {
      const char letter = labels->letters[i];
      const Dim &dim = shape[i < dots_at || dotted == 0 ? i : i + dotted];
      ++uses[letter];
      const auto known = sizes.emplace(letter, dim).first;
      if (known->second.is(1))
        known->second = dim;
      else if (!dim.is(1))
        known->second = node.unify(known->second, dim, "dimensions under one letter");
    }
  }
  Labels result;
  if (arrow != equation.npos) {
    const auto labels = read_labels(std::string_view(equation).substr(arrow + 2));
    if (!labels)
      return bad();
    result = *labels;
  } else { // all letters that are there once, in alphabetical order
    for (const auto &[letter, count] : uses)
      if (count == 1)
        result.letters += letter;
    result.dots_at = 0;
  }
  Shape shape;
  for (size_t i = 0; i <= result.letters.size(); ++i) {
    if (result.dots_at == i)
      shape.insert(shape.end(), dots.begin(), dots.end());
    if (i == result.letters.size())
      break;
    const auto size = sizes.find(result.letters[i]);
    if (size == sizes.end())
      return bad();
    shape.push_back(size->second);
  }
  node.set(0, node.type(0), std::move(shape));
}

void det(NodeShapes &node) {
  if (!node.want_rank_at_least(0, 2))
    return;
  const Shape &in = node.shape(0);
  node.unify(in.back(), in[in.size() - 2], "the sides of its matrices");
  node.set(0, node.type(0), {in.begin(), in.end() - 2});
}

constexpr Rule kRules[] = {
    {"MatMul", matmul, 2},
    {"MatMulInteger", matmul_integer, 2},
    {"QLinearMatMul", qlinear_matmul, 8},
    {"Gemm", gemm, 2},
    {"Einsum", einsum},
    {"Det", det},
};

} // namespace

std::span<const Rule> product_rules() { return kRules; }

} // namespace quern::onnx
