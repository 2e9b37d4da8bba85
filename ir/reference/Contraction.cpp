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
/// Rows of results that one pass over what they share adds to.
constexpr int64_t kRows = 8;

/// How the loops are nested: points of `results`, in each rows of `group`, in each `terms`, and in
/// each of these the elements of `row`, or the terms of `last`.
struct Nest {
  std::optional<unsigned> row, last, group;
  std::vector<unsigned> results, terms;
};

template <class T>
Nest nest(llvm::ArrayRef<int64_t> extents, const std::vector<bool> &reductions,
          const Strided<const T> &a, const Strided<const T> &b) {
  Nest nest;
  // A row of results at a time, where one factor stands still along it.
  for (unsigned loop = 0; loop < extents.size(); ++loop) {
    (reductions[loop] ? nest.terms : nest.results).push_back(loop);
    const int64_t moves = a.strides[loop] + b.strides[loop];
    if (!reductions[loop] && extents[loop] >= 8 &&
        (a.strides[loop] == 0) != (b.strides[loop] == 0) &&
        (!nest.row || moves <= a.strides[*nest.row] + b.strides[*nest.row]))
      nest.row = loop;
  }
  if (!nest.terms.empty()) {
    const unsigned last = nest.terms.back();
    const bool dense = a.strides[last] == 1 && b.strides[last] == 1 && extents[last] >= 8;
    if (!nest.row || dense) {
      nest.last = last;
      nest.row.reset();
      nest.terms.pop_back();
    }
  }
  if (!nest.row) {
    // One piece of the larger factor meets all of the other's before the next.
    const auto size = [&](const auto &array) {
      double size = 1;
      for (size_t loop = 0; loop < extents.size(); ++loop)
        size *= array.strides[loop] ? static_cast<double>(extents[loop]) : 1;
      return size;
    };
    const auto &larger = size(a) > size(b) ? a.strides : b.strides;
    std::vector<unsigned> order;
    for (const bool moves : {true, false})
      for (const unsigned loop : nest.results)
        if ((larger[loop] != 0) == moves)
          order.push_back(loop);
    nest.results = order;
    return nest;
  }
  llvm::erase(nest.results, *nest.row);
  const auto &moving = a.strides[*nest.row] ? a.strides : b.strides;
  for (const unsigned loop : nest.results)
    if (moving[loop] == 0)
      nest.group = loop;
  if (nest.group)
    llvm::erase(nest.results, *nest.group);
  return nest;
}

} // namespace

template <class T>
void contract(llvm::ArrayRef<int64_t> extents, const std::vector<bool> &reductions,
              const Strided<const T> &a, const Strided<const T> &b, const Strided<T> &y,
              int threads) {
  if (llvm::is_contained(extents, 0))
    return;
  const Nest nest = reference::nest(extents, reductions, a, b);
  const Points results(nest.results, extents), terms(nest.terms, extents);
  const int64_t length = nest.row ? extents[*nest.row] : nest.last ? extents[*nest.last] : 1;
  const auto stride = [](std::optional<unsigned> loop, const auto &array) {
    return loop ? array.strides[*loop] : 0;
  };
  const int64_t group_size = nest.group ? extents[*nest.group] : 1,
                groups = (group_size + kRows - 1) / kRows;

  // `rows` rows of the group, or one result.
  const auto run_rows = [&](std::vector<int64_t> &at, int64_t rows, std::vector<T> &sums) {
    const int64_t width = nest.row ? length : 1, y_step = stride(nest.row, y);
    T *to = y.data + place(y, at);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t i = 0; i < width; ++i)
        sums[static_cast<size_t>(r * width + i)] = to[r * stride(nest.group, y) + i * y_step];
    for (int64_t term = 0; term < terms.count(); ++term, terms.advance(at)) {
      const T *x = a.data + place(a, at), *w = b.data + place(b, at);
      if (!nest.row) {
        sums[0] +=
            nest.last ? dot(x, stride(nest.last, a), w, stride(nest.last, b), length) : *x * *w;
        continue;
      }
      const bool a_moves = stride(nest.row, a) != 0;
      const T *vector = a_moves ? x : w, *scale = a_moves ? w : x;
      const int64_t step = a_moves ? stride(nest.row, a) : stride(nest.row, b),
                    next = a_moves ? stride(nest.group, b) : stride(nest.group, a);
      for (int64_t r = 0; r < rows; ++r)
        add_scaled(sums.data() + r * length, scale[r * next], vector, step, length);
    }
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t i = 0; i < width; ++i)
        to[r * stride(nest.group, y) + i * y_step] = sums[static_cast<size_t>(r * width + i)];
  };
  const auto run = [&](int64_t first, int64_t end) {
    std::vector<T> sums(static_cast<size_t>(nest.row ? length * std::min(kRows, group_size) : 1));
    std::vector<int64_t> at(extents.size());
    for (int64_t share = first; share < end; ++share) {
      std::fill(at.begin(), at.end(), 0);
      results.go_to(share / groups, at);
      const int64_t from = share % groups * kRows;
      if (nest.group)
        at[*nest.group] = from;
      run_rows(at, std::min(kRows, group_size - from), sums);
    }
  };
  const int64_t count = results.count() * groups;
  if (results.count() * group_size * terms.count() * length < 1 << 18)
    return run(0, count);
  const int64_t shares = std::min<int64_t>(count, threads * kShare);
  (void)parallel(shares, threads, [&](int64_t share) {
    run(count * share / shares, count * (share + 1) / shares);
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
