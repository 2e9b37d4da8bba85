#include "frontends/onnx/shapes/Rules.h"

#include "frontends/onnx/shapes/Inference.h"

#include <unordered_map>

namespace quern::onnx {
namespace {

using Table = std::unordered_map<std::string_view, const Rule *>;

Table table_of(std::initializer_list<std::span<const Rule>> families) {
  Table table;
  for (const auto &family : families)
    for (const Rule &rule : family)
      table.emplace(rule.op, &rule);
  return table;
}

} // namespace

bool is_microsoft(std::string_view domain, std::string_view op) {
  return domain == kMicrosoft || (domain.empty() && op == "SimplifiedLayerNormalization");
}

const Rule *find_rule(std::string_view domain, std::string_view op) {
  static const Table standard =
      table_of({elementwise_rules(), move_rules(), shape_value_rules(), product_rules(),
                window_rules(), reduction_rules(), selection_rules(), quantization_rules(),
                sequence_model_rules(), signal_rules(), control_rules()});
  static const Table microsoft = table_of({microsoft_rules()});
  static const Table preview = table_of({preview_rules()});
  if (!domain.empty() && domain != kMicrosoft && domain != kPreview)
    return nullptr;
  const Table &table = is_microsoft(domain, op) ? microsoft : domain.empty() ? standard : preview;
  const auto found = table.find(op);
  return found == table.end() ? nullptr : found->second;
}

bool has_rule(std::string_view domain, std::string_view op) {
  return find_rule(domain, op) != nullptr;
}

} // namespace quern::onnx
