// The weights of a golden on their way into a GGUF file, and what converters do to those of
// experts.
#ifndef QUERN_TESTS_FRONTENDS_FAMILIES_GGUFWEIGHTS_H
#define QUERN_TESTS_FRONTENDS_FAMILIES_GGUFWEIGHTS_H

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace quern {

struct Weights {
  std::vector<uint64_t> shape;
  std::vector<float> values;

  uint64_t cols() const { return shape.size() < 2 ? 1 : shape[1]; }
};

/// The values that a golden's tensor stands for.
Weights generated(const std::string &name, const nlohmann::json &tensor);

/// Puts `w` at `index` of a new first dimension of `all`, which grows as it must.
inline void stack(Weights &all, uint64_t index, const Weights &w) {
  if (all.shape.empty()) {
    all.shape = w.shape;
    all.shape.insert(all.shape.begin(), 0);
  }
  all.shape[0] = std::max(all.shape[0], index + 1);
  all.values.resize(all.shape[0] * w.values.size());
  std::copy(w.values.begin(), w.values.end(),
            all.values.begin() + static_cast<int64_t>(index * w.values.size()));
}

/// Row r becomes what row from(r) was.
template <typename From> void permute_rows(Weights &w, From from) {
  const std::vector<float> old = w.values;
  const uint64_t cols = w.cols();
  for (uint64_t row = 0; row < w.shape[0]; ++row)
    std::copy_n(old.begin() + static_cast<int64_t>(from(row) * cols), cols,
                w.values.begin() + static_cast<int64_t>(row * cols));
}

/// Transposes each matrix of a stack.
inline void transpose_each(Weights &w) {
  const std::vector<float> old = w.values;
  const uint64_t rows = w.shape[1], cols = w.shape[2];
  for (uint64_t i = 0; i < old.size(); ++i) {
    const uint64_t at = i % (rows * cols);
    w.values[i - at + at % cols * rows + at / cols] = old[i];
  }
  std::swap(w.shape[1], w.shape[2]);
}

/// Half of the rows of each matrix (or vector) of a stack: every `step`th from `first` on.
inline Weights half_of_each(const Weights &w, uint64_t first, uint64_t step) {
  Weights half{w.shape, {}};
  half.shape[1] /= 2;
  const uint64_t row = w.shape.size() > 2 ? w.shape[2] : 1;
  for (uint64_t i = 0; i < w.shape[0]; ++i)
    for (uint64_t r = 0; r < half.shape[1]; ++r) {
      const auto from =
          w.values.begin() + static_cast<int64_t>((i * w.shape[1] + first + r * step) * row);
      half.values.insert(half.values.end(), from, from + static_cast<int64_t>(row));
    }
  return half;
}

} // namespace quern

#endif // QUERN_TESTS_FRONTENDS_FAMILIES_GGUFWEIGHTS_H
