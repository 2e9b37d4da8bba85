// An ONNX model as the rest of Quern reads it: what a file says, checked, in plain structures.
//
// Beside what the format promises, this holds of a Model that was read without a problem:
//   - every value has a number, unique in the model, subgraphs included; a name may be there twice
//     where a subgraph's hides one of the graph around it;
//   - nodes stand behind those whose results they use, in their subgraphs too;
//   - Constant nodes are gone: their results are values with a constant, as initializers are;
//   - calls of the model's own functions are gone: their bodies stand in their place;
//   - each node knows the version of its domain's operators that it was written for.
#ifndef QUERN_FRONTENDS_ONNX_GRAPH_H
#define QUERN_FRONTENDS_ONNX_GRAPH_H

#include "frontends/onnx/Tensor.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quern::onnx {

/// Newest version of the operators of ONNX's own domain that Quern reads, and the oldest.
inline constexpr int64_t kOldestOpset = 7, kNewestOpset = 28;

using ValueId = int32_t;
/// An optional input or output that is not there.
inline constexpr ValueId kNoValue = -1;

/// What a file says of one dimension: its size, or a name, or nothing.
struct DeclaredDim {
  int64_t size = -1; ///< -1: not known
  std::string name;
};

struct Type {
  enum class Kind : uint8_t { Tensor, SparseTensor, Sequence, Optional, Map, Opaque };
  Kind kind = Kind::Tensor;
  ElementType element = ElementType::Undefined;    ///< of a tensor
  std::optional<std::vector<DeclaredDim>> shape{}; ///< of a tensor, if its rank is said
  std::shared_ptr<const Type> of{};                ///< of a sequence or an optional
};

struct Value {
  std::string name;
  std::optional<Type> declared{};
  std::shared_ptr<const Tensor> constant{};
};

struct Graph;

enum class AttributeKind : uint8_t {
  Float,
  Int,
  String,
  Tensor,
  Graph,
  Floats,
  Ints,
  Strings,
  Tensors,
  Graphs,
  Type,
  Types,
};

struct Attribute {
  AttributeKind kind = AttributeKind::Int;
  std::vector<float> floats;
  std::vector<int64_t> ints;
  std::vector<std::string> strings;
  std::vector<std::shared_ptr<const Tensor>> tensors;
  std::vector<std::shared_ptr<const Graph>> graphs;
  std::vector<Type> types;
};

struct Node {
  std::string name;   ///< the file's, or "Op producing 'x'" where it gives none
  std::string scope;  ///< the module that it was exported from, as the file says it; may be empty
  std::string domain; ///< "" for ONNX's own
  std::string op;
  int64_t version = 0;                  ///< of the domain's operators
  std::vector<ValueId> inputs, outputs; ///< kNoValue where one is left out
  std::map<std::string, Attribute, std::less<>> attributes;

  const Attribute *find(std::string_view attribute) const;
  /// "com.microsoft.Gelu", or the op alone for ONNX's own.
  std::string qualified_op() const;
};

struct Graph {
  std::string name;
  std::vector<Node> nodes;
  std::vector<ValueId> inputs, outputs;
};

struct Model {
  Files files; ///< the model's own is the first
  int64_t ir_version = 0;
  std::map<std::string, int64_t, std::less<>> opsets; ///< by domain, "" for ONNX's own
  std::string producer;                               ///< "pytorch 2.15.0"
  std::map<std::string, std::string> metadata;
  std::vector<Value> values;
  Graph graph; ///< its inputs are those that a caller gives
  std::vector<std::string> notes;

  const Value &value(ValueId id) const { return values[static_cast<size_t>(id)]; }
};

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_GRAPH_H
