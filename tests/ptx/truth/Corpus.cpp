// Every form of the table by itself; families in the files beside.
#include "tests/ptx/FormTable.h"
#include "tests/ptx/Words.h"
#include "tests/ptx/truth/Builder.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <optional>

namespace quern::ptx {
namespace {

// What approximate instructions promise: PTX ISA, sections 9.7.3 and 9.7.4.
struct Promise {
  std::string_view name;
  double relative, absolute;
};
constexpr double kLeastSingle = 0x1p-126, kLeastHalf = 0x1p-14;
constexpr Promise kPromises[] = {
    {"rcp.approx.ftz.f64", 0x1p-19, 0},
    {"rsqrt.approx.f64", 0x1p-19, 0},
    {"rsqrt.approx.ftz.f64", 0x1p-19, 0},
    {"ex2.approx.f16", 0x1p-9, kLeastHalf},
    {"ex2.approx.f16x2", 0x1p-9, kLeastHalf},
    {"ex2.approx.ftz.bf16", 0x1p-7, kLeastSingle},
    {"ex2.approx.ftz.bf16x2", 0x1p-7, kLeastSingle},
    {"tanh.approx.f16", 0, 0x1p-10},
    {"tanh.approx.f16x2", 0, 0x1p-10},
    {"tanh.approx.bf16", 0, 0x1p-7},
    {"tanh.approx.bf16x2", 0, 0x1p-7},
    {"ex2.approx", 0x1p-21, kLeastSingle},
    {"lg2.approx", 0x1p-21, 0x1p-21},
    {"rsqrt.approx", 0x1p-22, kLeastSingle},
    {"sqrt.approx", 0x1p-22, kLeastSingle},
    {"rcp.approx", 0x1p-22, kLeastSingle},
    {"div.approx", 0x1p-21, kLeastSingle},
    {"div.full", 0x1p-21, kLeastSingle},
    {"sin.approx", 0, 0x1p-20},
    {"cos.approx", 0, 0x1p-20},
    {"tanh.approx", 0x1p-10, kLeastSingle},
};

std::optional<Judgement> promised(std::string_view name, Type type) {
  for (const Promise &promise : kPromises)
    if (name == promise.name ||
        (name.starts_with(promise.name) && bytes_of(type) == 4 && type == Type::F32))
      return Judgement{Judgement::close, type, promise.relative, promise.absolute};
  return std::nullopt;
}

// Finite numbers whose quotient is one: what lies beyond is where approximations promise nothing.
u64 moderate(Random &random) {
  return random.below(2) << 31 | (87 + random.below(80)) << 23 | random.below(1 << 23);
}
// From -pi to pi.
u64 angle(Random &random) {
  return random.below(2) << 31 | (87 + random.below(41)) << 23 | random.below(0x490fdb);
}

bool has(const std::vector<std::string_view> &parts, std::string_view part) {
  return std::ranges::find(parts, part) != parts.end();
}

Case plain(const std::string &name, const Form &form) {
  const auto parts = split(name, '.');
  Builder builder(name);
  Type named = Type::None;
  for (const std::string_view part : parts)
    if (const Type type = type_of(part); type != Type::None)
      named = type; // the last: the sources'
  const auto judged = promised(name, named);
  std::vector<std::string> operands;
  for (size_t n = 1; n < form.operands.size(); ++n) {
    Type type = form.operands[n];
    if (is_float(named) && type != Type::Pred && bytes_of(type) == bytes_of(named))
      type = named;
    Builder::Values values;
    if (parts[0] == "sin" || parts[0] == "cos")
      values = [](u32, Random &random) { return angle(random); };
    else if (parts[0] == "div" && judged)
      values = [](u32, Random &random) { return moderate(random); };
    operands.push_back(values ? builder.in(type, values) : builder.in(type));
  }
  // What goes in by the carry comes of two numbers more, what goes out by it is a result more.
  const bool takes = parts[0] == "addc" || parts[0] == "subc" || parts[0] == "madc",
             gives = has(parts, "cc");
  if (takes) {
    const std::string a = builder.in(Type::U32), b = builder.in(Type::U32),
                      sum = builder.reg(Type::B32);
    builder.line(
        absl::StrCat(parts[0] == "subc" ? "sub" : "add", ".cc.u32 ", sum, ", ", a, ", ", b, ";"));
  }
  const Type type = form.operands[0];
  const std::string result = builder.reg(type);
  builder.line(absl::StrCat(name, " ", result, ", ", absl::StrJoin(operands, ", "), ";"));
  if (gives) {
    const std::string carry = builder.reg(Type::B32);
    builder.line(
        absl::StrCat(parts[0].starts_with("sub") ? "subc" : "addc", ".u32 ", carry, ", 0, 0;"));
    builder.out(carry, Type::B32);
  }
  builder.out(result, type);
  return builder.finish(judged.value_or(Judgement{}));
}

} // namespace

const std::vector<Case> &corpus() {
  static const std::vector<Case> all = [] {
    std::vector<Case> made;
    for (const auto &[name, form] : form_table().forms())
      made.push_back(plain(name, form));
    add_conversions(made);
    add_comparisons(made);
    add_memory_cases(made);
    add_warp_cases(made);
    add_products(made);
    // A family's case may be a form of the table as well.
    std::ranges::sort(made, {}, [](const Case &c) {
      return std::pair(std::string_view(c.name), std::string_view(c.body));
    });
    made.erase(std::unique(made.begin(), made.end(),
                           [](const Case &a, const Case &b) { return a.name == b.name; }),
               made.end());
    return made;
  }();
  return all;
}

} // namespace quern::ptx
