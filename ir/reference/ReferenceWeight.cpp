#include "ir/reference/ReferenceWeight.h"

#include "ir/formats/Format.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>

namespace quern::reference {
namespace {

class StoredWeight final : public Weight {
public:
  StoredWeight(std::shared_ptr<const weights::WeightStore> store, weights::WeightRef ref)
      : Weight(ref.shape, ref.format), store_(std::move(store)), ref_(std::move(ref)) {}

  absl::Status read(int64_t first, int64_t count, float *out) const override {
    return store_->read_rows(ref_, first, count, out);
  }

private:
  std::shared_ptr<const weights::WeightStore> store_;
  weights::WeightRef ref_;
};

class ExternalWeight final : public Weight {
public:
  ExternalWeight(std::string symbol, std::vector<int64_t> shape, std::string format,
                 PackedRows rows)
      : Weight(std::move(shape), std::move(format)), symbol_(std::move(symbol)),
        rows_(std::move(rows)) {}

  absl::Status read(int64_t first, int64_t count, float *out) const override {
    return rows_(symbol_, first, count, out);
  }

private:
  std::string symbol_;
  PackedRows rows_;
};

class ConcatWeight final : public Weight {
public:
  ConcatWeight(std::vector<WeightPtr> inputs, std::vector<int64_t> shape, int axis)
      : Weight(std::move(shape), inputs.front()->format()), inputs_(std::move(inputs)),
        axis_(axis) {}

  absl::Status read(int64_t first, int64_t count, float *out) const override {
    // Along the last dimension rows lie side by side in the one row they make.
    if (axis_ + 1 == static_cast<int>(shape().size())) {
      for (int64_t row = first; row < first + count; ++row)
        for (const WeightPtr &input : inputs_) {
          if (absl::Status status = input->read(row, 1, out); !status.ok())
            return status;
          out += input->cols();
        }
      return absl::OkStatus();
    }
    if (axis_ == 1) {
      for (int64_t row = first; row < first + count; ++row, out += cols()) {
        int64_t at = row % shape()[1];
        for (const WeightPtr &input : inputs_) {
          const int64_t rows = input->shape()[1];
          if (at >= 0 && at < rows)
            if (absl::Status status = input->read(row / shape()[1] * rows + at, 1, out);
                !status.ok())
              return status;
          at -= rows;
        }
      }
      return absl::OkStatus();
    }
    for (const WeightPtr &input : inputs_) {
      const int64_t here = std::min(count, input->rows() - first);
      if (here > 0) {
        if (absl::Status status = input->read(first, here, out); !status.ok())
          return status;
        out += here * cols();
        count -= here;
        first = 0;
      } else {
        first -= input->rows();
      }
    }
    return absl::OkStatus();
  }

private:
  std::vector<WeightPtr> inputs_;
  int axis_;
};

class ConvertWeight final : public Weight {
public:
  ConvertWeight(WeightPtr input, std::string format)
      : Weight(input->shape(), std::move(format)), input_(std::move(input)) {}

  absl::Status read(int64_t first, int64_t count, float *out) const override {
    const absl::StatusOr<const formats::Format *> format = formats::require_format(this->format());
    if (!format.ok())
      return format.status();
    if (absl::Status status = input_->read(first, count, out); !status.ok())
      return status;
    if (this->format() == input_->format())
      return absl::OkStatus(); // what is in the format already is not rounded again
    if (!(*format)->can_encode())
      return absl::InvalidArgumentError(
          absl::StrCat("weights cannot be converted to ", this->format(),
                       ": Quern reads it, but encodes only its own formats"));
    std::vector<std::byte> row(static_cast<size_t>((*format)->row_bytes(cols())));
    for (int64_t i = 0; i < count; ++i, out += cols()) {
      if (absl::Status status = (*format)->encode_row(out, cols(), row.data()); !status.ok())
        return absl::Status(status.code(),
                            absl::StrCat("row ", first + i, ": ", std::string(status.message())));
      (*format)->decode_row(row.data(), cols(), out);
    }
    return absl::OkStatus();
  }

private:
  WeightPtr input_;
};

class MapWeight final : public Weight {
public:
  MapWeight(WeightPtr input, std::string fn, double factor)
      : Weight(input->shape(), "f32"), input_(std::move(input)), fn_(std::move(fn)),
        factor_(factor) {}

  absl::Status read(int64_t first, int64_t count, float *out) const override {
    if (absl::Status status = input_->read(first, count, out); !status.ok())
      return status;
    for (float *x = out; x != out + count * cols(); ++x) {
      const auto wide = static_cast<double>(*x);
      *x = static_cast<float>(fn_ == "neg_exp"    ? -std::exp(wide)
                              : fn_ == "add_one"  ? 1.0 + wide
                              : fn_ == "softplus" ? softplus(wide)
                                                  : factor_ * wide);
    }
    return absl::OkStatus();
  }

private:
  static double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

  WeightPtr input_;
  std::string fn_;
  double factor_; ///< of scale
};

/// In double and rounded once.
class CumulatedSoftmaxWeight final : public Weight {
public:
  explicit CumulatedSoftmaxWeight(WeightPtr input)
      : Weight(input->shape(), "f32"), input_(std::move(input)) {}

  absl::Status read(int64_t first, int64_t count, float *out) const override {
    std::vector<float> all(static_cast<size_t>(rows() * cols()));
    if (absl::Status status = input_->read(0, rows(), all.data()); !status.ok())
      return status;
    const auto at = [&](int64_t row, int64_t col) {
      return static_cast<double>(all[static_cast<size_t>(row * cols() + col)]);
    };
    for (int64_t c = 0; c < cols(); ++c) {
      double most = at(0, c), total = 0, sum = 0;
      for (int64_t r = 1; r < rows(); ++r)
        most = std::max(most, at(r, c));
      for (int64_t r = 0; r < rows(); ++r)
        total += std::exp(at(r, c) - most);
      for (int64_t r = 0; r < first + count; ++r) {
        sum += r == 0 ? 0 : std::exp(at(r, c) - most) / total;
        if (r >= first)
          out[(r - first) * cols() + c] = static_cast<float>(sum);
      }
    }
    return absl::OkStatus();
  }

private:
  WeightPtr input_;
};

class ReshapeWeight final : public Weight {
public:
  ReshapeWeight(WeightPtr input, std::vector<int64_t> shape)
      : Weight(std::move(shape), input->format()), input_(std::move(input)) {}

  absl::Status read(int64_t first, int64_t count, float *out) const override {
    // The elements asked for lie in some whole rows of the input.
    const int64_t begin = first * cols(), end = (first + count) * cols(), width = input_->cols();
    const int64_t row = begin / width, rows = (end + width - 1) / width - row;
    std::vector<float> elements(static_cast<size_t>(rows * width));
    if (absl::Status status = input_->read(row, rows, elements.data()); !status.ok())
      return status;
    std::copy_n(elements.begin() + (begin - row * width), end - begin, out);
    return absl::OkStatus();
  }

private:
  WeightPtr input_;
};

/// Fails where an element cannot be told from its block.
absl::Status check_elements(const Weight &weight, const char *what) {
  const absl::StatusOr<const formats::Format *> format = formats::require_format(weight.format());
  if (!format.ok())
    return format.status();
  if ((*format)->block() != 1)
    return absl::InvalidArgumentError(absl::StrCat("weights in blocks of ", weight.format(),
                                                   " cannot be ", what, "; f32, f16 and bf16 can"));
  return absl::OkStatus();
}

class TransposeWeight final : public Weight {
public:
  explicit TransposeWeight(WeightPtr input)
      : Weight(turned(input->shape()), input->format()), input_(std::move(input)) {}

  absl::Status read(int64_t first, int64_t count, float *out) const override {
    if (absl::Status status = check_elements(*this, "transposed"); !status.ok())
      return status;
    std::vector<float> row(static_cast<size_t>(input_->cols()));
    // Of each matrix its own rows: there is one, or one of each of the first dimension.
    const int64_t height = input_->cols();
    while (count > 0) {
      const int64_t matrix = first / height, at = first % height;
      const int64_t here = std::min(count, height - at);
      for (int64_t k = 0; k < cols(); ++k) {
        if (absl::Status status = input_->read(matrix * cols() + k, 1, row.data()); !status.ok())
          return status;
        for (int64_t n = 0; n < here; ++n)
          out[n * cols() + k] = row[static_cast<size_t>(at + n)];
      }
      out += here * cols();
      first += here;
      count -= here;
    }
    return absl::OkStatus();
  }

private:
  static std::vector<int64_t> turned(std::vector<int64_t> shape) {
    std::swap(shape[shape.size() - 2], shape.back());
    return shape;
  }

  WeightPtr input_;
};

class RowsOfWeight final : public Weight {
public:
  RowsOfWeight(WeightPtr input, std::vector<int64_t> shape, RowBlocks blocks)
      : Weight(std::move(shape), input->format()), input_(std::move(input)), blocks_(blocks) {}

  absl::Status read(int64_t first, int64_t count, float *out) const override {
    // Of a vector, which is one row, its elements.
    if (shape().size() == 1) {
      if (absl::Status status = check_elements(*this, "taken apart"); !status.ok() || count == 0)
        return status;
      std::vector<float> all(static_cast<size_t>(input_->cols()));
      if (absl::Status status = input_->read(0, 1, all.data()); !status.ok())
        return status;
      for (int64_t i = 0; i < cols(); ++i)
        out[i] = all[static_cast<size_t>(place(i))];
      return absl::OkStatus();
    }
    const int64_t inner = rows() / shape().front(); // rows that one of the first dimension has
    for (int64_t r = first; r < first + count; ++r, out += cols()) {
      const int64_t row = place(r / inner) * inner + r % inner;
      if (absl::Status status = input_->read(row, 1, out); !status.ok())
        return status;
    }
    return absl::OkStatus();
  }

private:
  int64_t place(int64_t r) const {
    return blocks_.offset + r / blocks_.block * blocks_.stride + r % blocks_.block;
  }

  WeightPtr input_;
  RowBlocks blocks_;
};

} // namespace

int64_t Weight::rows() const {
  int64_t rows = 1;
  for (size_t i = 0; i + 1 < shape_.size(); ++i)
    rows *= shape_[i];
  return rows;
}

WeightPtr stored_weight(std::shared_ptr<const weights::WeightStore> store, weights::WeightRef ref) {
  return std::make_shared<StoredWeight>(std::move(store), std::move(ref));
}
WeightPtr external_weight(std::string symbol, std::vector<int64_t> shape, std::string format,
                          PackedRows rows) {
  return std::make_shared<ExternalWeight>(std::move(symbol), std::move(shape), std::move(format),
                                          std::move(rows));
}
WeightPtr concat_weight(std::vector<WeightPtr> inputs, std::vector<int64_t> shape, int axis) {
  return std::make_shared<ConcatWeight>(std::move(inputs), std::move(shape), axis);
}
WeightPtr convert_weight(WeightPtr input, std::string format) {
  return std::make_shared<ConvertWeight>(std::move(input), std::move(format));
}
WeightPtr map_weight(WeightPtr input, std::string fn, double factor) {
  if (fn == "cumulated_softmax")
    return std::make_shared<CumulatedSoftmaxWeight>(std::move(input));
  return std::make_shared<MapWeight>(std::move(input), std::move(fn), factor);
}
WeightPtr reshape_weight(WeightPtr input, std::vector<int64_t> shape) {
  return std::make_shared<ReshapeWeight>(std::move(input), std::move(shape));
}

WeightPtr transpose_weight(WeightPtr input) {
  return std::make_shared<TransposeWeight>(std::move(input));
}
WeightPtr rows_of_weight(WeightPtr input, std::vector<int64_t> shape, RowBlocks blocks) {
  return std::make_shared<RowsOfWeight>(std::move(input), std::move(shape), blocks);
}

int64_t WeightCache::block_rows(const Weight &weight) {
  constexpr int64_t kBlockElements = 1 << 16;
  return std::clamp(kBlockElements / weight.cols(), int64_t{1}, weight.rows());
}

absl::StatusOr<WeightCache::Block> WeightCache::block(const WeightPtr &weight, int64_t block) {
  return fetch(weight, block);
}

absl::StatusOr<WeightCache::Block> WeightCache::fetch(const WeightPtr &weight, int64_t block) {
  const Key key(weight, block);
  {
    std::lock_guard lock(mutex_);
    if (const auto found = index_.find(key); found != index_.end()) {
      recent_.splice(recent_.begin(), recent_, found->second);
      return found->second->block;
    }
  }
  const int64_t step = block < 0 ? weight->rows() : block_rows(*weight);
  const int64_t first = block < 0 ? 0 : block * step;
  const int64_t count = std::min(step, weight->rows() - first);
  auto rows = std::make_shared<std::vector<float>>(static_cast<size_t>(count * weight->cols()));
  if (absl::Status status = weight->read(first, count, rows->data()); !status.ok())
    return status;

  std::lock_guard lock(mutex_);
  if (!index_.contains(key)) {
    recent_.push_front({key, rows});
    index_[key] = recent_.begin();
    bytes_ += rows->size() * sizeof(float);
  }
  while (bytes_ > capacity_ && !recent_.empty()) {
    bytes_ -= recent_.back().block->size() * sizeof(float);
    index_.erase(recent_.back().key);
    recent_.pop_back();
  }
  return Block(rows);
}

} // namespace quern::reference
