#include "codegen/artifact/WeightLayouts.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstring>

namespace quern::artifact {
namespace {

// Weights one below the other, or rows one behind the other, as those of vectors are.
class ConcatRows : public WeightRows {
public:
  ConcatRows(WeightType type, int64_t axis, std::vector<std::unique_ptr<WeightRows>> parts)
      : WeightRows(type), parts_(std::move(parts)),
        vectors_(axis + 1 == static_cast<int64_t>(type.getShape().size())) {}

  std::vector<Source> sources() const override {
    std::vector<Source> sources;
    for (const auto &part : parts_)
      for (Source &source : part->sources())
        sources.push_back(std::move(source));
    if (!vectors_)
      return sources;
    std::string names; // one row, of all of them
    for (const Source &source : sources)
      absl::StrAppend(&names, names.empty() ? "" : " + ", source.name);
    return {{std::move(names), rows()}};
  }

  absl::Status read(int64_t first, int64_t count, std::byte *dst,
                    Findings &findings) const override {
    if (vectors_) {
      for (int64_t row = first; row < first + count; ++row)
        for (const auto &part : parts_) {
          if (absl::Status status = part->read(row, 1, dst, findings); !status.ok())
            return status;
          dst += part->row_bytes();
        }
      return absl::OkStatus();
    }
    for (const auto &part : parts_) {
      const int64_t here = std::clamp<int64_t>(part->rows() - first, int64_t{0}, count);
      if (here > 0) {
        if (absl::Status status = part->read(first, here, dst, findings); !status.ok())
          return status;
        dst += here * part->row_bytes();
      }
      count -= here;
      first = std::max<int64_t>(0, first - part->rows());
    }
    return absl::OkStatus();
  }

private:
  std::vector<std::unique_ptr<WeightRows>> parts_;
  bool vectors_;
};

// Of each of the first dimension, the rows of one part, then of the next.
class InterleavedRows : public WeightRows {
public:
  InterleavedRows(WeightType type, std::vector<std::unique_ptr<WeightRows>> parts)
      : WeightRows(type), parts_(std::move(parts)), matrix_(type.getShape()[1]) {
    for (const auto &part : parts_)
      heights_.push_back(part->rows() / type.getShape().front());
  }

  std::vector<Source> sources() const override {
    std::string names;
    for (const auto &part : parts_)
      for (const Source &source : part->sources())
        absl::StrAppend(&names, names.empty() ? "" : " + ", source.name);
    return {{std::move(names), rows()}};
  }

  absl::Status read(int64_t first, int64_t count, std::byte *dst,
                    Findings &findings) const override {
    while (count > 0) {
      const int64_t matrix = first / matrix_;
      int64_t at = first % matrix_;
      size_t part = 0;
      while (at >= heights_[part])
        at -= heights_[part++];
      const int64_t here = std::min(count, heights_[part] - at);
      if (absl::Status status =
              parts_[part]->read(matrix * heights_[part] + at, here, dst, findings);
          !status.ok())
        return status;
      dst += here * row_bytes();
      first += here;
      count -= here;
    }
    return absl::OkStatus();
  }

private:
  std::vector<std::unique_ptr<WeightRows>> parts_;
  int64_t matrix_;               // rows of each of the first dimension
  std::vector<int64_t> heights_; // of each part
};

// The same bytes cut into other rows: both kinds of row are whole blocks, without padding.
class ReshapedRows : public WeightRows {
public:
  ReshapedRows(WeightType type, std::unique_ptr<WeightRows> input)
      : WeightRows(type), input_(std::move(input)) {}

  std::vector<Source> sources() const override { return source_of(*input_); }

  absl::Status read(int64_t first, int64_t count, std::byte *dst,
                    Findings &findings) const override {
    const int64_t from = first * row_bytes();
    const int64_t bytes = count * row_bytes();
    const int64_t width = input_->row_bytes();
    const int64_t row = from / width;
    const int64_t end = (from + bytes + width - 1) / width;
    std::vector<std::byte> rows(static_cast<size_t>((end - row) * width));
    if (absl::Status status = input_->read(row, end - row, rows.data(), findings); !status.ok())
      return status;
    std::memcpy(dst, rows.data() + (from - row * width), static_cast<size_t>(bytes));
    return absl::OkStatus();
  }

private:
  std::unique_ptr<WeightRows> input_;
};

// Columns of the input as rows.
class TransposedRows : public WeightRows {
public:
  TransposedRows(WeightType type, std::unique_ptr<WeightRows> input)
      : WeightRows(type), input_(std::move(input)) {}

  std::vector<Source> sources() const override { return source_of(*input_); }

  absl::Status read(int64_t first, int64_t count, std::byte *dst,
                    Findings &findings) const override {
    // Of each matrix its own rows: there is one, or one of each of the first dimension.
    const int64_t height = input_->row_elements();
    while (count > 0) {
      const int64_t matrix = first / height, here = std::min(count, height - first % height);
      if (absl::Status status = turn(matrix, first % height, here, dst, findings); !status.ok())
        return status;
      dst += here * row_bytes();
      first += here;
      count -= here;
    }
    return absl::OkStatus();
  }

private:
  absl::Status turn(int64_t matrix, int64_t first, int64_t count, std::byte *dst,
                    Findings &findings) const {
    switch (input_->format().row_bytes(1)) {
    case 1:
      return turn<uint8_t>(matrix, first, count, dst, findings);
    case 2:
      return turn<uint16_t>(matrix, first, count, dst, findings);
    default:
      return turn<uint32_t>(matrix, first, count, dst, findings);
    }
  }
  // `Element` stands for an encoded number, whatever it is.
  template <class Element>
  absl::Status turn(int64_t matrix, int64_t first, int64_t count, std::byte *dst,
                    Findings &findings) const {
    const int64_t step = batch_rows(count);
    std::vector<Element> batch(static_cast<size_t>(step * count));
    for (int64_t k = 0; k < row_elements(); k += step) {
      const int64_t here = std::min(step, row_elements() - k);
      auto *bytes = reinterpret_cast<std::byte *>(batch.data());
      if (absl::Status status = input_->read_columns(matrix * row_elements() + k, here, first,
                                                     count, bytes, findings);
          !status.ok())
        return status;
      for (int64_t n = 0; n < count; ++n) {
        std::byte *row = dst + n * row_bytes() + k * int64_t{sizeof(Element)};
        for (int64_t i = 0; i < here; ++i, row += sizeof(Element))
          std::memcpy(row, &batch[static_cast<size_t>(i * count + n)], sizeof(Element));
      }
    }
    return absl::OkStatus();
  }

  std::unique_ptr<WeightRows> input_;
};

// Blocks of the input's rows, or of a vector's elements, at even distances.
class ChosenRows : public WeightRows {
public:
  ChosenRows(WeightRowsOp op, std::unique_ptr<WeightRows> input)
      : WeightRows(op.getType()), input_(std::move(input)),
        offset_(static_cast<int64_t>(op.getOffset())), block_(op.blockRows()),
        stride_(op.strideRows()), vector_(op.getType().getShape().size() == 1),
        inner_(vector_ ? 1 : rows() / op.getType().getShape().front()) {}

  std::vector<Source> sources() const override { return source_of(*input_); }

  absl::Status read(int64_t first, int64_t count, std::byte *dst,
                    Findings &findings) const override {
    // A vector is one row, and its elements stand for rows here.
    const int64_t begin = vector_ ? 0 : first;
    const int64_t end = vector_ ? row_elements() * std::min<int64_t>(count, 1) : first + count;
    const int64_t bytes = vector_ ? format().row_bytes(1) : row_bytes();
    const int64_t block = block_ * inner_;
    for (int64_t row = begin; row < end;) {
      const int64_t here = std::min(end - row, block - row % block);
      const int64_t from = (offset_ + row / block * stride_) * inner_ + row % block;
      absl::Status status = vector_ ? input_->read_columns(0, 1, from, here, dst, findings)
                                    : input_->read(from, here, dst, findings);
      if (!status.ok())
        return status;
      row += here;
      dst += here * bytes;
    }
    return absl::OkStatus();
  }

private:
  std::unique_ptr<WeightRows> input_;
  int64_t offset_, block_, stride_;
  bool vector_;
  int64_t inner_; // rows that one of the first dimension has
};

absl::StatusOr<std::unique_ptr<WeightRows>> reshaped(WeightReshapeOp op,
                                                     std::unique_ptr<WeightRows> input) {
  const int block = input->format().block();
  if (input->row_elements() != op.getType().getShape().back() &&
      (input->row_elements() % block != 0 || op.getType().getShape().back() % block != 0))
    return absl::InvalidArgumentError(
        absl::StrCat(source_name(op), ": cannot be reshaped, its rows are not whole blocks of ",
                     input->format().name()));
  return std::make_unique<ReshapedRows>(op.getType(), std::move(input));
}

// An error where the weight's elements cannot be told apart.
absl::Status check_elements(mlir::Operation *op, const WeightRows &input, const char *what) {
  if (input.format().block() == 1)
    return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(source_name(op), ": is stored in blocks of ",
                                                 input.format().name(), " and cannot be ", what,
                                                 "; f32, f16 and bf16 can"));
}

} // namespace

absl::StatusOr<std::unique_ptr<WeightRows>>
weight_layout(mlir::Operation *op, std::vector<std::unique_ptr<WeightRows>> inputs) {
  auto type = mlir::cast<WeightType>(op->getResult(0).getType());
  if (auto concat = mlir::dyn_cast<WeightConcatOp>(op)) {
    const auto axis = static_cast<int64_t>(concat.getAxis());
    if (axis + 1 < static_cast<int64_t>(type.getShape().size()) && axis == 1)
      return std::make_unique<InterleavedRows>(type, std::move(inputs));
    if (axis + 1 == static_cast<int64_t>(type.getShape().size()))
      for (const auto &input : inputs)
        if (input->row_elements() % input->format().block() != 0)
          return absl::InvalidArgumentError(
              absl::StrCat(source_name(op), ": vectors in ", input->format().name(),
                           " that do not fill its blocks cannot be joined"));
    return std::make_unique<ConcatRows>(type, axis, std::move(inputs));
  }
  if (auto reshape = mlir::dyn_cast<WeightReshapeOp>(op))
    return reshaped(reshape, std::move(inputs[0]));
  if (mlir::isa<WeightTransposeOp>(op)) {
    if (absl::Status status = check_elements(op, *inputs[0], "transposed"); !status.ok())
      return status;
    return std::make_unique<TransposedRows>(type, std::move(inputs[0]));
  }
  if (type.getShape().size() == 1)
    if (absl::Status status = check_elements(op, *inputs[0], "taken apart"); !status.ok())
      return status;
  return std::make_unique<ChosenRows>(mlir::cast<WeightRowsOp>(op), std::move(inputs[0]));
}

} // namespace quern::artifact
