// From ONNX's own graphs to ours: names become numbers, constants values, calls of the model's
// functions their bodies, and nodes are put in order.
#ifndef QUERN_FRONTENDS_ONNX_GRAPHREADER_H
#define QUERN_FRONTENDS_ONNX_GRAPHREADER_H

#include "frontends/Problem.h"
#include "frontends/onnx/Graph.h"
#include "frontends/onnx/TensorReader.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace onnx {
class AttributeProto;
class FunctionProto;
class GraphProto;
class ModelProto;
class NodeProto;
class TypeProto;
class ValueInfoProto;
} // namespace onnx

namespace quern::onnx {

class GraphReader {
public:
  /// What is read goes to `model`, whose files are open and whose opsets are known.
  GraphReader(Model &model, TensorReader &tensors, Problems &problems)
      : model_(model), tensors_(tensors), problems_(problems) {}

  void read(const ::onnx::ModelProto &proto);

private:
  /// The names that can be seen in a graph or a function's body.
  struct Scope {
    const Scope *parent = nullptr;
    std::map<std::string, ValueId, std::less<>> names{};
  };
  using Attributes = std::map<std::string, Attribute, std::less<>>;
  /// What the nodes of a function's body are read with: null members stand for the model itself.
  struct Frame {
    const Frame *caller = nullptr;
    const ::onnx::FunctionProto *function = nullptr;
    const Attributes *attributes = nullptr; ///< of the call, defaults filled in
    const std::map<std::string, int64_t, std::less<>> *opsets = nullptr;
    std::string prefix{}; ///< of nodes' names: the calls' names
    int depth = 0;
  };

  Graph read_graph(const ::onnx::GraphProto &proto, const Scope *parent, const Frame &frame);
  void declare_inputs(const ::onnx::GraphProto &proto, Scope &scope, Graph &graph);
  template <typename Nodes>
  void read_nodes(const Nodes &protos, Scope &scope, const Frame &frame, std::vector<Node> &nodes);
  void read_node(const ::onnx::NodeProto &proto, Scope &scope, const Frame &frame,
                 std::vector<Node> &nodes);
  void read_constant(const Node &node);
  void inline_call(const ::onnx::FunctionProto &function, Node call, const Frame &frame,
                   std::vector<Node> &nodes);
  Attributes read_attributes(const ::onnx::NodeProto &proto, const std::string &node,
                             const Scope &scope, const Frame &frame);
  std::optional<Attribute> read_attribute(const ::onnx::AttributeProto &proto,
                                          const std::string &node, const Scope *scope,
                                          const Frame &frame);
  std::shared_ptr<const Tensor> read_tensor(const auto &proto, const std::string &where);
  Type read_type(const ::onnx::TypeProto &proto, const std::string &where);
  int64_t version_of(const std::string &domain, const std::string &node, const Frame &frame);

  ValueId new_value(const std::string &name);
  void declare(const std::string &name, ValueId id, Scope &scope, const std::string &what);
  template <typename Proto>
  void declare_initializer(const Proto &proto, const std::string &name, Scope &scope);
  /// kNoValue, and a problem, where there is none.
  ValueId resolve(const std::string &name, const Scope &scope, const std::string &user);
  void sort_nodes(Graph &graph);

  /// Adds one, unless there are kMostProblems already.
  void problem(std::string where, std::string what, std::string hint);
  /// Whether calls of functions have made the model larger than calls that mean well do, which is a
  /// problem.
  bool too_large();

  Model &model_;
  TensorReader &tensors_;
  Problems &problems_;
  /// By domain, name and overload.
  std::map<std::tuple<std::string, std::string, std::string>, const ::onnx::FunctionProto *>
      functions_;
  bool said_unversioned_ = false; ///< that ONNX's own operators have no version
  int64_t inlined_ = 0;           ///< nodes of functions' bodies, calls among them
  int64_t most_inlined_ = 0;
};

/// "" for "ai.onnx", which are the same.
std::string normal_domain(const std::string &domain);

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_GRAPHREADER_H
