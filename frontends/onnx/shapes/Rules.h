// The table of rules: what each op makes of its inputs' types, shapes and elements.
#ifndef QUERN_FRONTENDS_ONNX_SHAPES_RULES_H
#define QUERN_FRONTENDS_ONNX_SHAPES_RULES_H

#include "frontends/onnx/shapes/NodeShapes.h"

#include <span>
#include <string_view>

namespace quern::onnx {

struct Rule {
  std::string_view op;
  void (*infer)(NodeShapes &);
  /// So many inputs have to be there; the rule is called where their ranks are known.
  size_t required = 1;
  bool any_rank = false; ///< it is called all the same where they are not
};

inline constexpr std::string_view kMicrosoft = "com.microsoft";
/// Whether the op is ONNX Runtime's own: of com.microsoft, or the one that it has among ONNX's.
bool is_microsoft(std::string_view domain, std::string_view op);
inline constexpr std::string_view kPreview = "ai.onnx.preview";

/// The rule for an op, or null.
const Rule *find_rule(std::string_view domain, std::string_view op);

// By family, each in the file of its name.
std::span<const Rule> elementwise_rules();
std::span<const Rule> move_rules();
std::span<const Rule> shape_value_rules();
std::span<const Rule> product_rules();
std::span<const Rule> window_rules();
std::span<const Rule> reduction_rules();
std::span<const Rule> selection_rules();
std::span<const Rule> quantization_rules();
std::span<const Rule> sequence_model_rules();
std::span<const Rule> signal_rules();
std::span<const Rule> control_rules();
std::span<const Rule> microsoft_rules();
std::span<const Rule> preview_rules(); ///< of ai.onnx.preview, in SequenceModels.cpp

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_SHAPES_RULES_H
