// Small models for tests, written with ONNX's own classes.
#ifndef QUERN_TESTS_FRONTENDS_ONNX_ONNXMODELS_H
#define QUERN_TESTS_FRONTENDS_ONNX_ONNXMODELS_H

#include <cstdint>
#include <onnx-ml.pb.h>
#include <string>
#include <utility>
#include <vector>

namespace quern::onnx::test {

using ::onnx::AttributeProto;
using ::onnx::GraphProto;
using ::onnx::ModelProto;
using ::onnx::NodeProto;
using ::onnx::TensorProto;

/// A dimension: a size, or a name.
struct DimText {
  DimText(int64_t size) : size(size) {}               // NOLINT(google-explicit-constructor)
  DimText(const char *name) : size(-1), name(name) {} // NOLINT(google-explicit-constructor)
  int64_t size;
  std::string name;
};
using DimTexts = std::vector<DimText>;

ModelProto make_model(int64_t opset = 18);

void add_input(GraphProto &graph, const std::string &name, const DimTexts &shape,
               int type = TensorProto::FLOAT);
/// Without a shape, which is then to be inferred.
void add_output(GraphProto &graph, const std::string &name, int type = TensorProto::FLOAT);

NodeProto &add_node(GraphProto &graph, const std::string &op,
                    const std::vector<std::string> &inputs,
                    const std::vector<std::string> &outputs);
void set_int(NodeProto &node, const std::string &name, int64_t value);
void set_ints(NodeProto &node, const std::string &name, const std::vector<int64_t> &values);
void set_string(NodeProto &node, const std::string &name, const std::string &value);
/// The graph of an attribute, to be filled.
GraphProto &set_graph(NodeProto &node, const std::string &name);

/// An initializer of int64: a vector of them, or with `scalar` the first alone.
void add_integers(GraphProto &graph, const std::string &name, const std::vector<int64_t> &values,
                  bool scalar = false);
/// An initializer of float32 zeros.
void add_weight(GraphProto &graph, const std::string &name, const std::vector<int64_t> &shape);

/// Models that use most of what a graph can hold, by name: what fuzzing starts from.
std::vector<std::pair<std::string, ModelProto>> sample_models();

} // namespace quern::onnx::test

#endif // QUERN_TESTS_FRONTENDS_ONNX_ONNXMODELS_H
