#include "runtime/session/CallShapes.h"

#include "runtime/artifact/SizeExpression.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <optional>

namespace quern::session {
namespace {

using artifact::items;
using artifact::SizeExpression;
using artifact::TensorDesc;
using artifact::text;

std::string str(const flatbuffers::String *string) { return std::string(text(string)); }

std::string shape_text(const TensorDesc &tensor) {
  std::vector<std::string> dims;
  const auto shape = items(tensor.shape());
  for (uint32_t i = 0; i < shape.size(); ++i)
    dims.push_back(shape[i] < 0 ? str(items(tensor.symbols())[i]) : absl::StrCat(shape[i]));
  return absl::StrCat("[", absl::StrJoin(dims, ", "), "]");
}

// Bytes of a dense tensor; UINT64_MAX if that does not fit in 64 bits.
uint64_t dense_bytes(artifact::ElementType type, std::span<const int64_t> shape) {
  uint64_t bytes = artifact::element_bytes(type);
  for (int64_t dim : shape)
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(dim), &bytes))
      return UINT64_MAX;
  return bytes;
}

// Binds symbols one input after another, and knows which input bound each.
class Binder {
public:
  explicit Binder(const artifact::Entry &entry) : entry_(entry) {
    call_.dims.assign(items(entry.sizes()).size(), -1);
    from_.resize(call_.dims.size());
  }

  /// Type, rank, fixed dimensions, and those that are one symbol.
  absl::Status bind(const TensorDesc &wanted, const Tensor &given) {
    const std::string name = str(wanted.name());
    if (given.type != wanted.type())
      return absl::InvalidArgumentError(absl::StrCat(
          "input '", name, "' must be ", EnumNameElementType(wanted.type()), ", not ",
          EnumNameElementType(given.type), "\nhint: convert it first: call changes no types"));
    const auto shape = items(wanted.shape());
    if (given.shape.size() != shape.size())
      return mismatch(wanted, given);
    for (uint32_t i = 0; i < shape.size(); ++i) {
      const int64_t dim = given.shape[i];
      if (dim < 0 || (shape[i] >= 0 && dim != shape[i]))
        return mismatch(wanted, given);
      if (shape[i] < 0)
        if (absl::Status status = bind_dim(wanted, given, i); !status.ok())
          return status;
    }
    if (dense_bytes(given.type, given.shape) > given.bytes)
      return absl::InvalidArgumentError(
          absl::StrCat("input '", name, "' of shape ", session::shape_text(given.shape),
                       " does not fit in its ", given.bytes, " bytes"));
    return absl::OkStatus();
  }

  /// Sizes that no input has alone: what the one size without a value has to be, for an expression
  /// that grows evenly with it to be the dimension that was given.
  void solve(const TensorDesc &wanted, const Tensor &given) {
    const auto dims = items(wanted.dims());
    for (uint32_t i = 0; i < dims.size(); ++i) {
      const std::optional<size_t> size = only_unbound(*dims[i]);
      if (!size)
        continue;
      std::vector<int64_t> sizes = call_.dims;
      sizes[*size] = 0;
      const auto at_0 = artifact::value_of(*dims[i], sizes);
      sizes[*size] = 1;
      const auto at_1 = artifact::value_of(*dims[i], sizes);
      if (!at_0.ok() || !at_1.ok())
        continue;
      const __int128 each = static_cast<__int128>(*at_1) - *at_0;
      const __int128 rest = static_cast<__int128>(given.shape[i]) - *at_0;
      // Whether the expression then gives it, check_expressions sees.
      if (each == 0 || rest / each < 0 || rest / each > items(entry_.sizes())[*size]->most())
        continue;
      call_.dims[*size] = static_cast<int64_t>(rest / each);
      from_[*size] = str(wanted.name());
    }
  }

  /// Sizes that the model counts are the most that they can be.
  absl::Status bind_counted() {
    for (uint32_t i = 0; i < call_.dims.size(); ++i) {
      const artifact::Size &size = *items(entry_.sizes())[i];
      if (!size.bound())
        continue;
      const auto most = artifact::value_of(*size.bound(), call_.dims);
      if (!most.ok())
        return most.status();
      call_.dims[i] = static_cast<int64_t>(
          std::min(static_cast<uint64_t>(std::max<int64_t>(*most, 0)), size.most()));
    }
    return absl::OkStatus();
  }

  absl::Status check_bound() const {
    for (uint32_t i = 0; i < call_.dims.size(); ++i)
      if (call_.dims[i] == -1 && !items(entry_.sizes())[i]->bound())
        return absl::InvalidArgumentError(absl::StrCat(
            "the inputs' shapes leave open what the size '", str(items(entry_.sizes())[i]->name()),
            "' is, or ask for more than ", items(entry_.sizes())[i]->most(),
            "\nhint: other inputs, or compile with a greater --dim ",
            str(items(entry_.sizes())[i]->name()), "=MAX"));
    return absl::OkStatus();
  }

  /// Dimensions that are expressions, once every size has a value.
  absl::Status check_expressions(const TensorDesc &wanted, const Tensor &given) const {
    const auto dims = items(wanted.dims());
    for (uint32_t i = 0; i < dims.size(); ++i) {
      if (items(wanted.shape())[i] >= 0 || artifact::plain_size(*dims[i]))
        continue;
      const auto value = artifact::value_of(*dims[i], call_.dims);
      if (!value.ok())
        return absl::InvalidArgumentError(
            absl::StrCat("input '", str(wanted.name()), "': ", value.status().message(),
                         values_text(), "\nhint: inputs of other sizes"));
      if (*value != given.shape[i])
        return mismatch(wanted, given,
                        absl::StrCat(": ", str(dims[i]->text()), " is ", *value, values_text()));
    }
    return absl::OkStatus();
  }

  absl::Status check_equal() const {
    for (const artifact::EqualSizes *equal : items(entry_.equal())) {
      const auto left = artifact::value_of(*equal->left(), call_.dims);
      const auto right = artifact::value_of(*equal->right(), call_.dims);
      if (left.ok() && right.ok() && *left == *right)
        continue;
      const auto side = [](const SizeExpression &of, const absl::StatusOr<int64_t> &value) {
        return absl::StrCat(str(of.text()), " (",
                            value.ok() ? absl::StrCat(*value) : "which has no value", ")");
      };
      return absl::InvalidArgumentError(absl::StrCat(
          "'", str(equal->because()), "' needs ", side(*equal->left(), left), " to be equal to ",
          side(*equal->right(), right), values_text(), "\nhint: inputs whose sizes agree"));
    }
    return absl::OkStatus();
  }

  CallShape take() { return std::move(call_); }

private:
  /// The size that has no value, if the expression reads one such and no other.
  std::optional<size_t> only_unbound(const SizeExpression &dim) const {
    std::optional<size_t> found;
    for (const artifact::SizeStep *step : items(dim.steps())) {
      const auto size = static_cast<size_t>(step->value());
      if (step->op() != artifact::SizeOp::size || call_.dims[size] != -1)
        continue;
      if (found && *found != size)
        return std::nullopt;
      found = size;
    }
    return found;
  }

  absl::Status bind_dim(const TensorDesc &wanted, const Tensor &given, uint32_t i) {
    const int64_t dim = given.shape[i];
    if (call_.dims.empty()) {
      const std::string_view symbol = text(items(wanted.symbols())[i]);
      int64_t &value = symbol == "T" ? call_.tokens : symbol == "B" ? call_.seqs : call_.rows;
      if (value != -1 && value != dim)
        return mismatch(wanted, given);
      value = dim;
      return absl::OkStatus();
    }
    const auto size = artifact::plain_size(*items(wanted.dims())[i]);
    if (!size)
      return absl::OkStatus();
    const artifact::Size &bound = *items(entry_.sizes())[*size];
    const std::string name = str(bound.name());
    int64_t &value = call_.dims[*size];
    if (value != -1 && value != dim)
      return mismatch(wanted, given,
                      absl::StrCat(": ", name, " is ", value, " in input '", from_[*size], "'"));
    if (static_cast<uint64_t>(dim) > bound.most())
      return absl::InvalidArgumentError(absl::StrCat(
          "input '", str(wanted.name()), "' has shape ", session::shape_text(given.shape), ", and ",
          name, ", its dimension ", i, ", can be at most ", bound.most(),
          "\nhint: smaller inputs, or compile with --dim ", name, "=", dim));
    value = dim;
    from_[*size] = str(wanted.name());
    return absl::OkStatus();
  }

  absl::Status mismatch(const TensorDesc &wanted, const Tensor &given,
                        const std::string &because = "") const {
    return absl::InvalidArgumentError(
        absl::StrCat("input '", str(wanted.name()), "' must have shape ", shape_text(wanted),
                     ", not ", session::shape_text(given.shape), because,
                     "\nhint: quern inspect says what each input's dimensions are"));
  }

  // ", where b is 2, s is 7"
  std::string values_text() const {
    std::string list;
    for (uint32_t i = 0; i < call_.dims.size(); ++i)
      if (!items(entry_.sizes())[i]->bound())
        absl::StrAppend(&list, list.empty() ? ", where " : ", ",
                        str(items(entry_.sizes())[i]->name()), " is ", call_.dims[i]);
    return list;
  }

  const artifact::Entry &entry_;
  CallShape call_;
  std::vector<std::string> from_; ///< of each size, the input that bound it
};

// Whether the expression reads a size that the model counts, and is not just that.
bool hangs_on_counted(const artifact::Entry &entry, const SizeExpression &dim) {
  if (artifact::plain_size(dim))
    return false;
  for (const artifact::SizeStep *step : items(dim.steps()))
    if (step->op() == artifact::SizeOp::size &&
        items(entry.sizes())[static_cast<uint32_t>(step->value())]->bound())
      return true;
  return false;
}

// The dimension's value; an error if it has none, or more than was planned for.
absl::StatusOr<int64_t> output_dim(const artifact::Entry &entry, const TensorDesc &output,
                                   uint32_t i, const CallShape &call, bool counted) {
  const auto wrong = [&](std::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("output '", str(output.name()), "' has shape ",
                                                   shape_text(output), ", ", std::string(what)));
  };
  if (const int64_t dim = items(output.shape())[i]; dim >= 0)
    return dim;
  if (call.dims.empty()) {
    const std::string_view symbol = text(items(output.symbols())[i]);
    const int64_t value = symbol == "T" ? call.tokens : symbol == "B" ? call.seqs : call.rows;
    if (value < 0)
      return wrong("which no input's shape determines");
    return value;
  }
  const SizeExpression &dim = *items(output.dims())[i];
  if (!counted && hangs_on_counted(entry, dim))
    return static_cast<int64_t>(dim.most());
  const auto value = artifact::value_of(dim, call.dims);
  if (!value.ok())
    return wrong(absl::StrCat("where ", value.status().message()));
  if (*value < 0 || static_cast<uint64_t>(*value) > dim.most())
    return wrong(absl::StrCat(
        "where ", str(dim.text()), " is ", *value,
        *value < 0 ? ", less than 0"
                   : absl::StrCat(", more than the ", dim.most(), " that were planned for")));
  return *value;
}

} // namespace

std::string shape_text(std::span<const int64_t> shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

absl::StatusOr<CallShape> bind_inputs(const artifact::Entry &entry,
                                      std::span<const Tensor> inputs) {
  const auto wanted = items(entry.inputs());
  if (wanted.size() != inputs.size())
    return absl::InvalidArgumentError(absl::StrCat("entry '", str(entry.name()), "' takes ",
                                                   wanted.size(), " inputs, not ", inputs.size()));
  Binder binder(entry);
  for (uint32_t i = 0; i < wanted.size(); ++i)
    if (absl::Status status = binder.bind(*wanted[i], inputs[i]); !status.ok())
      return status;
  for (uint32_t i = 0; i < wanted.size(); ++i)
    binder.solve(*wanted[i], inputs[i]);
  if (absl::Status status = binder.check_bound(); !status.ok())
    return status;
  for (uint32_t i = 0; i < wanted.size(); ++i)
    if (absl::Status status = binder.check_expressions(*wanted[i], inputs[i]); !status.ok())
      return status;
  if (absl::Status status = binder.check_equal(); !status.ok())
    return status;
  if (absl::Status status = binder.bind_counted(); !status.ok())
    return status;
  return binder.take();
}

absl::StatusOr<std::vector<Tensor>> shapes_of_outputs(const artifact::Entry &entry,
                                                      const CallShape &call, bool counted) {
  std::vector<Tensor> outputs;
  for (const TensorDesc *desc : items(entry.outputs())) {
    Tensor &output = outputs.emplace_back();
    output.type = desc->type();
    for (uint32_t i = 0; i < items(desc->shape()).size(); ++i) {
      const auto dim = output_dim(entry, *desc, i, call, counted);
      if (!dim.ok())
        return dim.status();
      output.shape.push_back(*dim);
    }
    output.bytes = dense_bytes(output.type, output.shape);
  }
  return outputs;
}

bool is_callable(const artifact::Entry &entry) {
  const std::string_view name = text(entry.name());
  return !items(entry.sizes()).empty() || (name != "step" && name != "encode");
}

bool counts_sizes(const artifact::Entry &entry) {
  for (const artifact::Size *size : items(entry.sizes()))
    if (size->bound())
      return true;
  return false;
}

} // namespace quern::session
