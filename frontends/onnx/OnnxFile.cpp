#include "frontends/onnx/OnnxFile.h"

#include "frontends/ModelFile.h"
#include "frontends/onnx/GraphReader.h"
#include "frontends/onnx/WireFilter.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <onnx-ml.pb.h>
#include <string_view>

namespace quern::onnx {

const Attribute *Node::find(std::string_view attribute) const {
  const auto found = attributes.find(attribute);
  return found == attributes.end() ? nullptr : &found->second;
}

std::string Node::qualified_op() const { return domain.empty() ? op : domain + "." + op; }

namespace {

/// A version that exporters and converters know well.
constexpr int kConverted = 20;

/// Ops of version 1 that are still the same in kOldestOpset.
constexpr std::string_view kUnchanged[] = {
    "ArgMax",
    "ArgMin",
    "Constant",
    "Conv",
    "ConvTranspose",
    "DepthToSpace",
    "Flatten",
    "Gather",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Hardmax",
    "Identity",
    "If",
    "LRN",
    "LogSoftmax",
    "Loop",
    "LpNormalization",
    "MatMul",
    "MaxPool",
    "MaxRoiPool",
    "Not",
    "RandomNormal",
    "RandomUniform",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
    "Shape",
    "Size",
    "Slice",
    "Softmax",
    "Softplus",
    "Softsign",
    "SpaceToDepth",
    "Squeeze",
    "TopK",
    "Transpose",
    "Unsqueeze",
};

/// A model is refused for its version where an op of it may mean something else than Quern takes it
/// to mean.
void check_versions(const Model &model, const std::string &path, Problems &problems) {
  const auto opset = model.opsets.find("");
  if (opset == model.opsets.end() || problems.size() >= kMostProblems)
    return;
  const bool old = opset->second < kOldestOpset;
  const auto changed = std::ranges::find_if(model.graph.nodes, [](const Node &node) {
    return node.domain.empty() && std::ranges::find(kUnchanged, node.op) == std::end(kUnchanged);
  });
  if (opset->second > kNewestOpset || (old && changed != model.graph.nodes.end()))
    problems.add(path,
                 absl::StrCat("it is written for version ", opset->second,
                              " of ONNX's operators; Quern reads ", kOldestOpset, " to ",
                              kNewestOpset, old ? ", and its " : "", old ? changed->op : "",
                              old ? " has changed" : ""),
                 absl::StrCat("convert it: onnx.version_converter.convert_version(model, ",
                              kConverted, ")"));
}

} // namespace

std::optional<Model> read_model(const std::string &path, Problems &problems) {
  auto file = open_model_file(path);
  if (!file.ok()) {
    problems.add_file(path, file.status());
    return std::nullopt;
  }
  Model model;
  model.files.push_back(*std::move(file));
  ::onnx::ModelProto proto;
  {
    const auto structure = without_data(model.files[0]->bytes());
    if (!structure.ok()) {
      problems.add(path, std::string(structure.status().message()), kCutShort);
      return std::nullopt;
    }
    if (!proto.ParseFromString(*structure)) {
      problems.add(path, "it is damaged, or no ONNX file: a message in it is not as ONNX has it",
                   kCutShort);
      return std::nullopt;
    }
  }
  if (!proto.has_graph()) {
    problems.add(path, "it is no ONNX model: there is no graph in it",
                 "give the .onnx file that an exporter wrote");
    return std::nullopt;
  }
  model.ir_version = proto.ir_version();
  if (model.ir_version > ::onnx::IR_VERSION)
    problems.add(path,
                 absl::StrCat("it is of version ", model.ir_version,
                              " of ONNX's format; Quern reads up to ",
                              static_cast<int>(::onnx::IR_VERSION)),
                 "save it with an onnx package of version 1.23 or older");
  model.producer = proto.producer_version().empty()
                       ? proto.producer_name()
                       : absl::StrCat(proto.producer_name(), " ", proto.producer_version());
  for (const auto &entry : proto.metadata_props())
    model.metadata.emplace(entry.key(), entry.value());
  for (const auto &opset : proto.opset_import())
    model.opsets.emplace(normal_domain(opset.domain()), opset.version());
  TensorReader tensors(path, model.files);
  GraphReader(model, tensors, problems).read(proto);
  check_versions(model, path, problems);
  return model;
}

} // namespace quern::onnx
