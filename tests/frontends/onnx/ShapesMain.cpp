// onnx_shapes MODEL [NAME=SIZE,NAME=SIZE ...]...: what is inferred of the model, as one JSON
// object. Each further argument gives the symbols sizes, for which every shape is evaluated.
#include "frontends/onnx/OnnxFile.h"
#include "frontends/onnx/shapes/Inference.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_split.h>
#include <nlohmann/json.hpp>

#include <cstdio>

namespace {

using nlohmann::ordered_json;
using namespace quern;

std::map<std::string, int64_t> sizes_of(const std::string &text, const onnx::Inference &shapes) {
  std::map<std::string, int64_t> sizes;
  for (const auto &item : absl::StrSplit(text, ',')) {
    const std::vector<std::string> pair = absl::StrSplit(item, '=');
    if (int64_t size = 0; pair.size() == 2 && absl::SimpleAtoi(pair[1], &size))
      sizes[pair[0]] = size;
  }
  (void)shapes;
  return sizes;
}

} // namespace

int main(int argc, char **argv) {
  if (argc < 2)
    return 2;
  Problems problems;
  ordered_json out;
  const auto model = onnx::read_model(argv[1], problems);
  if (model) {
    const onnx::Inference shapes = onnx::infer(*model, problems);
    std::vector<std::map<std::string, int64_t>> sizes;
    for (int i = 2; i < argc; ++i)
      sizes.push_back(sizes_of(argv[i], shapes));
    out["nodes"] = model->graph.nodes.size();
    out["rounds"] = shapes.rounds;
    for (const onnx::Check &check : shapes.checks)
      out["checks"].push_back({check.a.text(), check.b.text(), check.node});
    for (const auto &size : shapes.run_time_sizes)
      out["run_time"].push_back(size.symbol);
    out["unknown"] = shapes.unknown_ops;
    size_t known = 0;
    for (const onnx::Node &node : model->graph.nodes)
      known += !node.outputs.empty() && node.outputs[0] != onnx::kNoValue &&
               shapes.fact(node.outputs[0]).is_known();
    out["known_nodes"] = known;
    for (size_t i = 0; i < model->values.size(); ++i) {
      const onnx::Fact &fact = shapes.facts[i];
      ordered_json value = {{"name", model->values[i].name},
                            {"type", onnx::element_type_name(fact.type)},
                            {"constant", model->values[i].constant != nullptr}};
      if (fact.shape) {
        value["shape"] = ordered_json::array();
        for (const auto &dim : *fact.shape)
          value["shape"].push_back(dim.text());
        for (const auto &binding : sizes) {
          ordered_json list = ordered_json::array();
          for (const auto &dim : *fact.shape) {
            const auto size = symbols::evaluate(dim, binding);
            list.push_back(size.ok() ? ordered_json(*size) : ordered_json());
          }
          value["sizes"].push_back(list);
        }
      }
      if (fact.elements) {
        value["elements"] = ordered_json::array();
        for (const auto &element : *fact.elements)
          if (const auto dim = onnx::as_dim(element))
            value["elements"].push_back(dim->text());
          else if (const auto number = onnx::as_number(element))
            value["elements"].push_back(*number);
          else
            value["elements"].push_back(nullptr);
      }
      out["values"].push_back(value);
    }
  }
  for (const Problem &problem : problems.list())
    out["problems"].push_back({problem.where, problem.what, problem.hint});
  std::printf("%s\n", out.dump(1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  return problems.empty() ? 0 : 1;
}
