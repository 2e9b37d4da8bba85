// One round of flattening: nodes that are kept, copied and made.
#ifndef QUERN_FRONTENDS_ONNX_FLATTEN_REWRITING_H
#define QUERN_FRONTENDS_ONNX_FLATTEN_REWRITING_H

#include "frontends/onnx/Graph.h"
#include "frontends/onnx/flatten/Flatten.h"
#include "frontends/onnx/shapes/Inference.h"

#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace quern::onnx {

class Rewriting {
public:
  Rewriting(Model &model, const Inference &inference) : model_(model), inference_(inference) {}

  /// The nodes of the model's graph, each as it is or replaced. Whether any was.
  bool run();

  using AttributeValue = std::variant<int64_t, std::vector<int64_t>>;
  using Attributes = std::initializer_list<std::pair<const char *, AttributeValue>>;

  const Model &model() const { return model_; }
  const Inference &inference() const { return inference_; }
  const Fact &fact(ValueId id) const;
  void note(std::string text) { model_.notes.push_back(std::move(text)); }

  /// A node of ONNX's own domain, named after `from`, and its only result.
  ValueId add(const Node &from, std::string_view op, int64_t version, std::vector<ValueId> inputs,
              Attributes attributes = {});
  /// The same with the result that it has to have.
  void add_as(ValueId result, const Node &from, std::string_view op, int64_t version,
              std::vector<ValueId> inputs, Attributes attributes = {});
  /// Nothing where `result` is not wanted.
  void stands_for(ValueId result, const Node &from, ValueId value);

  /// Constants: int64 of a shape, a truth value, a float32, none of a type.
  ValueId integers(const std::vector<int64_t> &values, std::vector<int64_t> shape);
  ValueId integer(int64_t value) { return integers({value}, {}); }
  ValueId truth(bool value);
  ValueId number(float value);
  ValueId nothing(ElementType type, std::vector<int64_t> shape);

  /// The nodes of a graph whose inputs are these values; its results. `turn` says which of several
  /// copies it is; without it there is but one.
  std::vector<ValueId> put(const Graph &graph, const std::vector<ValueId> &inputs,
                           std::optional<int64_t> turn);

  /// The node whose result the value is, as far as nodes were put; Identity is looked through. Null
  /// where there is none.
  const Node *producer(ValueId value) const;

  /// Whether so many nodes may be put here.
  bool has_room(int64_t times, const Graph &graph) const;

private:
  using Map = std::map<ValueId, ValueId>;
  ValueId fresh(std::string name);
  ValueId constant(ElementType type, std::vector<int64_t> shape, std::string bytes);
  Node copy(const Node &node, Map &map, const std::string &suffix, const std::string &turn);
  std::shared_ptr<const Graph> copy(const Graph &graph, Map &map, const std::string &suffix,
                                    const std::string &turn);

  Model &model_;
  const Inference &inference_;
  std::vector<Node> nodes_;
};

/// A bool that is known before the model runs.
std::optional<bool> known_bool(const Fact &fact);

// What stands in the place of a node; null where it stays, with why.
using Replaced = std::optional<NotFlat>;
/// Puts what it stands for. Nothing was written where it gives a reason.
Replaced flatten_if(Rewriting &to, const Node &node);
Replaced flatten_loop(Rewriting &to, const Node &node);
Replaced flatten_scan(Rewriting &to, const Node &node);
Replaced flatten_optional(Rewriting &to, const Node &node);
Replaced flatten_flex_attention(Rewriting &to, const Node &node);

using Flattener = Replaced (*)(Rewriting &, const Node &);
/// Null for ops that are plain.
Flattener find_flattener(const Node &node);

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_FLATTEN_REWRITING_H
