// cvt, setp, set, lop3 and packing moves.
#include "tests/ptx/truth/Builder.h"

#include <absl/strings/str_cat.h>

namespace quern::ptx {
namespace {

struct Named {
  const char *name;
  Type type;
};
constexpr Named kIntegers[] = {{"u8", Type::U8},   {"s8", Type::S8},   {"u16", Type::U16},
                               {"s16", Type::S16}, {"u32", Type::U32}, {"s32", Type::S32},
                               {"u64", Type::U64}, {"s64", Type::S64}};
constexpr Named kFloats[] = {
    {"f16", Type::F16}, {"bf16", Type::BF16}, {"f32", Type::F32}, {"f64", Type::F64}};
constexpr const char *kRoundings[] = {"rn", "rz", "rm", "rp"};

// Bytes go by in registers of 16 bits.
Type held(Type type) { return bytes_of(type) == 1 ? Type::U16 : type; }

// Of bytes and bfloat16 there are none.
bool exist(const Named &floating, const Named &integer) {
  return floating.type != Type::BF16 || bytes_of(integer.type) != 1;
}

void conversion(std::vector<Case> &to, const std::string &modifiers, const Named &result,
                const Named &source) {
  const std::string name = absl::StrCat("cvt", modifiers.empty() ? "" : ".", modifiers, ".",
                                        result.name, ".", source.name);
  Builder builder(name);
  const std::string a = builder.in(held(source.type)), d = builder.reg(held(result.type));
  builder.line(absl::StrCat(name, " ", d, ", ", a, ";"));
  builder.out(d, held(result.type));
  to.push_back(builder.finish());
}

void pair(std::vector<Case> &to, const std::string &name) {
  Builder builder(name);
  const std::string a = builder.in(Type::F32), b = builder.in(Type::F32),
                    d = builder.reg(Type::B32);
  builder.line(absl::StrCat(name, " ", d, ", ", a, ", ", b, ";"));
  builder.out(d, Type::B32);
  to.push_back(builder.finish());
}

void comparison(std::vector<Case> &to, const std::string &order, const std::string &between,
                const Named &of) {
  const std::string name = absl::StrCat("setp.", order, between, ".", of.name);
  const bool combines = !between.empty() && between != ".ftz";
  Builder builder(name);
  const std::string a = builder.in(of.type);
  // Every other pair is one of equals.
  const std::string b = builder.in(of.type), same = builder.in(Type::Pred),
                    second = builder.reg(of.type);
  builder.line(absl::StrCat("selp.", std::string(register_type(of.type)), " ", second, ", ", a,
                            ", ", b, ", ", same, ";"));
  const std::string p = builder.reg(Type::Pred), q = builder.reg(Type::Pred);
  const bool both = !is_float(of.type) || bytes_of(of.type) != 2; // results: of halves there is one
  std::string third;
  if (combines)
    third = absl::StrCat(", !", builder.in(Type::Pred));
  builder.line(absl::StrCat(name, " ", p, both ? absl::StrCat("|", q) : "", ", ", a, ", ", second,
                            third, ";"));
  builder.out(p, Type::Pred);
  if (both)
    builder.out(q, Type::Pred);
  to.push_back(builder.finish());
}

void set(std::vector<Case> &to, const std::string &name, Type result, Type source) {
  Builder builder(name);
  const std::string a = builder.in(source), b = builder.in(source), d = builder.reg(result);
  builder.line(absl::StrCat(name, " ", d, ", ", a, ", ", b, ";"));
  builder.out(d, result);
  to.push_back(builder.finish());
}

} // namespace

void add_conversions(std::vector<Case> &to) {
  for (const Named &from : kIntegers) {
    for (const Named &into : kIntegers) {
      if (from.type == into.type)
        continue;
      conversion(to, "", into, from);
      // Where every number fits there is nothing to saturate, and PTX knows no such form.
      if (bytes_of(into.type) <= bytes_of(from.type) ||
          (is_signed(from.type) && !is_signed(into.type)))
        conversion(to, "sat", into, from);
    }
    for (const Named &into : kFloats)
      for (const char *rounding : kRoundings)
        if (exist(into, from))
          conversion(to, rounding, into, from);
  }
  for (const Named &from : kFloats) {
    const bool single = from.type == Type::F32;
    for (const char *rounding : {"rni", "rzi", "rmi", "rpi"}) {
      for (const Named &into : kIntegers) {
        if (exist(from, into))
          conversion(to, rounding, into, from);
        if (single)
          conversion(to, absl::StrCat(rounding, ".ftz"), into, from);
      }
      conversion(to, rounding, from, from);
    }
    for (const Named &into : kFloats) {
      const int narrower = bytes_of(from.type) - bytes_of(into.type);
      if (from.type == into.type)
        continue;
      if (narrower < 0)
        conversion(to, "", into, from);
      else
        for (const char *rounding : kRoundings)
          conversion(to, rounding, into, from);
    }
  }
  const Named single = kFloats[2];
  for (const Named &into : {kFloats[0], kFloats[1]})
    for (const char *modifiers : {"rn.relu", "rz.relu", "rn.sat", "rn.satfinite"})
      if (into.type == Type::F16 || modifiers != std::string_view("rn.sat"))
        conversion(to, modifiers, into, single);
  conversion(to, "sat", single, kFloats[0]);
  conversion(to, "rn.sat", single, kFloats[3]);
  conversion(to, "rn.ftz", kFloats[0], single);
  conversion(to, "ftz", kFloats[3], single);
  for (const char *modifiers : {"rna", "rn", "rz", "rn.relu"})
    conversion(to, modifiers, {"tf32", Type::B32}, single);
  for (const char *rounding : {"rn", "rz", "rn.relu", "rz.relu"})
    for (const char *into : {"f16x2", "bf16x2"})
      pair(to, absl::StrCat("cvt.", rounding, ".", into, ".f32"));
}

void add_comparisons(std::vector<Case> &to) {
  for (const Named &of : kIntegers) {
    if (bytes_of(of.type) == 1)
      continue;
    for (const char *order : {"eq", "ne", "lt", "le", "gt", "ge"})
      comparison(to, order, "", of);
    if (!is_signed(of.type))
      for (const char *order : {"lo", "ls", "hi", "hs"})
        comparison(to, order, "", of);
  }
  for (const Named &of : kFloats)
    for (const char *order : {"eq", "ne", "lt", "le", "gt", "ge", "equ", "neu", "ltu", "leu", "gtu",
                              "geu", "num", "nan"}) {
      comparison(to, order, "", of);
      if (of.type == Type::F32)
        comparison(to, order, ".ftz", of);
    }
  for (const char *combine : {".and", ".or", ".xor"})
    for (const Named &of : {kIntegers[5], kFloats[2]})
      comparison(to, "lt", combine, of);
  for (const char *result : {"u32", "s32", "f32"}) {
    set(to, absl::StrCat("set.lt.", result, ".s32"), Type::B32, Type::S32);
    set(to, absl::StrCat("set.geu.", result, ".f32"), Type::B32, Type::F32);
  }
  for (const int table :
       {0x01, 0x0f, 0x1e, 0x33, 0x3c, 0x6a, 0x78, 0x80, 0x96, 0xc0, 0xca, 0xe8, 0xea, 0xfe}) {
    Builder builder(absl::StrCat("lop3.b32 ", absl::Hex(table, absl::kZeroPad2)));
    const std::string a = builder.in(Type::U32), b = builder.in(Type::U32),
                      c = builder.in(Type::U32), d = builder.reg(Type::B32);
    builder.line(absl::StrCat("lop3.b32 ", d, ", ", a, ", ", b, ", ", c, ", ", table, ";"));
    builder.out(d, Type::B32);
    to.push_back(builder.finish());
  }
  for (const auto &[whole, part, count] :
       {std::tuple{Type::B32, Type::B16, 2}, std::tuple{Type::B64, Type::B32, 2},
        std::tuple{Type::B64, Type::B16, 4}}) {
    const std::string name = absl::StrCat("mov.", std::string(register_type(whole)));
    Builder packs(absl::StrCat(name, " of ", count)), unpacks(absl::StrCat(name, " to ", count));
    std::string parts, pieces;
    for (int n = 0; n < count; ++n)
      absl::StrAppend(&parts, n == 0 ? "{" : ", ", packs.in(part));
    const std::string d = packs.reg(whole);
    packs.line(absl::StrCat(name, " ", d, ", ", parts, "};"));
    packs.out(d, whole);
    to.push_back(packs.finish());
    const std::string a = unpacks.in(whole);
    std::vector<std::string> made;
    for (int n = 0; n < count; ++n) {
      made.push_back(unpacks.reg(part));
      absl::StrAppend(&pieces, n == 0 ? "{" : ", ", made.back());
    }
    unpacks.line(absl::StrCat(name, " ", pieces, "}, ", a, ";"));
    for (const std::string &piece : made)
      unpacks.out(piece, part);
    to.push_back(unpacks.finish());
  }
}

} // namespace quern::ptx
