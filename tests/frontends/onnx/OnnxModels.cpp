#include "tests/frontends/onnx/OnnxModels.h"

#include <functional>
#include <numeric>

namespace quern::onnx::test {

ModelProto make_model(int64_t opset) {
  ModelProto model;
  model.set_ir_version(8);
  model.set_producer_name("test");
  auto *import = model.add_opset_import();
  import->set_domain("");
  import->set_version(opset);
  model.mutable_graph()->set_name("g");
  return model;
}

void add_input(GraphProto &graph, const std::string &name, const DimTexts &shape, int type) {
  auto *input = graph.add_input();
  input->set_name(name);
  auto *tensor = input->mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(type);
  tensor->mutable_shape();
  for (const DimText &dim : shape) {
    auto *added = tensor->mutable_shape()->add_dim();
    if (dim.size >= 0)
      added->set_dim_value(dim.size);
    else
      added->set_dim_param(dim.name);
  }
}

void add_output(GraphProto &graph, const std::string &name, int type) {
  auto *output = graph.add_output();
  output->set_name(name);
  output->mutable_type()->mutable_tensor_type()->set_elem_type(type);
}

NodeProto &add_node(GraphProto &graph, const std::string &op,
                    const std::vector<std::string> &inputs,
                    const std::vector<std::string> &outputs) {
  NodeProto &node = *graph.add_node();
  node.set_op_type(op);
  node.set_name(op + "_" + std::to_string(graph.node_size()));
  for (const std::string &input : inputs)
    node.add_input(input);
  for (const std::string &output : outputs)
    node.add_output(output);
  return node;
}

namespace {

AttributeProto &add_attribute(NodeProto &node, const std::string &name,
                              AttributeProto::AttributeType type) {
  AttributeProto &attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(type);
  return attribute;
}

} // namespace

void set_int(NodeProto &node, const std::string &name, int64_t value) {
  add_attribute(node, name, AttributeProto::INT).set_i(value);
}

void set_ints(NodeProto &node, const std::string &name, const std::vector<int64_t> &values) {
  AttributeProto &attribute = add_attribute(node, name, AttributeProto::INTS);
  for (const int64_t value : values)
    attribute.add_ints(value);
}

void set_string(NodeProto &node, const std::string &name, const std::string &value) {
  add_attribute(node, name, AttributeProto::STRING).set_s(value);
}

GraphProto &set_graph(NodeProto &node, const std::string &name) {
  return *add_attribute(node, name, AttributeProto::GRAPH).mutable_g();
}

void add_integers(GraphProto &graph, const std::string &name, const std::vector<int64_t> &values,
                  bool scalar) {
  TensorProto &tensor = *graph.add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(TensorProto::INT64);
  if (!scalar)
    tensor.add_dims(static_cast<int64_t>(values.size()));
  for (const int64_t value : values)
    tensor.add_int64_data(value);
}

void add_weight(GraphProto &graph, const std::string &name, const std::vector<int64_t> &shape) {
  TensorProto &tensor = *graph.add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(TensorProto::FLOAT);
  for (const int64_t size : shape)
    tensor.add_dims(size);
  const int64_t count =
      std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
  tensor.set_raw_data(std::string(static_cast<size_t>(count) * sizeof(float), '\0'));
}

namespace {

/// One head of attention, its shapes taken apart and put together as an exporter does.
ModelProto attention_model() {
  ModelProto model = make_model();
  GraphProto &g = *model.mutable_graph();
  add_input(g, "x", {"b", "s", 8});
  add_weight(g, "w", {8, 8});
  add_integers(g, "zero", {0}, true);
  add_integers(g, "one", {1}, true);
  add_integers(g, "axis", {0});
  add_integers(g, "heads", {2});
  add_integers(g, "rest", {-1});
  add_node(g, "MatMul", {"x", "w"}, {"q"});
  add_node(g, "Shape", {"q"}, {"shape"});
  set_int(add_node(g, "Gather", {"shape", "zero"}, {"b0"}), "axis", 0);
  add_node(g, "Gather", {"shape", "one"}, {"s0"});
  add_node(g, "Unsqueeze", {"b0", "axis"}, {"b1"});
  add_node(g, "Unsqueeze", {"s0", "axis"}, {"s1"});
  set_int(add_node(g, "Concat", {"b1", "s1", "heads", "rest"}, {"to"}), "axis", 0);
  add_node(g, "Reshape", {"q", "to"}, {"split"});
  set_ints(add_node(g, "Transpose", {"split"}, {"h"}), "perm", {0, 2, 1, 3});
  set_ints(add_node(g, "Transpose", {"h"}, {"t"}), "perm", {0, 1, 3, 2});
  add_node(g, "MatMul", {"h", "t"}, {"scores"});
  set_int(add_node(g, "Softmax", {"scores"}, {"p"}), "axis", -1);
  add_node(g, "MatMul", {"p", "h"}, {"y"});
  add_output(g, "y");
  return model;
}

ModelProto control_model() {
  ModelProto model = make_model();
  GraphProto &g = *model.mutable_graph();
  add_input(g, "x", {"n", 4});
  add_input(g, "c", {}, TensorProto::BOOL);
  add_integers(g, "turns", {3}, true);
  NodeProto &choice = add_node(g, "If", {"c"}, {"y"});
  for (const char *branch : {"then_branch", "else_branch"}) {
    GraphProto &inner = set_graph(choice, branch);
    add_node(inner, branch[0] == 't' ? "Relu" : "Neg", {"x"}, {std::string("r") + branch[0]});
    add_output(inner, std::string("r") + branch[0]);
  }
  NodeProto &loop = add_node(g, "Loop", {"turns", "", "y"}, {"last", "all"});
  GraphProto &body = set_graph(loop, "body");
  add_input(body, "i", {}, TensorProto::INT64);
  add_input(body, "go", {}, TensorProto::BOOL);
  add_input(body, "v", {"n", 4});
  add_node(body, "Identity", {"go"}, {"on"});
  set_int(add_node(body, "Concat", {"v", "x"}, {"w"}), "axis", 0);
  add_node(body, "Abs", {"x"}, {"a"});
  add_output(body, "on", TensorProto::BOOL);
  add_output(body, "w");
  add_output(body, "a");
  NodeProto &scan = add_node(g, "Scan", {"x", "all"}, {"state", "scanned"});
  set_int(scan, "num_scan_inputs", 1);
  GraphProto &step = set_graph(scan, "body");
  add_input(step, "s", {"n", 4});
  add_input(step, "e", {"n", 4});
  add_node(step, "Add", {"s", "e"}, {"s1"});
  add_node(step, "Identity", {"s1"}, {"e1"});
  add_output(step, "s1");
  add_output(step, "e1");
  for (const char *name : {"last", "state", "scanned"})
    add_output(g, name);
  return model;
}

/// A function that calls another, with an attribute that is handed on.
ModelProto function_model() {
  ModelProto model = make_model();
  auto *domain = model.add_opset_import();
  domain->set_domain("own");
  domain->set_version(1);
  const auto add_function = [&](const std::string &name) -> ::onnx::FunctionProto & {
    ::onnx::FunctionProto &function = *model.add_functions();
    function.set_name(name);
    function.set_domain("own");
    function.add_input("a");
    function.add_output("r");
    function.add_attribute("axis");
    *function.add_opset_import() = model.opset_import(0);
    *function.add_opset_import() = *domain;
    return function;
  };
  const auto add_body = [](::onnx::FunctionProto &function, const std::string &op,
                           const std::string &domain_name, const std::string &to) {
    NodeProto &node = *function.add_node();
    node.set_op_type(op);
    node.set_domain(domain_name);
    node.add_input("a");
    node.add_output(to);
    AttributeProto &axis = *node.add_attribute();
    axis.set_name("axis");
    axis.set_type(AttributeProto::INT);
    axis.set_ref_attr_name("axis");
  };
  add_body(add_function("Inner"), "Flatten", "", "r");
  add_body(add_function("Outer"), "Inner", "own", "r");
  GraphProto &g = *model.mutable_graph();
  add_input(g, "x", {"n", 3, 5});
  NodeProto &call = add_node(g, "Outer", {"x"}, {"y"});
  call.set_domain("own");
  set_int(call, "axis", 2);
  add_output(g, "y");
  return model;
}

ModelProto image_model() {
  ModelProto model = make_model();
  GraphProto &g = *model.mutable_graph();
  add_input(g, "image", {"n", 3, "h", "w"});
  add_weight(g, "k", {4, 3, 3, 3});
  NodeProto &conv = add_node(g, "Conv", {"image", "k"}, {"f"});
  set_ints(conv, "pads", {1, 1, 1, 1});
  set_ints(conv, "strides", {2, 2});
  NodeProto &pool = add_node(g, "MaxPool", {"f"}, {"p"});
  set_ints(pool, "kernel_shape", {2, 2});
  set_int(pool, "ceil_mode", 1);
  add_node(g, "GlobalAveragePool", {"p"}, {"a"});
  add_node(g, "NonZero", {"a"}, {"z"});
  NodeProto &einsum = add_node(g, "Einsum", {"f", "f"}, {"e"});
  set_string(einsum, "equation", "nchw, ...chw->n...c");
  add_integers(g, "pad", {0, 0, 1, 1, 0, 0, 1, 1});
  add_node(g, "Pad", {"f", "pad"}, {"padded"});
  add_integers(g, "starts", {-3, 1});
  add_integers(g, "ends", {INT64_MAX, -1});
  add_integers(g, "axes", {2, 3});
  add_node(g, "Slice", {"padded", "starts", "ends", "axes"}, {"slice"});
  add_node(g, "Split", {"slice"}, {"s1", "s2"});
  for (const char *name : {"z", "e", "s1", "s2"})
    add_output(g, name);
  return model;
}

} // namespace

std::vector<std::pair<std::string, ModelProto>> sample_models() {
  return {{"attention", attention_model()},
          {"control", control_model()},
          {"functions", function_model()},
          {"image", image_model()}};
}

} // namespace quern::onnx::test
