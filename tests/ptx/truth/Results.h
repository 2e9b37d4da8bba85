// Answers as a text that can be committed: a head of lines that begin with '#', then a line a case,
//   mul.lo.u32 of sm_80: 00000001...    its results as hexadecimal digits, result by result, thread
//   by thread NAME refused: WHY
#ifndef QUERN_TESTS_PTX_TRUTH_RESULTS_H
#define QUERN_TESTS_PTX_TRUTH_RESULTS_H

#include "tests/ptx/truth/Case.h"

#include <absl/status/statusor.h>

#include <map>
#include <string>
#include <string_view>

namespace quern::ptx {

/// The line of an answer, its newline too.
std::string answer_line(const Case &c, const Answer &answer);

struct Results {
  std::string head;                         ///< the lines before the first case
  std::map<std::string, std::string> lines; ///< what follows a case's name
};

/// Error: DataLoss (a line that is none, a case twice).
absl::StatusOr<Results> read_results(std::string_view text);

/// A case's answer among them. Errors: NotFound; DataLoss (digits that are none, or too few or
/// many: the corpus is another one than when they were written).
absl::StatusOr<Answer> answer_of(const Results &results, const Case &c);

} // namespace quern::ptx

#endif // QUERN_TESTS_PTX_TRUTH_RESULTS_H
