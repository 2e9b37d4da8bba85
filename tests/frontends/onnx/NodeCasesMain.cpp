// onnx_node_cases FOLDER [PART_OF_NAME ...]: imports ONNX's own node cases (make_node_cases.py
// writes them) and runs them by the interpreter, in one process. Prints a line for each that does
// not pass: "name: refused: why" where the import says no, "name: wrong: what", "name: failed: why"
// where the interpreter does; and how many of each there are.
#include "frontends/Import.h"
#include "ir/quern/QuernDialect.h"
#include "ir/reference/Interpreter.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <onnx-ml.pb.h>
#include <sstream>

namespace {

using namespace quern;
using onnx_tensor = ::onnx::TensorProto;
namespace fs = std::filesystem;

onnx_tensor read_proto(const fs::path &path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream bytes;
  bytes << file.rdbuf();
  onnx_tensor proto;
  if (!proto.ParseFromString(bytes.str()))
    std::fprintf(stderr, "%s is no tensor\n", path.c_str());
  return proto;
}

unsigned bits_of(int type) {
  switch (type) {
  case onnx_tensor::UINT4:
  case onnx_tensor::INT4:
  case onnx_tensor::FLOAT4E2M1:
    return 4;
  case onnx_tensor::UINT2:
  case onnx_tensor::INT2:
    return 2;
  case onnx_tensor::FLOAT:
  case onnx_tensor::INT32:
  case onnx_tensor::UINT32:
    return 32;
  case onnx_tensor::DOUBLE:
  case onnx_tensor::INT64:
  case onnx_tensor::UINT64:
    return 64;
  case onnx_tensor::FLOAT16:
  case onnx_tensor::BFLOAT16:
  case onnx_tensor::INT16:
  case onnx_tensor::UINT16:
    return 16;
  case onnx_tensor::FLOAT6E2M3:
  case onnx_tensor::FLOAT6E3M2:
    return 6;
  default:
    return 8;
  }
}

/// The elements' bits, whichever field they are in; small types' codes or values a number each.
std::vector<uint64_t> bits(const onnx_tensor &proto, int64_t count) {
  const unsigned width = bits_of(proto.data_type());
  std::vector<uint64_t> list;
  const std::string &raw = proto.raw_data();
  const auto packed = [&](auto byte_at) {
    for (int64_t i = 0; i < count; ++i) {
      uint64_t code = 0;
      for (unsigned b = 0; b < width; ++b) {
        const uint64_t at = static_cast<uint64_t>(i) * width + b;
        code |= static_cast<uint64_t>(byte_at(at / 8) >> (at % 8) & 1) << b;
      }
      list.push_back(code);
    }
  };
  if (!raw.empty()) {
    packed([&](uint64_t i) { return static_cast<uint8_t>(raw[i]); });
  } else if (width < 8) {
    packed([&](uint64_t i) { return static_cast<uint8_t>(proto.int32_data(static_cast<int>(i))); });
  } else {
    const auto as_bits = [](auto value) {
      uint64_t b = 0;
      std::memcpy(&b, &value, sizeof value);
      return b;
    };
    for (int i = 0; i < count; ++i)
      list.push_back(proto.float_data_size() != 0    ? as_bits(proto.float_data(i))
                     : proto.double_data_size() != 0 ? as_bits(proto.double_data(i))
                     : proto.int64_data_size() != 0  ? static_cast<uint64_t>(proto.int64_data(i))
                     : proto.uint64_data_size() != 0 ? proto.uint64_data(i)
                                                     : static_cast<uint64_t>(proto.int32_data(i)));
  }
  return list;
}

reference::Tensor tensor_of(const onnx_tensor &proto, mlir::Type element) {
  reference::Tensor tensor;
  tensor.element = element;
  int64_t count = 1;
  for (const int64_t size : proto.dims()) {
    tensor.shape.push_back(size);
    count *= size;
  }
  const unsigned width = bits_of(proto.data_type());
  const bool sign =
      proto.data_type() == onnx_tensor::INT4 || proto.data_type() == onnx_tensor::INT2;
  for (const uint64_t code : bits(proto, count))
    if (tensor.is_float())
      tensor.floats.push_back(reference::bits_to_float(mlir::cast<mlir::FloatType>(element),
                                                       static_cast<int64_t>(code)));
    else
      tensor.ints.push_back(
          width < 8 ? (sign ? reference::wrapped(static_cast<int64_t>(code), width)
                            : static_cast<int64_t>(code))
                    : reference::wrapped(static_cast<int64_t>(code), reference::width_of(element)));
  return tensor;
}

/// What is different; "" where all is within the tolerance.
std::string difference(const reference::Tensor &got, const reference::Tensor &want, double rtol,
                       double atol) {
  if (got.shape != want.shape)
    return absl::StrCat("shape ", reference::shape_text(got.shape), ", not ",
                        reference::shape_text(want.shape));
  if (got.element != want.element)
    return "another element type";
  for (size_t i = 0; i < want.floats.size(); ++i) {
    const double a = got.floats[i], b = want.floats[i];
    if ((std::isnan(a) && std::isnan(b)) || a == b)
      continue;
    if (!(std::fabs(a - b) <= atol + rtol * std::fabs(b)))
      return absl::StrCat("element ", i, " is ", a, ", not ", b);
  }
  for (size_t i = 0; i < want.ints.size(); ++i)
    if (got.ints[i] != want.ints[i])
      return absl::StrCat("element ", i, " is ", got.ints[i], ", not ", want.ints[i]);
  return "";
}

/// "passed", or what is printed.
std::string run(const fs::path &folder, bool print) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.loadDialect<QuernDialect, mlir::func::FuncDialect>();
  ImportOptions options;
  options.identify = false;
  auto model = import_model((folder / "model.onnx").string(), options, context);
  if (!model.ok())
    return absl::StrCat(model.status().code() == absl::StatusCode::kInternal ? "broken: "
                                                                             : "refused: ",
                        std::string(model.status().message()));
  if (print)
    model->module->dump();
  auto main = model->module->lookupSymbol<mlir::func::FuncOp>("main");
  std::vector<reference::Tensor> inputs;
  for (unsigned i = 0; i < main.getNumArguments(); ++i) {
    const fs::path path = folder / absl::StrCat("input_", i, ".pb");
    if (!fs::exists(path))
      return absl::StrCat("failed: there is no input ", i);
    inputs.push_back(
        tensor_of(read_proto(path),
                  mlir::cast<mlir::RankedTensorType>(main.getArgumentTypes()[i]).getElementType()));
  }
  auto interpreter = reference::Interpreter::create(*model->module);
  if (!interpreter.ok())
    return absl::StrCat("failed: ", std::string(interpreter.status().message()));
  const auto results = (*interpreter)->call("main", inputs);
  if (!results.ok())
    return absl::StrCat("failed: ", std::string(results.status().message()));
  double rtol = 1e-3, atol = 1e-7;
  std::ifstream(folder / "tolerance") >> rtol >> atol;
  for (size_t i = 0; i < results->size(); ++i) {
    const fs::path path = folder / absl::StrCat("output_", i, ".pb");
    if (!fs::exists(path))
      continue;
    const auto want = tensor_of(read_proto(path), (*results)[i].element);
    if (const std::string what = difference((*results)[i], want, rtol, atol); !what.empty())
      return absl::StrCat("wrong: output ", i, ": ", what);
  }
  return "passed";
}

} // namespace

int main(int argc, char **argv) {
  if (argc < 2)
    return 2;
  std::vector<fs::path> folders;
  for (const auto &entry : fs::directory_iterator(argv[1])) {
    const std::string name = entry.path().filename().string();
    bool wanted = argc == 2;
    for (int i = 2; i < argc; ++i)
      wanted |= name.find(argv[i]) != name.npos;
    if (wanted)
      folders.push_back(entry.path());
  }
  std::ranges::sort(folders);
  std::map<std::string, int> counts;
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  for (const fs::path &folder : folders) {
    if (std::getenv("PRINT_NAMES") != nullptr) { // the last is the one that ended the program
      std::fprintf(stderr, "%s\n", folder.filename().c_str());
    }
    std::string result = run(folder, std::getenv("PRINT_IR") != nullptr);
    ++counts[result.substr(0, result.find(':'))];
    std::ranges::replace(result, '\n', ' ');
    if (result != "passed")
      std::printf("%s: %s\n", folder.filename().c_str(), result.substr(0, 300).c_str());
  }
  for (const auto &[what, count] : counts)
    std::printf("%d %s\n", count, what.c_str());
  return counts.size() == 1 && counts.contains("passed") ? 0 : 1;
}
