#include "runtime/artifact/SizeExpression.h"

#include "runtime/artifact/Artifact.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <array>

namespace quern::artifact {
namespace {

uint32_t operands_of(SizeOp op) {
  switch (op) {
  case SizeOp::number:
  case SizeOp::size:
    return 0;
  case SizeOp::add:
  case SizeOp::multiply:
  case SizeOp::floordiv:
  case SizeOp::truncdiv:
    return 2;
  case SizeOp::min0:
  case SizeOp::is_zero:
  case SizeOp::is_negative:
    break;
  }
  return 1;
}

// Whether a / b has a value.
bool divides(int64_t a, int64_t b) { return b != 0 && !(a == INT64_MIN && b == -1); }

// False where the result has no value, or one of more than 64 bits.
bool apply(SizeOp op, int64_t a, int64_t b, int64_t *result) {
  switch (op) {
  case SizeOp::add:
    return !__builtin_add_overflow(a, b, result);
  case SizeOp::multiply:
    return !__builtin_mul_overflow(a, b, result);
  case SizeOp::floordiv:
    if (!divides(a, b))
      return false;
    *result = a / b - (a % b != 0 && (a < 0) != (b < 0));
    return true;
  case SizeOp::truncdiv:
    if (!divides(a, b))
      return false;
    *result = a / b;
    return true;
  case SizeOp::min0:
    *result = std::min<int64_t>(a, 0);
    return true;
  case SizeOp::is_zero:
    *result = a == 0;
    return true;
  case SizeOp::is_negative:
    *result = a < 0;
    return true;
  case SizeOp::number:
  case SizeOp::size:
    break;
  }
  return false;
}

} // namespace

std::string_view mistake_in(const SizeExpression *expression, uint32_t num_sizes) {
  if (!expression || items(expression->steps()).empty())
    return "it has no steps";
  const auto steps = items(expression->steps());
  // FlatBuffers' verifier checks where a vector begins, not that its elements lie as the CPU likes.
  if (reinterpret_cast<uintptr_t>(expression->steps()->Data()) % alignof(SizeStep) != 0)
    return "its steps are misplaced";
  if (steps.size() > kMostSizeSteps)
    return "it has too many steps";
  uint32_t depth = 0;
  for (const SizeStep *step : steps) {
    if (step->op() < SizeOp::MIN || step->op() > SizeOp::MAX)
      return "it has an unknown step";
    if (step->op() == SizeOp::size &&
        (step->value() < 0 || static_cast<uint64_t>(step->value()) >= num_sizes))
      return "it reads a size that the entry does not have";
    const uint32_t operands = operands_of(step->op());
    if (depth < operands)
      return "a step has too few operands";
    depth = depth - operands + 1;
    if (depth > kMostSizeStack)
      return "it needs too large a stack";
  }
  return depth == 1 ? "" : "it leaves more than one number";
}

absl::StatusOr<int64_t> value_of(const SizeExpression &expression, std::span<const int64_t> sizes) {
  std::array<int64_t, kMostSizeStack> stack;
  size_t top = 0;
  for (const SizeStep *step : items(expression.steps())) {
    const SizeOp op = step->op();
    if (op == SizeOp::number || op == SizeOp::size) {
      stack[top++] =
          op == SizeOp::number ? step->value() : sizes[static_cast<size_t>(step->value())];
      continue;
    }
    const uint32_t operands = operands_of(op);
    top -= operands;
    const int64_t last = operands == 2 ? stack[top + 1] : 0;
    if (!apply(op, stack[top], last, &stack[top]))
      return absl::InvalidArgumentError(absl::StrCat(
          "'", std::string(text(expression.text())), "' has no value for these sizes: ",
          last == 0 && op != SizeOp::add && op != SizeOp::multiply ? "it divides by 0"
                                                                   : "it does not fit in 64 bits"));
    ++top;
  }
  return stack[0];
}

std::optional<uint32_t> plain_size(const SizeExpression &expression) {
  const auto steps = items(expression.steps());
  if (steps.size() != 1 || steps[0]->op() != SizeOp::size)
    return std::nullopt;
  return static_cast<uint32_t>(steps[0]->value());
}

} // namespace quern::artifact
