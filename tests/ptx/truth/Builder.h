// Writes a case's kernel, operand by operand.
#ifndef QUERN_TESTS_PTX_TRUTH_BUILDER_H
#define QUERN_TESTS_PTX_TRUTH_BUILDER_H

#include "tests/ptx/truth/Case.h"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace quern::ptx {

/// A stream of numbers that depends on a name alone.
class Random {
public:
  explicit Random(std::string_view name);
  u64 next();
  u64 below(u64 n) { return next() % n; }

private:
  u64 state_;
};

/// Values of a type: edges and random ones.
u64 sample(Type type, Random &random);

class Builder {
public:
  using Values = std::function<u64(u32 thread, Random &)>;

  explicit Builder(std::string name);

  /// An operand of the thread in a register of the type's width (a predicate: of the word's lowest
  /// bit).
  std::string in(Type type);
  std::string in(Type type, const Values &values);
  /// A fresh register.
  std::string reg(Type type);
  void line(const std::string &text) { body_ += "  " + text + "\n"; }
  /// The result of the thread.
  void out(const std::string &reg, Type type);
  /// 16-byte aligned shared memory of all threads.
  std::string shared(u32 bytes);
  Case finish(Judgement judgement = {});

private:
  Case case_;
  std::string registers_, body_;
  std::vector<std::pair<Type, Values>> values_;
  u32 count_ = 0;
};

/// A register's width as PTX spells it: "b32", "pred".
std::string_view register_type(Type type);

/// Forms that are no single entries of the table.
void add_conversions(std::vector<Case> &to);
void add_comparisons(std::vector<Case> &to);
void add_memory_cases(std::vector<Case> &to);
void add_warp_cases(std::vector<Case> &to);
void add_products(std::vector<Case> &to);

} // namespace quern::ptx

#endif // QUERN_TESTS_PTX_TRUTH_BUILDER_H
