// One question to a machine that executes PTX: a kernel, its operands as bits, and how close an
// answer has to come to another.
#ifndef QUERN_TESTS_PTX_TRUTH_CASE_H
#define QUERN_TESTS_PTX_TRUTH_CASE_H

#include "tests/ptx/Syntax.h"

#include <optional>
#include <string>
#include <vector>

namespace quern::ptx {

/// How answers are compared.
struct Judgement {
  enum Kind {
    bits,    ///< they are the same
    close,   ///< numbers apart by no more than `relative` of the second's, plus `absolute`; NaN is
             ///< NaN
    product, ///< sums of products, apart by `relative` of the sum of the products' magnitudes
    open     ///< PTX leaves the answer open: it is only written down
  };
  Kind kind = bits;
  Type type = Type::F32; ///< of the numbers that are close
  double relative = 0, absolute = 0;
};

/// A case is one block of kThreads threads of the kernel `run(.param .u64 in, .param .u64 out)`.
/// Operand k of thread t is word k * kThreads + t at `in`, result k of thread t the low bytes of
/// such a word at `out`, which holds zeros before.
struct Case {
  static constexpr u32 kThreads = 64;

  std::string
      name; ///< the form's; of several instructions that belong together, the one that is meant
  std::string body; ///< of the kernel; text() is the module
  u32 operands = 0;
  std::vector<u32> result_bytes;
  std::vector<u64> in;
  Judgement judgement;

  /// The module: `target` is sm_80 or sm_90.
  std::string text(std::string_view target) const;
  u64 in_bytes() const { return in.size() * 8; }
  u64 out_bytes() const { return result_bytes.size() * kThreads * 8; }
};

/// What a machine answered: the words at `out`, or why it would not.
struct Answer {
  std::string target;  ///< of the module that it took
  std::string refused; ///< empty, or the machine's words
  std::vector<u64> out;
};

/// "" where `given` may stand for `expected`; else where and how they differ. `magnitudes`: of a
/// product, the answer to magnitudes_of(c).
std::string differ(const Case &c, const Answer &given, const Answer &expected,
                   const Answer *magnitudes = nullptr);
/// The case whose operands and sums have lost their signs.
Case magnitudes_of(const Case &c);

/// All cases: every form of the interpreter's table by itself, of its families a choice. The same
/// on every machine; a case depends on its name alone, so others may come and go.
const std::vector<Case> &corpus();

} // namespace quern::ptx

#endif // QUERN_TESTS_PTX_TRUTH_CASE_H
