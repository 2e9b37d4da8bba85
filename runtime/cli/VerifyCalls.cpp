#include "runtime/cli/VerifyCalls.h"

#include "runtime/cli/NpyTypes.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <span>
#include <vector>

namespace quern::cli {
namespace {

using artifact::ElementType;
using artifact::items;
using artifact::text;

using Tensors = flatbuffers::Vector<flatbuffers::Offset<artifact::CallTensor>>;
using Descs = flatbuffers::Vector<flatbuffers::Offset<artifact::TensorDesc>>;

double half_value(uint16_t bits) {
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  const double value = exponent == 31  ? (mantissa != 0 ? NAN : INFINITY)
                       : exponent == 0 ? std::ldexp(mantissa, -24)
                                       : std::ldexp(mantissa + 1024, exponent - 25);
  return bits >> 15 ? -value : value;
}

template <typename T> std::vector<double> doubles(const std::vector<uint8_t> &bytes) {
  std::vector<double> values(bytes.size() / sizeof(T));
  for (size_t i = 0; i < values.size(); ++i) {
    T value;
    std::memcpy(&value, &bytes[i * sizeof(T)], sizeof(T));
    values[i] = static_cast<double>(value);
  }
  return values;
}

/// The numbers of a float type; none of another.
std::vector<double> floats_of(ElementType type, std::vector<uint8_t> bytes) {
  if (type == ElementType::f16) {
    std::vector<double> values = doubles<uint16_t>(bytes);
    for (double &value : values)
      value = half_value(static_cast<uint16_t>(value));
    return values;
  }
  if (type == ElementType::f64)
    return doubles<double>(bytes);
  if (written_as(type) == ElementType::f32)
    return doubles<float>(as_written(type, std::move(bytes)));
  return {};
}

/// The root mean square difference in standard deviations of `wanted`; infinite where one is finite
/// and the other is not.
double distance(const std::vector<double> &got, const std::vector<double> &wanted) {
  double sum = 0, squares = 0, error = 0, count = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (!std::isfinite(wanted[i]) || !std::isfinite(got[i])) {
      if (got[i] != wanted[i] && !(std::isnan(got[i]) && std::isnan(wanted[i])))
        return INFINITY;
      continue;
    }
    sum += wanted[i];
    squares += wanted[i] * wanted[i];
    error += (got[i] - wanted[i]) * (got[i] - wanted[i]);
    ++count;
  }
  if (count == 0 || error == 0)
    return 0;
  const double mean = sum / count, variance = squares / count - mean * mean;
  // Numbers that are all alike are compared with how large they are.
  const double scale = std::sqrt(std::max(variance, 1e-6 * squares / count));
  return std::sqrt(error / count) / std::max(scale, 1e-30);
}

absl::Status contradicts(std::string_view entry) {
  return absl::DataLossError(absl::StrCat("the proof's call of '", std::string(entry),
                                          "' contradicts the entry's inputs and outputs"));
}

/// The proof's tensors, with memory of their own, which is aligned.
absl::StatusOr<std::vector<session::Tensor>> tensors_of(const Tensors *tensors, const Descs *descs,
                                                        std::string_view entry,
                                                        std::vector<std::vector<uint8_t>> &memory) {
  if (items(tensors).size() != items(descs).size())
    return contradicts(entry);
  std::vector<session::Tensor> all;
  for (uint32_t i = 0; i < items(tensors).size(); ++i) {
    const artifact::CallTensor &tensor = *items(tensors)[i];
    session::Tensor &out = all.emplace_back();
    out.type = items(descs)[i]->type();
    uint64_t bytes = artifact::element_bytes(out.type);
    for (uint32_t d = 0; d < items(tensor.shape()).size(); ++d) {
      // FlatBuffers' verifier does not look at how elements lie, and the file may be anyone's.
      std::memcpy(&out.shape.emplace_back(), tensor.shape()->Data() + d * sizeof(int64_t),
                  sizeof(int64_t));
      if (out.shape.back() < 0 ||
          __builtin_mul_overflow(bytes, static_cast<uint64_t>(out.shape.back()), &bytes))
        return contradicts(entry);
    }
    if (bytes != items(tensor.elements()).size())
      return contradicts(entry);
    std::vector<uint8_t> &own = memory.emplace_back();
    if (bytes != 0)
      own.assign(tensor.elements()->begin(), tensor.elements()->end());
    out.data = own.data();
    out.bytes = bytes;
  }
  return all;
}

absl::Status compare(const session::Tensor &got, const session::Tensor &wanted, float tolerance,
                     const std::string &name, CallsVerified &verified) {
  // A size that the model counts may have more room than it needs.
  const auto bytes = [&](const session::Tensor &tensor) {
    const auto *begin = static_cast<const uint8_t *>(tensor.data);
    return std::vector<uint8_t>(begin, begin + wanted.bytes);
  };
  const auto differs = [&](const std::string &what) {
    return absl::FailedPreconditionError(absl::StrCat("output '", name, "' ", what));
  };
  if (got.shape != wanted.shape || got.bytes < wanted.bytes)
    return differs("has another shape than the reference");
  ++verified.outputs;
  const std::vector<double> values = floats_of(got.type, bytes(got));
  if (!values.empty() || wanted.bytes == 0) {
    const double difference = distance(values, floats_of(wanted.type, bytes(wanted)));
    verified.largest = std::max(verified.largest, difference);
    return difference <= tolerance
               ? absl::OkStatus()
               : differs(
                     absl::StrFormat("is %.2g standard deviations from the reference (root mean "
                                     "square), allowed %.2g",
                                     difference, tolerance));
  }
  const std::vector<uint8_t> a = as_written(got.type, bytes(got)),
                             b = as_written(wanted.type, bytes(wanted));
  const size_t size = artifact::element_bytes(written_as(got.type));
  size_t different = 0;
  for (size_t at = 0; at < a.size(); at += size)
    different += std::memcmp(&a[at], &b[at], size) != 0;
  if (different * 50 > a.size() / size)
    return differs(absl::StrCat("differs from the reference in ", different, " of ",
                                a.size() / size, " elements"));
  return absl::OkStatus();
}

} // namespace

absl::Status check_call(session::Engine &engine, const artifact::CallVector &vector,
                        CallsVerified &verified) {
  const std::string_view name = text(vector.entry());
  const artifact::Entry *entry = engine.artifact().entry(name);
  if (!entry)
    return contradicts(name);
  std::vector<std::vector<uint8_t>> memory;
  const auto inputs = tensors_of(vector.inputs(), entry->inputs(), name, memory);
  const auto wanted = tensors_of(vector.outputs(), entry->outputs(), name, memory);
  if (!inputs.ok() || !wanted.ok())
    return inputs.ok() ? wanted.status() : inputs.status();
  auto outputs = engine.output_shapes(name, *inputs);
  if (!outputs.ok())
    return outputs.status();
  for (session::Tensor &output : *outputs)
    output.data = memory.emplace_back(output.bytes).data();
  if (absl::Status status = engine.call(name, *inputs, *outputs); !status.ok())
    return status;
  for (uint32_t i = 0; i < outputs->size(); ++i)
    if (absl::Status status =
            compare((*outputs)[i], (*wanted)[i], vector.tolerance(),
                    std::string(text(items(entry->outputs())[i]->name())), verified);
        !status.ok())
      return status;
  return absl::OkStatus();
}

} // namespace quern::cli
