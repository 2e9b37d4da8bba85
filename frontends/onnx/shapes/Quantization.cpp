// To and from small types with scales.
#include "frontends/onnx/shapes/Rules.h"

namespace quern::onnx {
namespace {

void quantize(NodeShapes &node) {
  const ElementType otherwise = node.has(2) ? node.type(2) : ElementType::Uint8;
  const bool given = node.integer("output_dtype", 0) != 0;
  node.set(0, given ? node.type_attribute("output_dtype", otherwise) : otherwise, node.shape(0));
}

void dequantize(NodeShapes &node) {
  const bool given = node.integer("output_dtype", 0) != 0;
  node.set(0, given ? node.type_attribute("output_dtype", node.type(1)) : node.type(1),
           node.shape(0));
}

void dynamic_quantize(NodeShapes &node) {
  node.set(0, ElementType::Uint8, node.shape(0));
  node.set(1, ElementType::Float32, {});
  node.set(2, ElementType::Uint8, {});
}

constexpr Rule kRules[] = {
    {"QuantizeLinear", quantize, 2},
    {"DequantizeLinear", dequantize, 2},
    {"DynamicQuantizeLinear", dynamic_quantize},
};

} // namespace

std::span<const Rule> quantization_rules() { return kRules; }

} // namespace quern::onnx
