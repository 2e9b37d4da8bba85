#include "frontends/onnx/shapes/Fact.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>

namespace quern::onnx {

std::optional<Dim> as_dim(const Element &element) {
  if (const Dim *dim = std::get_if<Dim>(&element))
    return dim->valid() ? std::optional(*dim) : std::nullopt;
  constexpr double kLargest = 9.0e15; // all integers up to here are doubles
  if (const double *number = std::get_if<double>(&element);
      number != nullptr && std::nearbyint(*number) == *number && std::fabs(*number) < kLargest)
    return Dim(static_cast<int64_t>(*number));
  return std::nullopt;
}

std::optional<double> as_number(const Element &element) {
  if (const double *number = std::get_if<double>(&element))
    return *number;
  if (const Dim *dim = std::get_if<Dim>(&element))
    if (const auto constant = dim->constant())
      return static_cast<double>(*constant);
  return std::nullopt;
}

std::optional<std::vector<Dim>> Fact::integers() const {
  if (!elements)
    return std::nullopt;
  std::vector<Dim> dims;
  for (const Element &element : *elements) {
    const auto dim = as_dim(element);
    if (!dim)
      return std::nullopt;
    dims.push_back(*dim);
  }
  return dims;
}

std::optional<std::vector<double>> Fact::numbers() const {
  if (!elements)
    return std::nullopt;
  std::vector<double> numbers;
  for (const Element &element : *elements) {
    const auto number = as_number(element);
    if (!number)
      return std::nullopt;
    numbers.push_back(*number);
  }
  return numbers;
}

bool Fact::is_known() const {
  return elements && std::ranges::none_of(*elements, [](const Element &element) {
           return std::holds_alternative<std::monostate>(element);
         });
}

std::optional<std::vector<int64_t>> constant_shape(const Shape &shape) {
  std::vector<int64_t> sizes;
  for (const Dim &dim : shape) {
    const auto size = dim.constant();
    if (!size)
      return std::nullopt;
    sizes.push_back(*size);
  }
  return sizes;
}

std::string shape_text(const std::optional<Shape> &shape) {
  if (!shape)
    return "[?]";
  std::string text = "[";
  for (const Dim &dim : *shape)
    absl::StrAppend(&text, text.size() > 1 ? ", " : "", dim.text());
  return text + "]";
}

} // namespace quern::onnx
