// See GenericKernels.h.
#include "tests/codegen/cpu/GenericKernels.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>

#include <fstream>
#include <iterator>
#include <set>
#include <tuple>
#include <utility>

namespace quern::test {
namespace {

constexpr const char *kAliases = R"(
#v = affine_map<(d0) -> (d0)>
#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d1)>
#col = affine_map<(d0, d1) -> (d0)>
#none = affine_map<(d0, d1) -> ()>
#id3 = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#swap3 = affine_map<(d0, d1, d2) -> (d1, d0, d2)>
#l = affine_map<(n, i, j, k) -> (n, i, k)>
#r = affine_map<(n, i, j, k) -> (n, k, j)>
#t = affine_map<(n, i, j, k) -> (n, j, k)>
#o = affine_map<(n, i, j, k) -> (n, i, j)>
#image = affine_map<(n, o, y, z, c, p, q) -> (n, c, y + p, z + q)>
#filter = affine_map<(n, o, y, z, c, p, q) -> (o, c, p, q)>
#out = affine_map<(n, o, y, z, c, p, q) -> (n, o, y, z)>
#dimage = affine_map<(n, c, y, z, p, q) -> (n, c, y + p, z + q)>
#dfilter = affine_map<(n, c, y, z, p, q) -> (c, p, q)>
#dout = affine_map<(n, c, y, z, p, q) -> (n, c, y, z)>
)";

constexpr const char *kRow = R"(
quern.kernel @row_TYPE generic (%x: M<TYPE>, %y: V<TYPE>) -> (M<TYPE>) {
  %a = quern.size "a"
  %b = quern.size "b"
  %e = tensor.empty(%a, %b) : M<TYPE>
  %r = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = PP} ins(%x, %y : M<TYPE>, V<TYPE>) outs(%e : M<TYPE>) {
  ^bb0(%p: TYPE, %q: TYPE, %o: TYPE):
    %s = arith.mulX %p, %q : TYPE
    %t = arith.addX %s, %q : TYPE
    linalg.yield %t : TYPE
  } -> M<TYPE>
  quern.yield %r : M<TYPE>
}
)";

/// A kernel that computes each element of a vector of another type by `body`, of %p to %r.
std::string convert(const std::string &name, const std::string &from, const std::string &to,
                    const std::string &body) {
  return absl::StrReplaceAll(R"(
quern.kernel @NAME generic (%x: V<FROM>) -> (V<TO>) {
  %b = quern.size "b"
  %e = tensor.empty(%b) : V<TO>
  %y = linalg.generic {indexing_maps = [#v, #v], iterator_types = ["parallel"]} ins(%x : V<FROM>) outs(%e : V<TO>) {
  ^bb0(%p: FROM, %o: TO):
    BODY
    linalg.yield %r : TO
  } -> V<TO>
  quern.yield %y : V<TO>
}
)",
                             {{"NAME", name}, {"FROM", from}, {"TO", to}, {"BODY", body}});
}

/// A reduction of a matrix of `type`: `kinds` and `map` say along what, `size` of what.
std::string reduce(const std::string &name, const std::string &type, const std::string &init,
                   const std::string &op, const std::string &kinds, const std::string &map,
                   const std::string &size, const std::string &result) {
  return absl::StrReplaceAll(R"(
quern.kernel @NAME generic (%x: M<TYPE>) -> (RESULT) {
  SIZE
  %z = arith.constant INIT : TYPE
  %f = linalg.fill ins(%z : TYPE) outs(%e : RESULT) -> RESULT
  %r = linalg.generic {indexing_maps = [#id, MAP], iterator_types = KINDS} ins(%x : M<TYPE>) outs(%f : RESULT) {
  ^bb0(%p: TYPE, %o: TYPE):
    %s = OP %o, %p : TYPE
    linalg.yield %s : TYPE
  } -> RESULT
  quern.yield %r : RESULT
}
)",
                             {{"NAME", name},
                              {"TYPE", type},
                              {"INIT", init},
                              {"OP", op},
                              {"KINDS", kinds},
                              {"MAP", map},
                              {"SIZE", size},
                              {"RESULT", result}});
}

/// A product of matrices, two of each.
std::string matmul(const std::string &name, const std::string &type, const std::string &map,
                   const std::string &right) {
  return absl::StrReplaceAll(R"(
quern.kernel @NAME generic (%x: tensor<2x?x?xTYPE, #quern.dims<"a", "b">>, %y: RIGHT) -> (tensor<2x?x?xTYPE, #quern.dims<"a", "c">>) {
  %a = quern.size "a"
  %c = quern.size "c"
  %z = arith.constant 0.0 : TYPE
  %e = tensor.empty(%a, %c) : tensor<2x?x?xTYPE, #quern.dims<"a", "c">>
  %f = linalg.fill ins(%z : TYPE) outs(%e : tensor<2x?x?xTYPE, #quern.dims<"a", "c">>) -> tensor<2x?x?xTYPE, #quern.dims<"a", "c">>
  %r = linalg.generic {indexing_maps = [#l, MAP, #o], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%x, %y : tensor<2x?x?xTYPE, #quern.dims<"a", "b">>, RIGHT) outs(%f : tensor<2x?x?xTYPE, #quern.dims<"a", "c">>) {
  ^bb0(%p: TYPE, %q: TYPE, %o: TYPE):
    %s = arith.mulf %p, %q : TYPE
    %t = arith.addf %o, %s : TYPE
    linalg.yield %t : TYPE
  } -> tensor<2x?x?xTYPE, #quern.dims<"a", "c">>
  quern.yield %r : tensor<2x?x?xTYPE, #quern.dims<"a", "c">>
}
)",
                             {{"NAME", name}, {"TYPE", type}, {"MAP", map}, {"RIGHT", right}});
}

// Ops of one number.
constexpr std::pair<const char *, const char *> kMathOps[] = {
#define QUERN_MATH(NAME) {#NAME, "%r = math." #NAME " %p : TYPE"}
    QUERN_MATH(exp),
    QUERN_MATH(log),
    QUERN_MATH(log1p),
    QUERN_MATH(expm1),
    QUERN_MATH(sin),
    QUERN_MATH(cos),
    QUERN_MATH(tan),
    QUERN_MATH(asin),
    QUERN_MATH(acos),
    QUERN_MATH(atan),
    QUERN_MATH(sinh),
    QUERN_MATH(cosh),
    QUERN_MATH(tanh),
    QUERN_MATH(asinh),
    QUERN_MATH(acosh),
    QUERN_MATH(atanh),
    QUERN_MATH(erf),
    QUERN_MATH(sqrt),
    QUERN_MATH(rsqrt),
    QUERN_MATH(floor),
    QUERN_MATH(ceil),
    QUERN_MATH(trunc),
    QUERN_MATH(round),
    QUERN_MATH(roundeven),
    QUERN_MATH(absf),
#undef QUERN_MATH
    {"powf", "%r = math.powf %p, %p : TYPE"},
    {"remf", "%t = arith.constant 0.75 : TYPE\n %r = arith.remf %p, %t : TYPE"},
};

/// Those of them that are tried in 16 bits: of each way to compute them, one.
const std::set<std::string> kShortMathOps = {"exp", "sinh", "floor", "absf", "remf"};

/// The kernels that are written out.
std::string others() {
  std::ifstream file(QUERN_SOURCE_DIR "/tests/codegen/cpu/generic_kernels.txt");
  return {std::istreambuf_iterator<char>(file), {}};
}

} // namespace

std::string generic_kernels() {
  std::string text;
  for (const char *type : {"f32", "f64", "f16", "bf16", "i8", "i16", "i32", "i64"})
    absl::StrAppend(&text,
                    absl::StrReplaceAll(kRow, {{"TYPE", type}, {"X", type[0] == 'i' ? "i" : "f"}}));
  absl::StrAppend(
      &text, convert("f64_f16", "f64", "f16", "%r = arith.truncf %p : f64 to f16"),
      convert("f64_bf16", "f64", "bf16", "%r = arith.truncf %p : f64 to bf16"),
      convert("f16_f64", "f16", "f64", "%r = arith.extf %p : f16 to f64"),
      convert("f16_bits", "f16", "i16", "%r = arith.bitcast %p : f16 to i16"),
      convert("bool_f32", "i1", "f32", "%r = arith.uitofp %p : i1 to f32"),
      convert("f8_bits", "f8E4M3FN", "i32",
              "%c = arith.bitcast %p : f8E4M3FN to i8\n %r = arith.extsi %c : i8 to i32"),
      convert("i4_i32", "i4", "i32", "%r = arith.extsi %p : i4 to i32"));
  for (const std::string type : {"f32", "f64", "f16", "bf16"})
    for (const auto &[name, op] : kMathOps)
      if (type == "f32" || type == "f64" || kShortMathOps.contains(name))
        absl::StrAppend(&text, convert(absl::StrCat(name, "_", type), type, type,
                                       absl::StrReplaceAll(op, {{"TYPE", type}})));
  const std::string pr = R"(["parallel", "reduction"])", rp = R"(["reduction", "parallel"])",
                    rr = R"(["reduction", "reduction"])";
  const std::string a = "%a = quern.size \"a\"\n  %e = tensor.empty(%a) : ",
                    b = "%b = quern.size \"b\"\n  %e = tensor.empty(%b) : ";
  absl::StrAppend(
      &text, reduce("sum_rows", "f32", "0.0", "arith.addf", pr, "#col", a + "A<f32>", "A<f32>"),
      reduce("sum_columns", "f32", "0.0", "arith.addf", rp, "#row", b + "V<f32>", "V<f32>"),
      reduce("max_rows", "f32", "0xff800000", "arith.maximumf", pr, "#col", a + "A<f32>", "A<f32>"),
      reduce("product_rows", "i64", "1", "arith.muli", pr, "#col", a + "A<i64>", "A<i64>"),
      reduce("all_rows", "i1", "true", "arith.andi", pr, "#col", a + "A<i1>", "A<i1>"),
      reduce("sum_all", "f32", "0.0", "arith.addf", rr, "#none",
             "%e = tensor.empty() : tensor<f32>", "tensor<f32>"));
  for (const char *type : {"f32", "f64"})
    absl::StrAppend(&text,
                    matmul(absl::StrCat("matmul_", type), type, "#r",
                           absl::StrCat("tensor<2x?x?x", type, ", #quern.dims<\"b\", \"c\">>")));
  absl::StrAppend(&text, matmul("matmul_transposed", "f32", "#t",
                                "tensor<2x?x?xf32, #quern.dims<\"c\", \"b\">>"));
  absl::StrAppend(&text, others());
  text = absl::StrReplaceAll(text, {{"arith.constant true : i1", "arith.constant true"}});
  // M<f32> is a matrix, V<f32> and A<f32> are vectors.
  for (auto [letter, shape, names] :
       {std::tuple('M', "?x?x", "\"a\", \"b\""), {'V', "?x", "\"b\""}, {'A', "?x", "\"a\""}})
    for (size_t at; (at = text.find(std::string(" ") + letter + "<")) != text.npos ||
                    (at = text.find(std::string("(") + letter + "<")) != text.npos;) {
      const size_t end = text.find('>', at);
      text =
          absl::StrCat(text.substr(0, at + 1), "tensor<", shape, text.substr(at + 3, end - at - 3),
                       ", #quern.dims<", names, ">>", text.substr(end + 1));
    }
  return absl::StrCat(kAliases, absl::StrReplaceAll(text, {{"PP", R"(["parallel", "parallel"])"}}));
}

} // namespace quern::test
