// The IR of Hyena's operator (Recipe.h).
#include "frontends/recipe/Writer.h"

using namespace mlir;

namespace quern::recipe {

Value Writer::operator()(const Hyena &m) {
  const int64_t run = m.channels / m.runs;
  // A weight of x2, x1 and v, of whole x2 first: what the model has in runs is put in order when
  // weights are packed, so that no rows are.
  auto ordered = [&](const std::string &name) -> Value {
    Value stored = weight(name);
    if (m.runs == 1)
      return stored;
    SmallVector<int64_t> shape(cast<WeightType>(stored.getType()).getShape());
    shape.front() = m.channels;
    SmallVector<Value> parts;
    for (int64_t i = 0; i < 3; ++i)
      parts.push_back(
          rows_of({.stored = 3 * m.channels, .offset = i * run, .block = run, .stride = 3 * run},
                  stored, shape));
    return WeightConcatOp::create(b_, loc_, stored.getType(), parts);
  };
  at(m.in.module);
  Value x = LinearOp::create(b_, loc_, rows_like(x_, 3 * m.channels), x_,
                             ordered(m.in.module + ".weight"),
                             m.in.bias ? ordered(m.in.module + ".bias") : Value());
  at(m.module);
  x = convolution(m.module + ".short", x, m.kernel, ordered(m.module + ".short_filter_weight"),
                  m.conv_bias ? ordered(m.module + ".short_filter_bias") : Value(), "");
  Value x2 = slice(x, 0, m.channels), x1 = slice(x, m.channels, m.channels);
  Value v = binary(BinaryKind::mul, slice(x, 2 * m.channels, m.channels), x1);
  // [filters, modes, 2] as [modes, 2, filters].
  auto modes = [&](const std::string &name) -> Value {
    Value w = weight(name);
    w = WeightReshapeOp::create(b_, loc_, weight_type(w, {m.filters, 2 * m.modes}), w);
    w = WeightTransposeOp::create(b_, loc_, weight_type(w, {2 * m.modes, m.filters}), w);
    return WeightReshapeOp::create(b_, loc_, weight_type(w, {m.modes, 2, m.filters}), w);
  };
  Value poles = modes(m.module + ".poles"), residues = modes(m.module + ".residues");
  Value kept = state(m.module + ".modes", StateKind::recurrent, {m.modes, 2, m.channels});
  Value y = LongConvOp::create(b_, loc_, v.getType(), v, batch_, kept, poles, residues,
                               weight(m.module + ".D"));
  return linear(m.out, binary(BinaryKind::mul, y, x2));
}

} // namespace quern::recipe
