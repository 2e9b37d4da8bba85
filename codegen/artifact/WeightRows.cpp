#include "codegen/artifact/WeightRows.h"

#include "codegen/artifact/WeightLayouts.h"
#include "ir/quern/WeightRefs.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

namespace quern::artifact {
namespace {

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
  DeclaredRows(WeightType type, weights::WeightRef ref, TensorFinding nothing_yet,
               const weights::WeightStore &store)
      : WeightRows(type), ref_(std::move(ref)), fresh_(std::move(nothing_yet)), store_(store) {}

  std::vector<Source> sources() const override { return {{fresh_.name, rows()}}; }

  absl::Status read(int64_t first, int64_t count, std::byte *dst,
                    Findings &findings) const override {
    std::vector<std::byte> scratch;
    const auto bytes = store_.encoded_rows(ref_, first, count, scratch);
    if (!bytes.ok())
      return in_weight(bytes.status());
    std::memcpy(dst, bytes->data(), bytes->size());
    TensorFinding &found = findings.tensor(this, fresh_);
    for (int64_t i = 0; i < count; ++i)
      found.look(format(), dst + i * row_bytes(), row_elements(), (first + i) * row_elements());
    return absl::OkStatus();
  }

  // From the mapped file, without a copy of the rows.
  absl::Status read_columns(int64_t first, int64_t count, int64_t col, int64_t cols, std::byte *dst,
                            Findings &findings) const override {
    std::vector<std::byte> scratch;
    TensorFinding &found = findings.tensor(this, fresh_);
    const int64_t step = batch_rows(row_elements());
    for (int64_t done = 0; done < count; done += step) {
      const int64_t here = std::min(step, count - done);
      const auto bytes = store_.encoded_rows(ref_, first + done, here, scratch);
      if (!bytes.ok())
        return in_weight(bytes.status());
      std::byte *to = dst + done * format().row_bytes(cols);
      copy_columns(bytes->data(), here, col, cols, to);
      for (int64_t i = 0; i < here; ++i)
        found.look(format(), to + i * format().row_bytes(cols), cols,
                   (first + done + i) * row_elements() + col);
    }
    return absl::OkStatus();
  }

private:
  absl::Status in_weight(const absl::Status &status) const {
    return absl::Status(status.code(),
                        absl::StrCat(fresh_.name, ": ", std::string(status.message())));
  }

  weights::WeightRef ref_;
  TensorFinding fresh_;
  const weights::WeightStore &store_;
};

class ConvertedRows : public WeightRows {
public:
  ConvertedRows(WeightType type, std::unique_ptr<WeightRows> input)
      : WeightRows(type), input_(std::move(input)) {
    int64_t first = 0;
    for (Source &source : input_->sources()) {
      Part &part = parts_.emplace_back();
      part.first = first;
      part.fresh.name = std::move(source.name);
      part.fresh.format = &format();
      first += source.rows;
    }
  }

  std::vector<Source> sources() const override { return input_->sources(); }

  absl::Status read(int64_t first, int64_t count, std::byte *dst,
                    Findings &findings) const override {
    const int64_t n = row_elements();
    // Several rows at a time: one row of a transposed matrix costs as much as a cache line of them.
    const int64_t step = std::min(count, batch_rows(n));
    std::vector<float> batch(static_cast<size_t>(step * n));
    std::vector<float> to(static_cast<size_t>(n)), beside(findings.beside ? to.size() : 0);
    for (int64_t row = first; row < first + count; row += step) {
      const int64_t here = std::min(step, first + count - row);
      if (absl::Status status = input_->read_floats(row, here, batch.data(), findings);
          !status.ok())
        return status;
      const float *from = batch.data();
      for (int64_t i = 0; i < here; ++i, from += n, dst += row_bytes()) {
        const Part &part = part_of(row + i);
        if (absl::Status status = format().encode_row(from, n, dst); !status.ok())
          return in_row(part.fresh.name, row + i - part.first, status);
        format().decode_row(dst, n, to.data());
        formats::ErrorStats error;
        error.add(from, to.data(), n);
        findings.error.add(error);
        if (findings.beside)
          findings.error_beside.add(error_in(*findings.beside, from, n, beside));
        findings.conversion(&part, part.fresh).compare(from, to.data(), n, error);
      }
    }
    return absl::OkStatus();
  }

private:
  // The rows of one tensor: formats fail a tensor at a time, however many are packed together.
  struct Part {
    int64_t first = 0;
    ConversionFinding fresh;
  };
  const Part &part_of(int64_t row) const {
    const auto next = std::partition_point(parts_.begin(), parts_.end(),
                                           [&](const Part &part) { return part.first <= row; });
    return *(next - 1);
  }

  // What a row would lose in a format: all of it where the format cannot hold it.
  static formats::ErrorStats error_in(const formats::Format &format, const float *row, int64_t n,
                                      std::vector<float> &decoded) {
    std::vector<std::byte> encoded(static_cast<size_t>(format.row_bytes(n)));
    std::ranges::fill(decoded, 0.0F);
    if (format.encode_row(row, n, encoded.data()).ok())
      format.decode_row(encoded.data(), n, decoded.data());
    formats::ErrorStats error;
    error.add(row, decoded.data(), n);
    return error;
  }

  std::unique_ptr<WeightRows> input_;
  std::vector<Part> parts_;
};

// A function of every element.
class MappedRows : public WeightRows {
public:
  MappedRows(WeightType type, std::unique_ptr<WeightRows> input, std::function<float(float)> fn)
      : WeightRows(type), input_(std::move(input)), fn_(std::move(fn)) {}

  std::vector<Source> sources() const override { return input_->sources(); }

  absl::Status read(int64_t first, int64_t count, std::byte *dst,
                    Findings &findings) const override {
    std::vector<float> row(static_cast<size_t>(row_elements()));
    for (int64_t i = 0; i < count; ++i, dst += row_bytes()) {
      if (absl::Status status = input_->read_floats(first + i, 1, row.data(), findings);
          !status.ok())
        return status;
      std::transform(row.begin(), row.end(), row.begin(), fn_);
      std::memcpy(dst, row.data(), row.size() * sizeof(float));
    }
    return absl::OkStatus();
  }

private:
  std::unique_ptr<WeightRows> input_;
  std::function<float(float)> fn_;
};

// Of each column, the softmax's sums, without its first element; in double and rounded once.
class CumulatedSoftmaxRows : public WeightRows {
public:
  CumulatedSoftmaxRows(WeightType type, std::unique_ptr<WeightRows> input)
      : WeightRows(type), input_(std::move(input)) {}

  std::vector<Source> sources() const override { return input_->sources(); }

  absl::Status read(int64_t first, int64_t count, std::byte *dst,
                    Findings &findings) const override {
    const auto n = static_cast<size_t>(row_elements());
    std::vector<float> all(static_cast<size_t>(rows()) * n), row(n);
    if (absl::Status status = input_->read_floats(0, rows(), all.data(), findings); !status.ok())
      return status;
    std::vector<double> most(n, -std::numeric_limits<double>::infinity()), total(n), sum(n);
    for (size_t i = 0; i < all.size(); ++i)
      most[i % n] = std::max(most[i % n], static_cast<double>(all[i]));
    const auto share = [&](size_t i) {
      return std::exp(static_cast<double>(all[i]) - most[i % n]);
    };
    for (size_t i = 0; i < all.size(); ++i)
      total[i % n] += share(i);
    for (int64_t r = 0; r < first + count; ++r) {
      for (size_t c = 0; c < n; ++c) {
        if (r > 0)
          sum[c] += share(static_cast<size_t>(r) * n + c) / total[c];
        row[c] = static_cast<float>(sum[c]);
      }
      if (r < first)
        continue;
      std::memcpy(dst, row.data(), n * sizeof(float));
      dst += row_bytes();
    }
    return absl::OkStatus();
  }

private:
  std::unique_ptr<WeightRows> input_;
};

// In double and rounded once, as the interpreter does it.
float neg_exp(float x) { return static_cast<float>(-std::exp(static_cast<double>(x))); }
float add_one(float x) { return static_cast<float>(1.0 + static_cast<double>(x)); }
float softplus(float x) {
  const auto wide = static_cast<double>(x);
  return static_cast<float>(std::max(wide, 0.0) + std::log1p(std::exp(-std::abs(wide))));
}

std::function<float(float)> function_of(WeightMapOp map) {
  if (map.getFn() != "scale")
    return map.getFn() == "neg_exp" ? neg_exp : map.getFn() == "add_one" ? add_one : softplus;
  return [factor = map.getFactor()->convertToDouble()](float x) {
    return static_cast<float>(factor * static_cast<double>(x));
  };
}

// Zeros are nothing to speak of in biases, and in what becomes something else: norms that one is
// added to, logarithms.
bool zero_is_normal(WeightRefOp op, const std::string &name) {
  const bool mapped = llvm::any_of(
      op->getUsers(), [](mlir::Operation *user) { return mlir::isa<WeightMapOp>(user); });
  return mapped || (op.getType().getShape().size() < 2 && !name.ends_with("weight"));
}

absl::StatusOr<std::unique_ptr<WeightRows>> declared(WeightRefOp op,
                                                     const weights::WeightStore &store) {
  auto declaration =
      mlir::SymbolTable::lookupNearestSymbolFrom<WeightOp>(op->getParentOp(), op.getNameAttr());
  if (!declaration)
    return absl::InternalError(
        absl::StrCat("a packed weight refers to ", op.getName().str(), ", which is no weight"));
  absl::StatusOr<weights::WeightRef> ref = weightRef(declaration);
  std::string name = declaration.getSymName().str();
  if (absl::Status status = ref.ok() ? store.check(*ref) : ref.status(); !status.ok())
    return absl::Status(status.code(), absl::StrCat(name, ": ", std::string(status.message())));
  TensorFinding nothing_yet;
  nothing_yet.name = std::move(name);
  nothing_yet.shape = ref->shape;
  nothing_yet.zero_is_normal = zero_is_normal(op, nothing_yet.name);
  return std::make_unique<DeclaredRows>(op.getType(), *std::move(ref), std::move(nothing_yet),
                                        store);
}

} // namespace

std::string source_name(mlir::Operation *op) {
  if (auto name = op->getLoc()->findInstanceOf<mlir::NameLoc>())
    return name.getName().str();
  if (auto packed = op->getParentOfType<PackedOp>())
    return packed.getSymName().str();
  return op->getName().getStringRef().str();
}

int64_t WeightRows::batch_rows(int64_t width) {
  constexpr int64_t kElements = 1 << 16;
  return std::max<int64_t>(1, kElements / std::max<int64_t>(1, width));
}

WeightRows::WeightRows(WeightType type)
    : format_(formats::find_format(type.getFormat().getValue())), rows_(1),
      row_elements_(row_elements_of(type)) {
  for (size_t i = 0; i + 1 < type.getShape().size(); ++i)
    rows_ *= type.getShape()[i];
  matrix_rows_ = type.getShape().size() == 3 ? type.getShape()[1] : rows_;
}

std::vector<WeightRows::Source> WeightRows::source_of(const WeightRows &input) const {
  std::string names;
  for (const Source &source : input.sources())
    absl::StrAppend(&names, names.empty() ? "" : " + ", source.name);
  return {{std::move(names), rows()}};
}

void WeightRows::copy_columns(const std::byte *rows, int64_t count, int64_t col, int64_t cols,
                              std::byte *dst) const {
  const int64_t bytes = format_->row_bytes(cols);
  for (int64_t i = 0; i < count; ++i, dst += bytes)
    std::memcpy(dst, rows + i * row_bytes() + format_->row_bytes(col), static_cast<size_t>(bytes));
}

absl::Status WeightRows::read_columns(int64_t first, int64_t count, int64_t col, int64_t cols,
                                      std::byte *dst, Findings &findings) const {
  const int64_t step = std::min(count, batch_rows(row_elements_));
  std::vector<std::byte> rows(static_cast<size_t>(step * row_bytes()));
  for (int64_t done = 0; done < count; done += step) {
    const int64_t here = std::min(step, count - done);
    if (absl::Status status = read(first + done, here, rows.data(), findings); !status.ok())
      return status;
    copy_columns(rows.data(), here, col, cols, dst + done * format_->row_bytes(cols));
  }
  return absl::OkStatus();
}

absl::Status WeightRows::read_floats(int64_t first, int64_t count, float *dst,
                                     Findings &findings) const {
  std::vector<std::byte> encoded(static_cast<size_t>(count * row_bytes()));
  if (absl::Status status = read(first, count, encoded.data(), findings); !status.ok())
    return status;
  for (int64_t i = 0; i < count; ++i)
    format_->decode_row(encoded.data() + i * row_bytes(), row_elements_, dst + i * row_elements_);
  return absl::OkStatus();
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
  if (mlir::isa_and_nonnull<WeightConvertOp>(op)) {
    // What is in the format already is not rounded again.
    if (type.getFormat().getValue() == inputs[0]->format().name())
      return std::move(inputs[0]);
    if (!formats::find_format(type.getFormat().getValue())->can_encode())
      return absl::InvalidArgumentError(absl::StrCat(source_name(op), ": cannot be converted to ",
                                                     type.getFormat().str(),
                                                     ", which Quern reads but does not write"));
    return std::make_unique<ConvertedRows>(type, std::move(inputs[0]));
  }
  if (auto map = mlir::dyn_cast_or_null<WeightMapOp>(op); map && map.getFn() == "cumulated_softmax")
    return std::make_unique<CumulatedSoftmaxRows>(type, std::move(inputs[0]));
  if (auto map = mlir::dyn_cast_or_null<WeightMapOp>(op))
    return std::make_unique<MappedRows>(type, std::move(inputs[0]), function_of(map));
  if (mlir::isa_and_nonnull<WeightConcatOp, WeightReshapeOp, WeightTransposeOp, WeightRowsOp>(op))
    return weight_layout(op, std::move(inputs));
  return absl::UnimplementedError(
      absl::StrCat(op ? op->getName().getStringRef().str() : "a block argument",
                   " cannot be computed when weights are packed"));
}

} // namespace quern::artifact
