// Sequences that are fed to a kernel in steps, of rows that depend on sequence and position alone.
#ifndef QUERN_TESTS_CODEGEN_CUDA_FEED_H
#define QUERN_TESTS_CODEGEN_CUDA_FEED_H

#include "tests/codegen/cuda/KernelRun.h"

#include <absl/strings/str_cat.h>

namespace quern::test {

/// The type of rows.
inline std::string rows(int cols) {
  return absl::StrCat("tensor<?x", cols, "xf32, #quern.dims<\"T\">>");
}

/// Lengths of the steps that sequences are fed in, one after the other.
using Steps = std::vector<std::vector<int>>;
/// The same tokens, two sequences of 23 and 4, in other steps.
inline const Steps kSteps[] = {{{23, 4}}, {{1, 0}, {3, 4}, {17, 0}, {2, 0}}};

/// Runs steps of sequences. `call`: launches the kernel for tokens, of which it gets each
/// sequence's first; returns the results of one step, `cols` a token.
template <class Call>
std::vector<std::vector<float>> feed(const Steps &steps, size_t cols, Call call) {
  const size_t many = steps.front().size();
  std::vector<std::vector<float>> results(many);
  std::vector<int> before(many, 0);
  for (const auto &step : steps) {
    std::vector<Sequence> sequences;
    for (size_t b = 0; b < many; ++b)
      sequences.push_back({before[b], step[b]});
    const std::vector<float> got = call(sequences);
    size_t at = 0;
    for (size_t b = 0; b < many; ++b) {
      const auto count = static_cast<size_t>(step[b]) * cols;
      results[b].insert(results[b].end(), got.begin() + static_cast<int64_t>(at),
                        got.begin() + static_cast<int64_t>(at + count));
      at += count;
      before[b] += step[b];
    }
  }
  return results;
}

/// Rows for a step's tokens: a token's depend on its sequence and position alone.
inline std::vector<float> rows_of(const std::vector<Sequence> &sequences, uint32_t seed,
                                  size_t cols, float scale = 1, float shift = 0) {
  std::vector<float> all;
  for (size_t b = 0; b < sequences.size(); ++b)
    for (int t = 0; t < sequences[b].tokens; ++t)
      for (const float x :
           random_floats(seed + 17 * static_cast<uint32_t>(sequences[b].before + t) +
                             7919 * static_cast<uint32_t>(b),
                         cols))
        all.push_back(x * scale + shift);
  return all;
}

} // namespace quern::test

#endif // QUERN_TESTS_CODEGEN_CUDA_FEED_H
