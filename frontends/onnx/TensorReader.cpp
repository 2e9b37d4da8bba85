#include "frontends/onnx/TensorReader.h"

#include "frontends/ModelFile.h"
#include "frontends/onnx/WireFilter.h"

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <onnx-ml.pb.h>

namespace quern::onnx {
namespace {

namespace fs = std::filesystem;

absl::Status refuse(const Tensor &tensor, const std::string &what,
                    const std::string &hint = "export the model again, or download it again") {
  return absl::InvalidArgumentError(
      absl::StrCat("tensor '", tensor.name, "', ", describe(tensor), ", ", what, "\nhint: ", hint));
}

/// The field of TensorProto that holds elements of a type which are not raw.
int typed_field(ElementType type) {
  switch (type) {
  case ElementType::Float32:
  case ElementType::Complex64:
    return ::onnx::TensorProto::kFloatDataFieldNumber;
  case ElementType::Float64:
  case ElementType::Complex128:
    return ::onnx::TensorProto::kDoubleDataFieldNumber;
  case ElementType::Int64:
    return ::onnx::TensorProto::kInt64DataFieldNumber;
  case ElementType::Uint32:
  case ElementType::Uint64:
    return ::onnx::TensorProto::kUint64DataFieldNumber;
  default:
    return ::onnx::TensorProto::kInt32DataFieldNumber;
  }
}

/// The low bytes of each element, one after the other.
template <typename Elements> std::string packed(const Elements &elements, size_t width) {
  std::string bytes;
  bytes.reserve(static_cast<size_t>(elements.size()) * width);
  for (const auto &element : elements)
    bytes.append(reinterpret_cast<const char *>(&element), width);
  return bytes;
}

/// Elements of 6 bits, given one by one, in a row.
std::string packed_sixes(const google::protobuf::RepeatedField<int32_t> &elements) {
  std::string bytes((static_cast<size_t>(elements.size()) * 6 + 7) / 8, 0);
  size_t bit = 0;
  for (const int32_t element : elements) {
    const unsigned shifted = (static_cast<unsigned>(element) & 63u) << bit % 8;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] | static_cast<char>(shifted));
    if (shifted > 255)
      bytes[bit / 8 + 1] = static_cast<char>(shifted >> 8);
    bit += 6;
  }
  return bytes;
}

/// Elements that TensorProto holds one by one, as raw bytes.
std::string typed_bytes(const ::onnx::TensorProto &proto, ElementType type) {
  const size_t width = static_cast<size_t>(std::max(8, element_bits(type))) / 8;
  switch (typed_field(type)) {
  case ::onnx::TensorProto::kFloatDataFieldNumber:
    return packed(proto.float_data(), sizeof(float));
  case ::onnx::TensorProto::kDoubleDataFieldNumber:
    return packed(proto.double_data(), sizeof(double));
  case ::onnx::TensorProto::kInt64DataFieldNumber:
    return packed(proto.int64_data(), sizeof(int64_t));
  case ::onnx::TensorProto::kUint64DataFieldNumber:
    return packed(proto.uint64_data(), width);
  default:
    return element_bits(type) == 6 ? packed_sixes(proto.int32_data())
                                   : packed(proto.int32_data(), width);
  }
}

bool is_inside(const fs::path &file, const fs::path &folder) {
  return std::mismatch(folder.begin(), folder.end(), file.begin(), file.end()).first ==
         folder.end();
}

} // namespace

Tensor TensorReader::outline(const ::onnx::TensorProto &proto) {
  Tensor tensor;
  tensor.name = proto.name();
  const std::vector<int64_t> shape(proto.dims().begin(), proto.dims().end());
  const auto type = find_element_type(proto.data_type());
  if (!type || !count_elements(shape))
    return tensor;
  tensor.type = *type;
  tensor.shape = shape;
  return tensor;
}

absl::StatusOr<Tensor> TensorReader::read(const ::onnx::TensorProto &proto) {
  Tensor tensor;
  tensor.name = proto.name();
  const auto type = find_element_type(proto.data_type());
  tensor.shape.assign(proto.dims().begin(), proto.dims().end());
  if (!type || *type == ElementType::Undefined)
    return refuse(tensor, absl::StrCat("has elements of type ", proto.data_type(), ", which ONNX ",
                                       "1.23 does not know"));
  tensor.type = *type;
  if (!count_elements(tensor.shape))
    return refuse(tensor, "has a shape that no tensor can have");
  if (proto.has_segment())
    return refuse(tensor, "is a part of a tensor, which no exporter writes");
  if (absl::Status status = read_elements(proto, tensor); !status.ok())
    return status;
  return tensor;
}

absl::Status TensorReader::read_elements(const ::onnx::TensorProto &proto, Tensor &tensor) {
  if (proto.data_location() == ::onnx::TensorProto::EXTERNAL)
    return refer_external(proto, tensor);
  if (proto.external_data_size() == 1 && is_inline_data(proto.external_data(0).key()))
    return refer_inline(proto.external_data(0).value(), tensor);
  const auto elements = static_cast<uint64_t>(tensor.elements());
  if (tensor.type == ElementType::String) {
    tensor.storage = Storage::Strings;
    tensor.strings.assign(proto.string_data().begin(), proto.string_data().end());
    if (tensor.strings.size() != elements)
      return refuse(tensor, absl::StrCat("has ", tensor.strings.size(), " texts"));
    return absl::OkStatus();
  }
  tensor.storage = Storage::Raw;
  tensor.bytes = proto.has_raw_data() ? proto.raw_data() : typed_bytes(proto, tensor.type);
  if (tensor.bytes.size() != tensor.raw_bytes())
    return refuse(tensor,
                  absl::StrCat("has ", tensor.bytes.size(), " bytes of data where its shape ",
                               "takes ", tensor.raw_bytes()));
  return absl::OkStatus();
}

absl::Status TensorReader::refer_inline(const std::string &value, Tensor &tensor) {
  const auto data = inline_data(value);
  const bool raw = data && data->field == ::onnx::TensorProto::kRawDataFieldNumber;
  if (!data || tensor.type == ElementType::String ||
      (!raw && data->field != typed_field(tensor.type)))
    return refuse(tensor, "has its data in a field for another type");
  const bool fixed = raw || data->field == ::onnx::TensorProto::kFloatDataFieldNumber ||
                     data->field == ::onnx::TensorProto::kDoubleDataFieldNumber;
  tensor.storage = fixed ? Storage::File : Storage::Varints;
  tensor.offset = data->offset;
  tensor.size = data->size;
  if (fixed && tensor.size != tensor.raw_bytes())
    return refuse(tensor, absl::StrCat("has ", tensor.size, " bytes of data where its shape takes ",
                                       tensor.raw_bytes()));
  if (!fixed && tensor.size < (tensor.raw_bytes() * 8) / 64)
    return refuse(tensor, "has fewer elements than its shape says");
  return absl::OkStatus();
}

absl::Status TensorReader::refer_external(const ::onnx::TensorProto &proto, Tensor &tensor) {
  std::string location;
  uint64_t offset = 0;
  std::optional<uint64_t> length;
  for (const auto &entry : proto.external_data()) {
    uint64_t number = 0;
    const bool numeric = absl::SimpleAtoi(entry.value(), &number);
    if (entry.key() == "location")
      location = entry.value();
    else if ((entry.key() == "offset" || entry.key() == "length") && !numeric)
      return refuse(tensor, absl::StrCat("has external data whose ", entry.key(), " is '",
                                         entry.value(), "', no number of bytes"));
    else if (entry.key() == "offset")
      offset = number;
    else if (entry.key() == "length")
      length = number;
  }
  if (tensor.type == ElementType::String)
    return refuse(tensor, "has texts outside the file, which the format does not allow");
  const auto file = open_beside(location);
  if (!file.ok())
    return absl::Status(file.status().code(),
                        absl::StrCat("tensor '", tensor.name, "' has external data: ",
                                     std::string(file.status().message())));
  const uint64_t size = files_[static_cast<size_t>(*file)]->size();
  tensor.storage = Storage::File;
  tensor.file = *file;
  tensor.offset = offset;
  tensor.size = tensor.raw_bytes();
  if (length && *length != tensor.size)
    return refuse(tensor, absl::StrCat("has ", *length, " bytes of external data where its shape ",
                                       "takes ", tensor.size));
  if (offset > size || tensor.size > size - offset)
    return refuse(tensor,
                  absl::StrCat("lies at bytes ", offset, " to ", offset, " + ", tensor.size, " of ",
                               location, ", which has ", size),
                  kCutShort);
  return absl::OkStatus();
}

absl::StatusOr<int> TensorReader::open_beside(const std::string &location) {
  const auto known = opened_.find(location);
  if (known != opened_.end())
    return known->second;
  const fs::path relative(location);
  const auto outside = [&](const char *why) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the file '", location, "' ", why,
        "\nhint: data are read from the model's own folder alone: move the file there, "
        "and save the model again with its new place"));
  };
  if (location.empty() || location.find('\0') != location.npos)
    return absl::InvalidArgumentError("it does not say in which file"
                                      "\nhint: export the model again");
  if (relative.is_absolute())
    return outside("is named by an absolute path");
  if (std::ranges::find(relative, fs::path("..")) != relative.end())
    return outside("lies outside the model's folder");
  const fs::path folder = fs::path(path_).parent_path();
  const std::string path = (folder / relative).string();
  // Where links lead: a folder of the Hugging Face cache links the model and its data to files that
  // lie side by side elsewhere; a link to any other place could have the artifact carry any file.
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  if (!error) {
    const fs::path here = fs::canonical(folder.empty() ? fs::path(".") : folder, error);
    const fs::path model = fs::canonical(path_, error);
    if (error || !(is_inside(real, here) || is_inside(real, model.parent_path())))
      return outside("is a link out of the model's folder");
    if (!fs::is_regular_file(real, error))
      return outside("is no regular file");
  }
  auto file = open_model_file(path);
  if (absl::IsNotFound(file.status()) && !absl::StrContains(file.status().message(), "hint:"))
    return absl::NotFoundError(absl::StrCat(
        "the file '", location, "' is not in ", folder.empty() ? "this folder" : folder.string(),
        "\nhint: the model's weights are in a file of their own: put '", location,
        "' beside the model, under this name"));
  if (!file.ok())
    return file.status();
  const int number = static_cast<int>(files_.size());
  files_.push_back(*std::move(file));
  opened_.emplace(location, number);
  return number;
}

absl::StatusOr<Tensor> TensorReader::read(const ::onnx::SparseTensorProto &proto) {
  auto values = read(proto.values());
  auto indices = read(proto.indices());
  if (!values.ok() || !indices.ok())
    return values.ok() ? indices.status() : values.status();
  Tensor tensor;
  tensor.name = values->name;
  tensor.type = values->type;
  tensor.storage = Storage::Sparse;
  tensor.shape.assign(proto.dims().begin(), proto.dims().end());
  const auto rank = static_cast<int64_t>(tensor.shape.size());
  if (!count_elements(tensor.shape))
    return refuse(tensor, "has a shape that no tensor can have");
  const int64_t count = values->elements();
  const bool linear = indices->shape == std::vector<int64_t>{count};
  if (values->shape.size() != 1 || indices->type != ElementType::Int64 ||
      (!linear && indices->shape != std::vector<int64_t>{count, rank}))
    return refuse(tensor, absl::StrCat("has values ", describe(*values), " and indices ",
                                       describe(*indices), ", which do not fit together"));
  tensor.values = std::make_shared<Tensor>(*std::move(values));
  tensor.indices = std::make_shared<Tensor>(*std::move(indices));
  return tensor;
}

} // namespace quern::onnx
