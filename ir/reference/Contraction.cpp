#include "ir/reference/Contraction.h"

#include "ir/reference/Loops.h"
#include "ir/reference/Parallel.h"

#include <algorithm>
#include <optional>

namespace quern::reference {
namespace {

/// Eight sums, added up at the end: a fixed order that vectorizes.
template <class T> T dot(const T *a, int64_t a_step, const T *b, int64_t b_step, int64_t n) {
  constexpr int64_t kLanes = 8;
  T sums[kLanes] = {};
  int64_t i = 0;
  if (a_step == 1 && b_step == 1)
    for (; i + kLanes <= n; i += kLanes)
      for (int64_t lane = 0; lane < kLanes; ++lane)
        sums[lane] += a[i + lane] * b[i + lane];
  for (; i < n; ++i)
    sums[i % kLanes] += a[i * a_step] * b[i * b_step];
  T sum = 0;
  for (const T part : sums)
    sum += part;
  return sum;
}

template <class T> void add_scaled(T *y, T by, const T *x, int64_t step, int64_t n) {
  if (step == 1)
    for (int64_t i = 0; i < n; ++i)
      y[i] += by * x[i];
  else
    for (int64_t i = 0; i < n; ++i)
      y[i] += by * x[i * step];
}

template <class T> int64_t place(const Strided<T> &array, const std::vector<int64_t> &at) {
  int64_t place = array.base;
  for (size_t loop = 0; loop < at.size(); ++loop)
    place += at[loop] * array.strides[loop];
  return place;
}

/// Few enough that threads share the work evenly.
constexpr int64_t kShare = 4;

} // namespace

template <class T>
void contract(llvm::ArrayRef<int64_t> extents, const std::vector<bool> &reductions,
              const Strided<const T> &a, const Strided<const T> &b, const Strided<T> &y,
              int threads) {
  if (llvm::is_contained(extents, 0))
    return;
  std::vector<unsigned> outer, inner;
  // A row of y's elements at a time, where one factor stands still along it.
  std::optional<unsigned> row;
  for (unsigned loop = 0; loop < extents.size(); ++loop) {
    (reductions[loop] ? inner : outer).push_back(loop);
    if (!reductions[loop] && extents[loop] >= 8 && (a.strides[loop] == 0) != (b.strides[loop] == 0))
      if (!row || a.strides[loop] + b.strides[loop] <= a.strides[*row] + b.strides[*row])
        row = loop;
  }
  std::optional<unsigned> last;
  if (!inner.empty()) {
    last = inner.back();
    const bool dense = a.strides[*last] == 1 && b.strides[*last] == 1 && extents[*last] >= 8;
    if (row && !dense)
      last.reset();
    else
      row.reset();
  }
  if (row)
    llvm::erase(outer, *row);
  if (last)
    inner.pop_back();
  const Points results(outer, extents), terms(inner, extents);
  const int64_t length = row ? extents[*row] : last ? extents[*last] : 1;
  const bool small = results.count() * terms.count() * length < 1 << 18;

  const auto run = [&](int64_t first, int64_t end) {
    std::vector<T> sums(row ? static_cast<size_t>(length) : 1);
    std::vector<int64_t> at(extents.size());
    const int64_t y_step = row ? y.strides[*row] : 0;
    for (int64_t point = first; point < end; ++point) {
      std::fill(at.begin(), at.end(), 0);
      results.go_to(point, at);
      T *to = y.data + place(y, at);
      for (size_t i = 0; i < sums.size(); ++i)
        sums[i] = to[static_cast<int64_t>(i) * y_step];
      for (int64_t term = 0; term < terms.count(); ++term, terms.advance(at)) {
        const T *x = a.data + place(a, at), *w = b.data + place(b, at);
        if (!row)
          sums[0] += last ? dot(x, a.strides[*last], w, b.strides[*last], length) : *x * *w;
        else if (a.strides[*row] == 0)
          add_scaled(sums.data(), *x, w, b.strides[*row], length);
        else
          add_scaled(sums.data(), *w, x, a.strides[*row], length);
      }
      for (size_t i = 0; i < sums.size(); ++i)
        to[static_cast<int64_t>(i) * y_step] = sums[i];
    }
  };
  if (small)
    return run(0, results.count());
  const int64_t shares = std::min<int64_t>(results.count(), threads * kShare);
  (void)parallel(shares, threads, [&](int64_t share) {
    run(results.count() * share / shares, results.count() * (share + 1) / shares);
    return absl::OkStatus();
  });
}

template void contract<double>(llvm::ArrayRef<int64_t>, const std::vector<bool> &,
                               const Strided<const double> &, const Strided<const double> &,
                               const Strided<double> &, int);
template void contract<uint64_t>(llvm::ArrayRef<int64_t>, const std::vector<bool> &,
                                 const Strided<const uint64_t> &, const Strided<const uint64_t> &,
                                 const Strided<uint64_t> &, int);

} // namespace quern::reference
