#include "codegen/artifact/WeightRows.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

namespace quern::artifact {
namespace {

using formats::ErrorStats;
using formats::Format;

int64_t row_elements_of(WeightType type) {
  return type.getShape().empty() ? 1 : type.getShape().back();
}

absl::Status in_row(const std::string &name, int64_t row, const absl::Status &status) {
  return absl::Status(status.code(),
                      absl::StrCat(name, ", row ", row, ": ", std::string(status.message())));
}

// A weight of the model's files, or a synthetic one.
class DeclaredRows : public WeightRows {
public:
  DeclaredRows(WeightType type, weights::WeightRef ref, std::string name,
               const weights::WeightStore &store)
      : WeightRows(type), ref_(std::move(ref)), name_(std::move(name)), store_(store) {}

  absl::Status read(int64_t first, int64_t count, std::byte *dst, ErrorStats &) const override {
    std::vector<std::byte> scratch;
    const auto bytes = store_.encoded_rows(ref_, first, count, scratch);
    if (!bytes.ok())
      return absl::Status(bytes.status().code(),
                          absl::StrCat(name_, ": ", std::string(bytes.status().message())));
    std::memcpy(dst, bytes->data(), bytes->size());
    return absl::OkStatus();
  }

private:
  weights::WeightRef ref_;
  std::string name_;
  const weights::WeightStore &store_;
};

// Weights one below the other. Vectors are one row each, so theirs lie one behind the other.
class ConcatRows : public WeightRows {
public:
  ConcatRows(WeightType type, std::vector<std::unique_ptr<WeightRows>> parts)
      : WeightRows(type), parts_(std::move(parts)), vectors_(type.getShape().size() == 1) {}

  absl::Status read(int64_t first, int64_t count, std::byte *dst,
                    ErrorStats &error) const override {
    for (const auto &part : parts_) {
      const int64_t here =
          vectors_ ? count : std::clamp<int64_t>(part->rows() - first, int64_t{0}, count);
      if (here > 0) {
        if (absl::Status status = part->read(first, here, dst, error); !status.ok())
          return status;
        dst += here * part->row_bytes();
      }
      if (vectors_)
        continue;
      count -= here;
      first = std::max<int64_t>(0, first - part->rows());
    }
    return absl::OkStatus();
  }

private:
  std::vector<std::unique_ptr<WeightRows>> parts_;
  bool vectors_;
};

class ConvertedRows : public WeightRows {
public:
  ConvertedRows(WeightType type, std::unique_ptr<WeightRows> input, std::string name)
      : WeightRows(type), input_(std::move(input)), name_(std::move(name)) {}

  absl::Status read(int64_t first, int64_t count, std::byte *dst,
                    ErrorStats &error) const override {
    const int64_t n = row_elements();
    std::vector<float> from(static_cast<size_t>(n));
    std::vector<float> to(from.size());
    for (int64_t row = first; row < first + count; ++row, dst += row_bytes()) {
      if (absl::Status status = input_->read_floats(row, 1, from.data(), error); !status.ok())
        return status;
      if (absl::Status status = format().encode_row(from.data(), n, dst); !status.ok())
        return in_row(name_, row, status);
      format().decode_row(dst, n, to.data());
      error.add(from.data(), to.data(), n);
    }
    return absl::OkStatus();
  }

private:
  std::unique_ptr<WeightRows> input_;
  std::string name_;
};

// A function of every element.
class MappedRows : public WeightRows {
public:
  MappedRows(WeightType type, std::unique_ptr<WeightRows> input, float (*fn)(float))
      : WeightRows(type), input_(std::move(input)), fn_(fn) {}

  absl::Status read(int64_t first, int64_t count, std::byte *dst,
                    ErrorStats &error) const override {
    std::vector<float> row(static_cast<size_t>(row_elements()));
    for (int64_t i = 0; i < count; ++i, dst += row_bytes()) {
      if (absl::Status status = input_->read_floats(first + i, 1, row.data(), error); !status.ok())
        return status;
      std::transform(row.begin(), row.end(), row.begin(), fn_);
      std::memcpy(dst, row.data(), row.size() * sizeof(float));
    }
    return absl::OkStatus();
  }

private:
  std::unique_ptr<WeightRows> input_;
  float (*fn_)(float);
};

// The same bytes cut into other rows: both kinds of row are whole blocks, without padding.
class ReshapedRows : public WeightRows {
public:
  ReshapedRows(WeightType type, std::unique_ptr<WeightRows> input)
      : WeightRows(type), input_(std::move(input)) {}

  absl::Status read(int64_t first, int64_t count, std::byte *dst,
                    ErrorStats &error) const override {
    const int64_t from = first * row_bytes();
    const int64_t bytes = count * row_bytes();
    const int64_t width = input_->row_bytes();
    const int64_t row = from / width;
    const int64_t end = (from + bytes + width - 1) / width;
    std::vector<std::byte> rows(static_cast<size_t>((end - row) * width));
    if (absl::Status status = input_->read(row, end - row, rows.data(), error); !status.ok())
      return status;
    std::memcpy(dst, rows.data() + (from - row * width), static_cast<size_t>(bytes));
    return absl::OkStatus();
  }

private:
  std::unique_ptr<WeightRows> input_;
};

// In double and rounded once, as the interpreter does it.
float neg_exp(float x) { return static_cast<float>(-std::exp(static_cast<double>(x))); }
float add_one(float x) { return static_cast<float>(1.0 + static_cast<double>(x)); }

// The source's name for an op: what NameLoc says, or the op's own name.
std::string name_of(mlir::Operation *op) {
  if (auto name = op->getLoc()->findInstanceOf<mlir::NameLoc>())
    return name.getName().str();
  if (auto packed = op->getParentOfType<PackedOp>())
    return packed.getSymName().str();
  return op->getName().getStringRef().str();
}

absl::StatusOr<std::unique_ptr<WeightRows>> declared(WeightRefOp op,
                                                     const weights::WeightStore &store) {
  auto declaration =
      mlir::SymbolTable::lookupNearestSymbolFrom<WeightOp>(op->getParentOp(), op.getNameAttr());
  if (!declaration)
    return absl::InternalError(
        absl::StrCat("a packed weight refers to ", op.getName().str(), ", which is no weight"));
  weights::WeightRef ref = weight_ref(declaration);
  std::string name = declaration.getSymName().str();
  if (absl::Status status = store.check(ref); !status.ok())
    return absl::Status(status.code(), absl::StrCat(name, ": ", std::string(status.message())));
  return std::make_unique<DeclaredRows>(op.getType(), std::move(ref), std::move(name), store);
}

absl::StatusOr<std::unique_ptr<WeightRows>> reshaped(WeightReshapeOp op,
                                                     std::unique_ptr<WeightRows> input) {
  const int block = input->format().block();
  if (input->row_elements() % block != 0 || row_elements_of(op.getType()) % block != 0)
    return absl::InvalidArgumentError(
        absl::StrCat(name_of(op), ": cannot be reshaped, its rows are not whole blocks of ",
                     input->format().name()));
  return std::make_unique<ReshapedRows>(op.getType(), std::move(input));
}

} // namespace

WeightRows::WeightRows(WeightType type)
    : format_(formats::find_format(type.getFormat().getValue())), rows_(1),
      row_elements_(row_elements_of(type)) {
  for (size_t i = 0; i + 1 < type.getShape().size(); ++i)
    rows_ *= type.getShape()[i];
}

absl::Status WeightRows::read_floats(int64_t first, int64_t count, float *dst,
                                     ErrorStats &error) const {
  std::vector<std::byte> encoded(static_cast<size_t>(count * row_bytes()));
  if (absl::Status status = read(first, count, encoded.data(), error); !status.ok())
    return status;
  for (int64_t i = 0; i < count; ++i)
    format_->decode_row(encoded.data() + i * row_bytes(), row_elements_, dst + i * row_elements_);
  return absl::OkStatus();
}

weights::WeightRef weight_ref(WeightOp declaration) {
  weights::WeightRef ref;
  ref.file = static_cast<int32_t>(declaration.getFile());
  ref.offset = declaration.getOffset();
  ref.format = declaration.getType().getFormat().str();
  ref.shape.assign(declaration.getType().getShape().begin(),
                   declaration.getType().getShape().end());
  if (ref.file == weights::WeightRef::kSynthetic) {
    ref.synthetic.name = declaration.getSymName().str();
    ref.synthetic.seed = static_cast<uint64_t>(declaration.getSeed().value_or(0));
    if (const auto spread = declaration.getSpread())
      ref.synthetic.scale = spread->convertToFloat();
    if (const auto mean = declaration.getMean())
      ref.synthetic.offset = mean->convertToFloat();
  }
  return ref;
}

absl::StatusOr<std::unique_ptr<WeightRows>> weight_rows(mlir::Value expression,
                                                        const weights::WeightStore &store) {
  mlir::Operation *op = expression.getDefiningOp();
  auto type = mlir::cast<WeightType>(expression.getType());
  if (auto format = formats::require_format(type.getFormat().getValue()); !format.ok())
    return format.status();
  if (auto ref = mlir::dyn_cast_or_null<WeightRefOp>(op))
    return declared(ref, store);

  std::vector<std::unique_ptr<WeightRows>> inputs;
  if (op)
    for (mlir::Value operand : op->getOperands()) {
      auto input = weight_rows(operand, store);
      if (!input.ok())
        return input.status();
      inputs.push_back(*std::move(input));
    }
  if (mlir::isa_and_nonnull<WeightConcatOp>(op)) {
    if (type.getShape().size() == 1)
      for (const auto &input : inputs)
        if (input->row_elements() % input->format().block() != 0)
          return absl::InvalidArgumentError(
              absl::StrCat(name_of(op), ": vectors in ", input->format().name(),
                           " that do not fill its blocks cannot be joined"));
    return std::make_unique<ConcatRows>(type, std::move(inputs));
  }
  if (mlir::isa_and_nonnull<WeightConvertOp>(op)) {
    // What is in the format already is not rounded again.
    if (type.getFormat().getValue() == inputs[0]->format().name())
      return std::move(inputs[0]);
    if (!formats::find_format(type.getFormat().getValue())->can_encode())
      return absl::InvalidArgumentError(absl::StrCat(name_of(op), ": cannot be converted to ",
                                                     type.getFormat().str(),
                                                     ", which Quern reads but does not write"));
    return std::make_unique<ConvertedRows>(type, std::move(inputs[0]), name_of(op));
  }
  if (auto map = mlir::dyn_cast_or_null<WeightMapOp>(op))
    return std::make_unique<MappedRows>(type, std::move(inputs[0]),
                                        map.getFn() == "neg_exp" ? neg_exp : add_one);
  if (auto reshape = mlir::dyn_cast_or_null<WeightReshapeOp>(op))
    return reshaped(reshape, std::move(inputs[0]));
  return absl::UnimplementedError(
      absl::StrCat(op ? op->getName().getStringRef().str() : "a block argument",
                   " cannot be computed when weights are packed"));
}

} // namespace quern::artifact
