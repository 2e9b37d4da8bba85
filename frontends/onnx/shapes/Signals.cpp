// Spectra, and the windows and filters that go with them.
#include "frontends/onnx/shapes/Rules.h"

namespace quern::onnx {
namespace {

/// Frequencies of a real signal of that length, the mirrored ones left out.
Dim one_side(const Dim &length) { return symbols::floordiv(length, 2) + 1; }

std::optional<Dim> single(const std::optional<std::vector<Dim>> &dims) {
  return dims && dims->size() == 1 ? std::optional((*dims)[0]) : std::nullopt;
}

void dft(NodeShapes &node) {
  if (!node.want_rank_at_least(0, 2))
    return;
  Shape shape = node.shape(0);
  const bool by_attribute = node.version() < 20;
  const auto chosen = node.constants(2);
  const bool inverse = node.integer("inverse", 0) != 0;
  const bool one_sided = node.integer("onesided", 0) != 0;
  if (!by_attribute && node.has(2) && !chosen) { // any axis may change its length
    for (size_t i = 0; i + 1 < shape.size(); ++i)
      shape[i] = node.fresh(0, i);
    shape.back() = one_sided && inverse ? 1 : 2;
    return node.set(0, node.type(0), std::move(shape));
  }
  const size_t axis = node.axis(by_attribute                    ? node.integer("axis", 1)
                                : chosen && chosen->size() == 1 ? (*chosen)[0]
                                                                : -2,
                                shape.size());
  const auto length = single(node.dims(1));
  if (length)
    shape[axis] = *length;
  else if (node.has(1))
    shape[axis] = node.fresh(0, axis);
  else if (inverse && one_sided)
    shape[axis] = (shape[axis] - 1) * Dim(2);
  if (one_sided && !inverse)
    shape[axis] = one_side(shape[axis]);
  shape.back() = one_sided && inverse ? 1 : 2;
  node.set(0, node.type(0), std::move(shape));
}

void stft(NodeShapes &node) {
  if (!node.want_rank_at_least(0, 2))
    return;
  const Shape in = node.shape(0);
  const auto step = single(node.dims(1));
  std::optional<Dim> frame = single(node.dims(3));
  if (!frame && node.has_shape(2) && node.rank(2) == 1)
    frame = node.shape(2)[0];
  else if (!frame && !node.has(2) && !node.has(3))
    frame = in[1];
  const bool one_sided = node.integer("onesided", 1) != 0;
  if (step && step->is(0))
    return node.fail("its step is 0");
  node.set(0, node.type(0),
           {in[0], step && frame ? symbols::floordiv(in[1] - *frame, *step) + 1 : node.fresh(0, 1),
            frame ? (one_sided ? one_side(*frame) : *frame) : node.fresh(0, 2), 2});
}

void window(NodeShapes &node) {
  const auto size = single(node.dims(0));
  node.set(0, node.type_attribute("output_datatype", ElementType::Float32),
           {size ? *size : node.fresh(0, 0)});
}

void mel_weights(NodeShapes &node) {
  const auto bins = single(node.dims(0)), length = single(node.dims(1));
  node.set(0, node.type_attribute("output_datatype", ElementType::Float32),
           {length ? one_side(*length) : node.fresh(0, 0), bins ? *bins : node.fresh(0, 1)});
}

constexpr Rule kRules[] = {
    {"DFT", dft},
    {"STFT", stft, 2},
    {"BlackmanWindow", window},
    {"HammingWindow", window},
    {"HannWindow", window},
    {"MelWeightMatrix", mel_weights, 5},
};

} // namespace

std::span<const Rule> signal_rules() { return kRules; }

} // namespace quern::onnx
