// Sums over products by letters (Einstein's notation).
#include "frontends/onnx/lowering/NodeLowering.h"

#include <algorithm>
#include <map>

namespace quern::onnx {
namespace {

/// The letters of one operand; '.' stands for a dimension of the dots, all of them in order.
std::string letters_of(std::string_view text, size_t dotted) {
  std::string letters;
  for (size_t i = 0; i < text.size(); ++i)
    if (text[i] == '.') {
      letters.append(dotted, '.');
      i += 2;
    } else {
      letters += text[i];
    }
  return letters;
}

/// Dots stand for different dimensions: those of an operand are the last of the result's.
std::vector<std::string> names_of(const std::string &letters, size_t dots) {
  const auto own = static_cast<size_t>(std::ranges::count(letters, '.'));
  std::vector<std::string> names;
  size_t seen = 0;
  for (const char letter : letters)
    names.push_back(letter == '.' ? "." + std::to_string(dots - own + seen++)
                                  : std::string(1, letter));
  return names;
}

void einsum(NodeLowering &node) {
  Arrays &a = node.arrays();
  std::string equation = node.string("equation", "");
  std::erase(equation, ' ');
  const size_t arrow = equation.find("->");
  std::string left = equation.substr(0, arrow);
  std::vector<Array> inputs;
  std::vector<std::string> operands;
  size_t dots = 0;
  std::map<char, int> uses;
  for (size_t i = 0; i < node.inputs(); ++i) {
    const size_t comma = left.find(',');
    const std::string text = left.substr(0, comma);
    left = comma == left.npos ? "" : left.substr(comma + 1);
    inputs.push_back(node.in(i));
    const auto plain =
        static_cast<size_t>(std::ranges::count_if(text, [](char c) { return c != '.'; }));
    const size_t dotted = inputs.back().rank() - plain;
    operands.push_back(letters_of(text, dotted));
    dots = std::max(dots, dotted);
    for (const char c : text)
      if (c != '.')
        ++uses[c];
  }
  std::string result;
  if (arrow != equation.npos) {
    result = letters_of(equation.substr(arrow + 2), dots);
  } else {
    result.append(dots, '.');
    for (const auto &[letter, count] : uses)
      if (count == 1)
        result += letter;
  }
  // Loops: the result's, then what is summed over.
  std::vector<std::string> loops = names_of(result, dots);
  const size_t kept = loops.size();
  std::map<std::string, Dim> sizes;
  std::vector<std::vector<std::string>> names;
  for (size_t i = 0; i < inputs.size(); ++i) {
    names.push_back(names_of(operands[i], dots));
    for (size_t k = 0; k < names[i].size(); ++k) {
      if (std::ranges::find(loops, names[i][k]) == loops.end())
        loops.push_back(names[i][k]);
      const auto known = sizes.emplace(names[i][k], inputs[i].shape[k]).first;
      if (known->second.is(1))
        known->second = inputs[i].shape[k];
    }
  }
  std::vector<std::vector<mlir::AffineExpr>> maps;
  for (size_t i = 0; i < inputs.size(); ++i) {
    std::vector<mlir::AffineExpr> &map = maps.emplace_back();
    for (size_t k = 0; k < names[i].size(); ++k)
      map.push_back(
          inputs[i].shape[k].is(1) && !sizes.at(names[i][k]).is(1)
              ? mlir::getAffineConstantExpr(0, a.context())
              : a.d(static_cast<size_t>(std::ranges::find(loops, names[i][k]) - loops.begin())));
  }
  const ElementType to = node.out_type();
  const bool half = to == ElementType::Float16 || to == ElementType::BFloat16;
  const ElementType type = half ? ElementType::Float32 : to;
  Shape shape;
  for (size_t i = 0; i < kept; ++i)
    shape.push_back(sizes.at(loops[i]));
  node.set(a.cast(a.contract(inputs, maps, loops.size(), type, shape, 0,
                             [&](const Scalar &sum, const Scalars &e) {
                               Scalar product = cast(e[0], type);
                               for (size_t i = 1; i < e.size(); ++i)
                                 product = product * cast(e[i], type);
                               return sum + product;
                             }),
                  to));
}

constexpr LoweringRow kRows[] = {{"Einsum", einsum, Takes::Numbers}};

} // namespace

std::span<const LoweringRow> einsum_lowerings() { return kRows; }

} // namespace quern::onnx
