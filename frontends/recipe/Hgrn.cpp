// The IR of HGRN and HGRN2 (Recipe.h).
#include "frontends/recipe/Writer.h"

#include <cmath>

using namespace mlir;

namespace quern::recipe {

Value Writer::operator()(const Hgrn &m) {
  auto projected = [&](const Linear &l, size_t conv) {
    Value x = linear(l, x_);
    return m.convs.empty() ? x : convolution(m.convs[conv], x, m.kernel, "");
  };
  Value forget = projected(m.forget, 0), input = projected(m.input, 1);
  Value q = m.q ? projected(*m.q, 2) : Value();
  at(m.module);
  // 1 - f without cancellation.
  Value kept = unary(UnaryKind::sigmoid, forget);
  Value lost = unary(UnaryKind::sigmoid, scale(forget, -1));
  if (!m.bounds.empty()) {
    const int64_t cols = m.forget.out;
    Value bound = rows_of({.stored = m.layers, .offset = m.layer, .block = 1, .stride = 1},
                          map("cumulated_softmax", weight(m.bounds)), {1, cols});
    bound = WeightReshapeOp::create(b_, loc_, weight_type(bound, {cols}), bound);
    Value always = binary(BinaryKind::mul, lost, bound);
    kept = binary(BinaryKind::add, kept, always);
    lost = binary(BinaryKind::sub, lost, always);
  }
  Value y;
  if (m.q) {
    const int64_t keys = m.forget.out / m.heads, values = m.input.out / m.heads;
    q = scale(unary(UnaryKind::silu, q), 1 / std::sqrt(static_cast<double>(keys)));
    Value memory = state(m.module + ".memory", StateKind::recurrent, {m.heads, keys, values});
    y = linear_recurrence({.r = q, .k = lost, .v = input, .decay = kept}, memory, m.heads,
                          DecayKind::key);
  } else {
    Value memory = state(m.module + ".memory", StateKind::recurrent, {1, 1, m.forget.out});
    y = linear_recurrence(
        {.r = ones(), .k = ones(), .v = gated("silu", input, lost), .decay = kept}, memory, 1,
        DecayKind::value);
  }
  y = norm(m.norm, y);
  if (m.z) {
    Value z = linear(*m.z, x_);
    at(m.module);
    y = gated("silu", z, y);
  }
  return linear(m.out, y);
}

} // namespace quern::recipe
