// Memory: widths of loads, atomic operations, matrices and copies in shared memory. Warps:
// shuffles, votes, matches, reductions.
#include "tests/ptx/truth/Builder.h"

#include <absl/strings/str_cat.h>

namespace quern::ptx {
namespace {

struct Named {
  const char *name;
  Type type;
};

// The operand's slot is the place: what was there, what is there after.
void atomic(std::vector<Case> &to, const std::string &space, const std::string &operation,
            const Named &of) {
  const std::string name = absl::StrCat("atom.", space, operation, ".", of.name);
  const std::string type(register_type(of.type));
  Builder builder(name);
  const std::string before = builder.in(of.type), b = builder.in(of.type);
  std::string operands = b;
  if (operation == ".cas") {
    // Half of them meet what they expect.
    const std::string same = builder.in(Type::Pred), expected = builder.reg(of.type),
                      c = builder.in(of.type);
    builder.line(
        absl::StrCat("selp.", type, " ", expected, ", ", before, ", ", b, ", ", same, ";"));
    operands = absl::StrCat(expected, ", ", c);
  }
  std::string place = "%in";
  if (space == "shared") {
    const std::string area = builder.shared(Case::kThreads * 8);
    const std::string base = builder.reg(Type::B32);
    place = builder.reg(Type::B32);
    builder.line(absl::StrCat("mov.u32 ", base, ", ", area, ";"));
    builder.line(absl::StrCat("mad.lo.u32 ", place, ", %t, 8, ", base, ";"));
    builder.line(absl::StrCat("st.shared.", type, " [", place, "], ", before, ";"));
  }
  const std::string old = builder.reg(of.type), after = builder.reg(of.type);
  builder.line(absl::StrCat(name, " ", old, ", [", place, "], ", operands, ";"));
  builder.line(absl::StrCat("ld.", space == "shared" ? "shared" : "volatile.global", ".", type, " ",
                            after, ", [", place, "];"));
  builder.out(old, of.type);
  builder.out(after, of.type);
  to.push_back(builder.finish());
}

void load(std::vector<Case> &to, const std::string &type, Type into) {
  Builder builder(absl::StrCat("ld.global.", type, " in ", std::string(register_type(into))));
  builder.in(Type::U64);
  const std::string d = builder.reg(into);
  builder.line(absl::StrCat("ld.global.", type, " ", d, ", [%in];"));
  builder.out(d, into);
  to.push_back(builder.finish());
}

// Eight rows of 16 bytes a matrix; lane l gives the address of row l, of any order.
void matrices(std::vector<Case> &to, int count, bool transposed) {
  const std::string form = absl::StrCat("ldmatrix.sync.aligned.m8n8.x", count,
                                        transposed ? ".trans" : "", ".shared.b16");
  Builder builder(form);
  const std::string first = builder.in(Type::U64), second = builder.in(Type::U64);
  const std::string turn =
      builder.in(Type::U32, [](u32 thread, Random &) { return thread / 32 * 5 + 3; });
  const std::string area = builder.shared(Case::kThreads * 16), base = builder.reg(Type::B32),
                    at = builder.reg(Type::B32), row = builder.reg(Type::B32);
  builder.line(absl::StrCat("mov.u32 ", base, ", ", area, ";"));
  builder.line(absl::StrCat("mad.lo.u32 ", at, ", %t, 16, ", base, ";"));
  builder.line(absl::StrCat("st.shared.v2.u64 [", at, "], {", first, ", ", second, "};"));
  builder.line("bar.sync 0;");
  // Rows of both warps, in a turned order.
  builder.line(absl::StrCat("mad.lo.u32 ", row, ", %t, 11, ", turn, ";"));
  builder.line(absl::StrCat("and.b32 ", row, ", ", row, ", ", Case::kThreads - 1, ";"));
  builder.line(absl::StrCat("mad.lo.u32 ", row, ", ", row, ", 16, ", base, ";"));
  std::vector<std::string> made;
  std::string list;
  for (int n = 0; n < count; ++n) {
    made.push_back(builder.reg(Type::B32));
    absl::StrAppend(&list, n == 0 ? "{" : ", ", made.back());
  }
  builder.line(absl::StrCat(form, " ", list, "}, [", row, "];"));
  for (const std::string &piece : made)
    builder.out(piece, Type::B32);
  to.push_back(builder.finish());
}

// A copy of fewer bytes than it writes leaves zeros behind them.
void copy(std::vector<Case> &to, int bytes, const char *cache) {
  const std::string form = absl::StrCat("cp.async.", cache, ".shared.global");
  Builder builder(absl::StrCat(form, " ", bytes));
  builder.in(Type::U64);
  const std::string taken = builder.in(Type::U32, [bytes](u32, Random &random) {
    return random.below(static_cast<u64>(bytes) + 1);
  });
  const std::string area = builder.shared(Case::kThreads * 16), at = builder.reg(Type::B32),
                    base = builder.reg(Type::B32), from = builder.reg(Type::B64),
                    offset = builder.reg(Type::B64);
  builder.line(absl::StrCat("mov.u32 ", base, ", ", area, ";"));
  builder.line(absl::StrCat("mad.lo.u32 ", at, ", %t, 16, ", base, ";"));
  builder.line(absl::StrCat("st.shared.v4.u32 [", at, "], {%t, %t, %t, %t};"));
  // 16 bytes lie on 16: the pair of threads' words.
  builder.line(absl::StrCat("and.b64 ", offset, ", %at, 8;"));
  builder.line(absl::StrCat("sub.s64 ", from, ", %in, ", offset, ";"));
  builder.line(absl::StrCat(form, " [", at, "], [", from, "], ", bytes, ", ", taken, ";"));
  builder.line("cp.async.commit_group;");
  builder.line("cp.async.wait_group 0;");
  const std::string low = builder.reg(Type::B64), high = builder.reg(Type::B64);
  builder.line(absl::StrCat("ld.shared.v2.u64 {", low, ", ", high, "}, [", at, "];"));
  builder.out(low, Type::B64);
  builder.out(high, Type::B64);
  to.push_back(builder.finish());
}

// Warps whole, so what everyone names is everyone.
constexpr const char *kAll = "0xffffffff";

void shuffle(std::vector<Case> &to, const std::string &mode) {
  Builder builder(absl::StrCat("shfl.sync.", mode, ".b32"));
  const std::string a = builder.in(Type::U32),
                    b = builder.in(Type::U32, [](u32, Random &random) { return random.below(40); });
  // Segments of 32 to 2 lanes, and whatever else.
  const std::string c = builder.in(Type::U32, [up = mode == "up"](u32 thread, Random &random) {
    const u64 segment = 32 - (u64{32} >> thread / 8 % 5);
    return random.below(4) == 0 ? random.below(32) << 8 | random.below(32)
                                : segment << 8 | (up ? 0 : 31);
  });
  const std::string d = builder.reg(Type::B32), p = builder.reg(Type::Pred);
  builder.line(absl::StrCat("shfl.sync.", mode, ".b32 ", d, "|", p, ", ", a, ", ", b, ", ", c, ", ",
                            kAll, ";"));
  builder.out(d, Type::B32);
  builder.out(p, Type::Pred);
  to.push_back(builder.finish());
}

} // namespace

void add_memory_cases(std::vector<Case> &to) {
  for (const auto &[name, type] : {std::pair{"u8", Type::B16},
                                   {"s8", Type::B16},
                                   {"u8", Type::B32},
                                   {"s8", Type::B32},
                                   {"b8", Type::B64},
                                   {"s8", Type::B64},
                                   {"u16", Type::B32},
                                   {"s16", Type::B32},
                                   {"s16", Type::B64},
                                   {"u32", Type::B64},
                                   {"s32", Type::B64}})
    load(to, name, type);
  constexpr Named kWide[] = {
      {"u32", Type::U32}, {"s32", Type::S32}, {"u64", Type::U64}, {"s64", Type::S64}};
  for (const std::string space : {"global", "shared"}) {
    for (const char *operation : {".min", ".max"})
      for (const Named &of : kWide)
        atomic(to, space, operation, of);
    for (const char *operation : {".inc", ".dec"})
      atomic(to, space, operation, kWide[0]);
    for (const Named &of :
         {kWide[0], kWide[1], kWide[2], Named{"f32", Type::F32}, Named{"f64", Type::F64}})
      atomic(to, space, ".add", of);
    for (const Named &of : {Named{"f16", Type::F16}, Named{"f16x2", Type::F16x2},
                            Named{"bf16", Type::BF16}, Named{"bf16x2", Type::BF16x2}})
      atomic(to, space, ".add.noftz", of);
    for (const Named &of : {Named{"b32", Type::B32}, Named{"b64", Type::B64}})
      for (const char *operation : {".and", ".or", ".xor", ".exch", ".cas"})
        atomic(to, space, operation, of);
  }
  for (const int count : {1, 2, 4})
    for (const bool transposed : {false, true})
      matrices(to, count, transposed);
  for (const int bytes : {4, 8, 16})
    copy(to, bytes, "ca");
  copy(to, 16, "cg");
}

void add_warp_cases(std::vector<Case> &to) {
  for (const char *mode : {"up", "down", "bfly", "idx"})
    shuffle(to, mode);
  // One warp votes as it likes, the other as one.
  const Builder::Values votes = [](u32 thread, Random &random) {
    return thread < 32 ? random.below(2) : u64{1};
  };
  for (const std::string mode : {"all", "any", "uni", "ballot"}) {
    const bool words = mode == "ballot";
    const std::string name = absl::StrCat("vote.sync.", mode, words ? ".b32" : ".pred");
    Builder builder(name);
    const std::string p = builder.in(Type::Pred, votes),
                      d = builder.reg(words ? Type::B32 : Type::Pred);
    builder.line(absl::StrCat(name, " ", d, ", ", p, ", ", kAll, ";"));
    builder.out(d, words ? Type::B32 : Type::Pred);
    to.push_back(builder.finish());
  }
  const Builder::Values few = [](u32 thread, Random &random) {
    return thread < 32 ? random.below(4) : u64{7};
  };
  for (const Named &of : {Named{"b32", Type::B32}, Named{"b64", Type::B64}}) {
    for (const std::string mode : {"any", "all"}) {
      const std::string name = absl::StrCat("match.", mode, ".sync.", of.name);
      Builder builder(name);
      const std::string a = builder.in(of.type, few), d = builder.reg(Type::B32),
                        p = builder.reg(Type::Pred);
      builder.line(absl::StrCat(name, " ", d, mode == "all" ? absl::StrCat("|", p) : "", ", ", a,
                                ", ", kAll, ";"));
      builder.out(d, Type::B32);
      if (mode == "all")
        builder.out(p, Type::Pred);
      to.push_back(builder.finish());
    }
  }
  for (const char *tail : {"add.u32", "add.s32", "min.u32", "max.u32", "min.s32", "max.s32",
                           "and.b32", "or.b32", "xor.b32"}) {
    const std::string name = absl::StrCat("redux.sync.", tail);
    Builder builder(name);
    const std::string a = builder.in(Type::U32), d = builder.reg(Type::B32);
    builder.line(absl::StrCat(name, " ", d, ", ", a, ", ", kAll, ";"));
    builder.out(d, Type::B32);
    to.push_back(builder.finish());
  }
  Builder active("activemask.b32");
  const std::string d = active.reg(Type::B32);
  active.line(absl::StrCat("activemask.b32 ", d, ";"));
  active.out(d, Type::B32);
  to.push_back(active.finish());
  Builder elect("elect.sync");
  const std::string leader = elect.reg(Type::B32), p = elect.reg(Type::Pred);
  elect.line(absl::StrCat("elect.sync ", leader, "|", p, ", ", kAll, ";"));
  elect.out(leader, Type::B32);
  elect.out(p, Type::Pred);
  to.push_back(elect.finish());
}

} // namespace quern::ptx
