// Every op of arith and math: in a body, on tensors, and on numbers.
#include "ir/reference/Lanes.h"

#include "tests/ir/reference/CallModule.h"

#include <limits>
#include <set>

namespace quern::reference {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// A few numbers of a type: floats or integers.
struct Column {
  std::string type;
  std::vector<double> floats;
  std::vector<int64_t> ints;
  size_t count() const { return floats.size() + ints.size(); }
};

/// An op, its types in braces, and what it gives for what.
struct Case {
  std::string text;
  std::vector<Column> in, out;
  std::string name() const { return text.substr(0, text.find(' ')); }
};

const std::vector<Case> kCases = {
    {"arith.addi %0, %1 : {i8}",
     {{"i8", {}, {100, -1, 5}}, {"i8", {}, {100, -1, -5}}},
     {{"i8", {}, {-56, -2, 0}}}},
    {"arith.subi %0, %1 : {i8}",
     {{"i8", {}, {-128, 5}}, {"i8", {}, {1, 7}}},
     {{"i8", {}, {127, -2}}}},
    {"arith.muli %0, %1 : {i8}",
     {{"i8", {}, {16, -3}}, {"i8", {}, {16, 7}}},
     {{"i8", {}, {0, -21}}}},
    {"arith.divsi %0, %1 : {i8}",
     {{"i8", {}, {-7, 7}}, {"i8", {}, {2, -2}}},
     {{"i8", {}, {-3, -3}}}},
    {"arith.divui %0, %1 : {i8}",
     {{"i8", {}, {-1, 7}}, {"i8", {}, {2, 2}}},
     {{"i8", {}, {127, 3}}}},
    {"arith.remsi %0, %1 : {i8}",
     {{"i8", {}, {-7, 7}}, {"i8", {}, {3, -3}}},
     {{"i8", {}, {-1, 1}}}},
    {"arith.remui %0, %1 : {i8}",
     {{"i8", {}, {-1, 7}}, {"i8", {}, {16, 4}}},
     {{"i8", {}, {15, 3}}}},
    {"arith.floordivsi %0, %1 : {i8}",
     {{"i8", {}, {-7, 7, -7, 6}}, {"i8", {}, {2, -2, -2, 3}}},
     {{"i8", {}, {-4, -4, 3, 2}}}},
    {"arith.ceildivsi %0, %1 : {i8}",
     {{"i8", {}, {-7, 7, -7, 6}}, {"i8", {}, {2, -2, -2, 3}}},
     {{"i8", {}, {-3, -3, 4, 2}}}},
    {"arith.ceildivui %0, %1 : {i8}",
     {{"i8", {}, {-1, 8}}, {"i8", {}, {2, 3}}},
     {{"i8", {}, {-128, 3}}}},
    {"arith.andi %0, %1 : {i8}", {{"i8", {}, {12, -1}}, {"i8", {}, {10, 7}}}, {{"i8", {}, {8, 7}}}},
    {"arith.ori %0, %1 : {i8}",
     {{"i8", {}, {12, -1}}, {"i8", {}, {10, 7}}},
     {{"i8", {}, {14, -1}}}},
    {"arith.xori %0, %1 : {i8}",
     {{"i8", {}, {12, -1}}, {"i8", {}, {10, 7}}},
     {{"i8", {}, {6, -8}}}},
    {"arith.maxsi %0, %1 : {i8}", {{"i8", {}, {-1, 3}}, {"i8", {}, {2, 1}}}, {{"i8", {}, {2, 3}}}},
    {"arith.minsi %0, %1 : {i8}", {{"i8", {}, {-1, 3}}, {"i8", {}, {2, 1}}}, {{"i8", {}, {-1, 1}}}},
    {"arith.maxui %0, %1 : {i8}", {{"i8", {}, {-1, 3}}, {"i8", {}, {2, 1}}}, {{"i8", {}, {-1, 3}}}},
    {"arith.minui %0, %1 : {i8}", {{"i8", {}, {-1, 3}}, {"i8", {}, {2, 1}}}, {{"i8", {}, {2, 1}}}},
    {"arith.shli %0, %1 : {i8}",
     {{"i8", {}, {1, -1}}, {"i8", {}, {7, 1}}},
     {{"i8", {}, {-128, -2}}}},
    {"arith.shrsi %0, %1 : {i8}",
     {{"i8", {}, {-128, 64}}, {"i8", {}, {3, 3}}},
     {{"i8", {}, {-16, 8}}}},
    {"arith.shrui %0, %1 : {i8}",
     {{"i8", {}, {-128, 64}}, {"i8", {}, {3, 3}}},
     {{"i8", {}, {16, 8}}}},
    {"arith.cmpi eq, %0, %1 : {i8}",
     {{"i8", {}, {1, -1, 2}}, {"i8", {}, {2, 1, 2}}},
     {{"i1", {}, {0, 0, 1}}}},
    {"arith.cmpi ne, %0, %1 : {i8}",
     {{"i8", {}, {1, -1, 2}}, {"i8", {}, {2, 1, 2}}},
     {{"i1", {}, {1, 1, 0}}}},
    {"arith.cmpi slt, %0, %1 : {i8}",
     {{"i8", {}, {1, -1, 2}}, {"i8", {}, {2, 1, 2}}},
     {{"i1", {}, {1, 1, 0}}}},
    {"arith.cmpi sle, %0, %1 : {i8}",
     {{"i8", {}, {1, -1, 2}}, {"i8", {}, {2, 1, 2}}},
     {{"i1", {}, {1, 1, 1}}}},
    {"arith.cmpi sgt, %0, %1 : {i8}",
     {{"i8", {}, {1, -1, 2}}, {"i8", {}, {2, 1, 2}}},
     {{"i1", {}, {0, 0, 0}}}},
    {"arith.cmpi sge, %0, %1 : {i8}",
     {{"i8", {}, {1, -1, 2}}, {"i8", {}, {2, 1, 2}}},
     {{"i1", {}, {0, 0, 1}}}},
    {"arith.cmpi ult, %0, %1 : {i8}",
     {{"i8", {}, {1, -1, 2}}, {"i8", {}, {2, 1, 2}}},
     {{"i1", {}, {1, 0, 0}}}},
    {"arith.cmpi ule, %0, %1 : {i8}",
     {{"i8", {}, {1, -1, 2}}, {"i8", {}, {2, 1, 2}}},
     {{"i1", {}, {1, 0, 1}}}},
    {"arith.cmpi ugt, %0, %1 : {i8}",
     {{"i8", {}, {1, -1, 2}}, {"i8", {}, {2, 1, 2}}},
     {{"i1", {}, {0, 1, 0}}}},
    {"arith.cmpi uge, %0, %1 : {i8}",
     {{"i8", {}, {1, -1, 2}}, {"i8", {}, {2, 1, 2}}},
     {{"i1", {}, {0, 1, 1}}}},
    {"arith.cmpi slt, %0, %1 : {i1}",
     {{"i1", {}, {1, 0}}, {"i1", {}, {0, 1}}},
     {{"i1", {}, {1, 0}}}},
    {"arith.addi %0, %1 : {i64}",
     {{"i64", {}, {9223372036854775807, 4611686018427387905}}, {"i64", {}, {1, 1}}},
     {{"i64", {}, {INT64_MIN, 4611686018427387906}}}},
    {"arith.divui %0, %1 : {i64}",
     {{"i64", {}, {-1, 10}}, {"i64", {}, {3, 3}}},
     {{"i64", {}, {6148914691236517205, 3}}}},
    {"arith.addi %0, %1 : {i1}", {{"i1", {}, {1, 1}}, {"i1", {}, {1, 0}}}, {{"i1", {}, {0, 1}}}},
    {"arith.addi %0, %1 : {i4}", {{"i4", {}, {7, -8}}, {"i4", {}, {1, -1}}}, {{"i4", {}, {-8, 7}}}},
    {"arith.addui_extended %0, %1 : {i8}, {i1}",
     {{"i8", {}, {-1, 1}}, {"i8", {}, {2, 3}}},
     {{"i8", {}, {1, 4}}, {"i1", {}, {1, 0}}}},
    {"arith.mulsi_extended %0, %1 : {i8}",
     {{"i8", {}, {-128, 3}}, {"i8", {}, {-128, 5}}},
     {{"i8", {}, {0, 15}}, {"i8", {}, {64, 0}}}},
    {"arith.mului_extended %0, %1 : {i8}",
     {{"i8", {}, {-1, 3}}, {"i8", {}, {-1, 5}}},
     {{"i8", {}, {1, 15}}, {"i8", {}, {-2, 0}}}},
    {"arith.mului_extended %0, %1 : {i64}",
     {{"i64", {}, {-1}}, {"i64", {}, {-1}}},
     {{"i64", {}, {1}}, {"i64", {}, {-2}}}},
    {"arith.extsi %0 : {i8} to {i32}", {{"i8", {}, {-1, 5}}}, {{"i32", {}, {-1, 5}}}},
    {"arith.extsi %0 : {i1} to {i8}", {{"i1", {}, {1, 0}}}, {{"i8", {}, {-1, 0}}}},
    {"arith.extui %0 : {i8} to {i32}", {{"i8", {}, {-1, 5}}}, {{"i32", {}, {255, 5}}}},
    {"arith.extui %0 : {i1} to {i8}", {{"i1", {}, {1, 0}}}, {{"i8", {}, {1, 0}}}},
    {"arith.trunci %0 : {i32} to {i8}", {{"i32", {}, {511, 5}}}, {{"i8", {}, {-1, 5}}}},
    {"arith.trunci %0 : {i8} to {i1}", {{"i8", {}, {2, 3}}}, {{"i1", {}, {0, 1}}}},
    {"arith.index_cast %0 : {i32} to {index}", {{"i32", {}, {-1, 5}}}, {{"index", {}, {-1, 5}}}},
    {"arith.index_cast %0 : {index} to {i8}", {{"index", {}, {257, -1}}}, {{"i8", {}, {1, -1}}}},
    {"arith.index_castui %0 : {i32} to {index}",
     {{"i32", {}, {-1, 5}}},
     {{"index", {}, {4294967295, 5}}}},
    {"arith.sitofp %0 : {i8} to {f32}", {{"i8", {}, {-1, 5}}}, {{"f32", {-1, 5}, {}}}},
    {"arith.sitofp %0 : {i1} to {f32}", {{"i1", {}, {1, 0}}}, {{"f32", {-1, 0}, {}}}},
    {"arith.uitofp %0 : {i8} to {f32}", {{"i8", {}, {-1, 5}}}, {{"f32", {255, 5}, {}}}},
    {"arith.uitofp %0 : {i1} to {f16}", {{"i1", {}, {1, 0}}}, {{"f16", {1, 0}, {}}}},
    {"arith.fptosi %0 : {f32} to {i8}",
     {{"f32", {-1.75, 300, kNan, -300, 1.75}, {}}},
     {{"i8", {}, {-1, 127, 0, -128, 1}}}},
    {"arith.fptoui %0 : {f32} to {i8}",
     {{"f32", {1.75, 300, -5, kNan, 200}, {}}},
     {{"i8", {}, {1, -1, 0, 0, -56}}}},
    {"arith.fptosi %0 : {f64} to {i64}",
     {{"f64", {1e+30, -1e+30, 9007199254740992}, {}}},
     {{"i64", {}, {9223372036854775807, INT64_MIN, 9007199254740992}}}},
    {"arith.fptoui %0 : {f64} to {i64}",
     {{"f64", {1e+30, 9.223372036854776e+18}, {}}},
     {{"i64", {}, {-1, INT64_MIN}}}},
    {"arith.bitcast %0 : {f32} to {i32}",
     {{"f32", {1, -0.0}, {}}},
     {{"i32", {}, {1065353216, -2147483648}}}},
    {"arith.bitcast %0 : {i32} to {f32}",
     {{"i32", {}, {1065353216, 1}}},
     {{"f32", {1, 1.401298464324817e-45}, {}}}},
    {"arith.bitcast %0 : {f16} to {i16}", {{"f16", {1, -2}, {}}}, {{"i16", {}, {15360, -16384}}}},
    {"arith.bitcast %0 : {i16} to {bf16}", {{"i16", {}, {16256}}}, {{"bf16", {1}, {}}}},
    {"arith.bitcast %0 : {f8E4M3FN} to {i8}",
     {{"f8E4M3FN", {1, -448}, {}}},
     {{"i8", {}, {56, -2}}}},
    {"arith.bitcast %0 : {i8} to {f8E5M2}", {{"i8", {}, {60, 123}}}, {{"f8E5M2", {1, 57344}, {}}}},
    {"arith.extf %0 : {f16} to {f32}", {{"f16", {1.5, 65504}, {}}}, {{"f32", {1.5, 65504}, {}}}},
    {"arith.addf %0, %1 : {f32}",
     {{"f32", {1.5, -2}, {}}, {"f32", {2, kInfinity}, {}}},
     {{"f32", {3.5, kInfinity}, {}}}},
    {"arith.subf %0, %1 : {f32}",
     {{"f32", {1.5, kInfinity}, {}}, {"f32", {2, kInfinity}, {}}},
     {{"f32", {-0.5, kNan}, {}}}},
    {"arith.mulf %0, %1 : {f32}",
     {{"f32", {1.5, 0}, {}}, {"f32", {2, kInfinity}, {}}},
     {{"f32", {3, kNan}, {}}}},
    {"arith.divf %0, %1 : {f32}",
     {{"f32", {1, -1}, {}}, {"f32", {4, 0}, {}}},
     {{"f32", {0.25, -kInfinity}, {}}}},
    {"arith.remf %0, %1 : {f32}",
     {{"f32", {5.5, -5.5}, {}}, {"f32", {2, 2}, {}}},
     {{"f32", {1.5, -1.5}, {}}}},
    {"arith.maximumf %0, %1 : {f32}",
     {{"f32", {1, -0.0, kNan, 2}, {}}, {"f32", {2, 0, 1, kNan}, {}}},
     {{"f32", {2, 0, kNan, kNan}, {}}}},
    {"arith.minimumf %0, %1 : {f32}",
     {{"f32", {1, 0, kNan, 2}, {}}, {"f32", {2, -0.0, 1, kNan}, {}}},
     {{"f32", {1, -0.0, kNan, kNan}, {}}}},
    {"arith.maxnumf %0, %1 : {f32}",
     {{"f32", {1, kNan, 2}, {}}, {"f32", {2, 1, kNan}, {}}},
     {{"f32", {2, 1, 2}, {}}}},
    {"arith.minnumf %0, %1 : {f32}",
     {{"f32", {1, kNan, 2}, {}}, {"f32", {2, 1, kNan}, {}}},
     {{"f32", {1, 1, 2}, {}}}},
    {"arith.negf %0 : {f32}",
     {{"f32", {1.5, 0, -kInfinity}, {}}},
     {{"f32", {-1.5, -0.0, kInfinity}, {}}}},
    {"arith.cmpf oeq, %0, %1 : {f32}",
     {{"f32", {1, 2, 2, kNan}, {}}, {"f32", {2, 1, 2, 1}, {}}},
     {{"i1", {}, {0, 0, 1, 0}}}},
    {"arith.cmpf ogt, %0, %1 : {f32}",
     {{"f32", {1, 2, 2, kNan}, {}}, {"f32", {2, 1, 2, 1}, {}}},
     {{"i1", {}, {0, 1, 0, 0}}}},
    {"arith.cmpf oge, %0, %1 : {f32}",
     {{"f32", {1, 2, 2, kNan}, {}}, {"f32", {2, 1, 2, 1}, {}}},
     {{"i1", {}, {0, 1, 1, 0}}}},
    {"arith.cmpf olt, %0, %1 : {f32}",
     {{"f32", {1, 2, 2, kNan}, {}}, {"f32", {2, 1, 2, 1}, {}}},
     {{"i1", {}, {1, 0, 0, 0}}}},
    {"arith.cmpf ole, %0, %1 : {f32}",
     {{"f32", {1, 2, 2, kNan}, {}}, {"f32", {2, 1, 2, 1}, {}}},
     {{"i1", {}, {1, 0, 1, 0}}}},
    {"arith.cmpf one, %0, %1 : {f32}",
     {{"f32", {1, 2, 2, kNan}, {}}, {"f32", {2, 1, 2, 1}, {}}},
     {{"i1", {}, {1, 1, 0, 0}}}},
    {"arith.cmpf ord, %0, %1 : {f32}",
     {{"f32", {1, 2, 2, kNan}, {}}, {"f32", {2, 1, 2, 1}, {}}},
     {{"i1", {}, {1, 1, 1, 0}}}},
    {"arith.cmpf ueq, %0, %1 : {f32}",
     {{"f32", {1, 2, 2, kNan}, {}}, {"f32", {2, 1, 2, 1}, {}}},
     {{"i1", {}, {0, 0, 1, 1}}}},
    {"arith.cmpf ugt, %0, %1 : {f32}",
     {{"f32", {1, 2, 2, kNan}, {}}, {"f32", {2, 1, 2, 1}, {}}},
     {{"i1", {}, {0, 1, 0, 1}}}},
    {"arith.cmpf uge, %0, %1 : {f32}",
     {{"f32", {1, 2, 2, kNan}, {}}, {"f32", {2, 1, 2, 1}, {}}},
     {{"i1", {}, {0, 1, 1, 1}}}},
    {"arith.cmpf ult, %0, %1 : {f32}",
     {{"f32", {1, 2, 2, kNan}, {}}, {"f32", {2, 1, 2, 1}, {}}},
     {{"i1", {}, {1, 0, 0, 1}}}},
    {"arith.cmpf ule, %0, %1 : {f32}",
     {{"f32", {1, 2, 2, kNan}, {}}, {"f32", {2, 1, 2, 1}, {}}},
     {{"i1", {}, {1, 0, 1, 1}}}},
    {"arith.cmpf une, %0, %1 : {f32}",
     {{"f32", {1, 2, 2, kNan}, {}}, {"f32", {2, 1, 2, 1}, {}}},
     {{"i1", {}, {1, 1, 0, 1}}}},
    {"arith.cmpf uno, %0, %1 : {f32}",
     {{"f32", {1, 2, 2, kNan}, {}}, {"f32", {2, 1, 2, 1}, {}}},
     {{"i1", {}, {0, 0, 0, 1}}}},
    {"arith.cmpf false, %0, %1 : {f32}",
     {{"f32", {1, 2, 2, kNan}, {}}, {"f32", {2, 1, 2, 1}, {}}},
     {{"i1", {}, {0, 0, 0, 0}}}},
    {"arith.cmpf true, %0, %1 : {f32}",
     {{"f32", {1, 2, 2, kNan}, {}}, {"f32", {2, 1, 2, 1}, {}}},
     {{"i1", {}, {1, 1, 1, 1}}}},
    {"arith.select %0, %1, %2 : {i1}, {f32}",
     {{"i1", {}, {1, 0}}, {"f32", {1, 2}, {}}, {"f32", {3, kNan}, {}}},
     {{"f32", {1, kNan}, {}}}},
    {"arith.select %0, %1, %2 : {i1}, {i64}",
     {{"i1", {}, {1, 0}}, {"i64", {}, {4611686018427387905, 2}}, {"i64", {}, {3, -4}}},
     {{"i64", {}, {4611686018427387905, -4}}}},
    {"math.absf %0 : {f64}", {{"f64", {-1.5, -0.0}, {}}}, {{"f64", {1.5, 0}, {}}}},
    {"math.acos %0 : {f64}",
     {{"f64", {0.5, -1}, {}}},
     {{"f64", {1.0471975511965979, 3.141592653589793}, {}}}},
    {"math.acosh %0 : {f64}", {{"f64", {1, 2}, {}}}, {{"f64", {0, 1.3169578969248166}, {}}}},
    {"math.asin %0 : {f64}",
     {{"f64", {0.5, -1}, {}}},
     {{"f64", {0.5235987755982989, -1.5707963267948966}, {}}}},
    {"math.asinh %0 : {f64}",
     {{"f64", {0.5, -1}, {}}},
     {{"f64", {0.48121182505960347, -0.881373587019543}, {}}}},
    {"math.atan %0 : {f64}",
     {{"f64", {1, -kInfinity}, {}}},
     {{"f64", {0.7853981633974483, -1.5707963267948966}, {}}}},
    {"math.atanh %0 : {f64}",
     {{"f64", {0.5, 1}, {}}},
     {{"f64", {0.5493061443340548, kInfinity}, {}}}},
    {"math.cbrt %0 : {f64}", {{"f64", {-27, 8}, {}}}, {{"f64", {-3, 2}, {}}}},
    {"math.ceil %0 : {f64}", {{"f64", {1.2, -1.2}, {}}}, {{"f64", {2, -1}, {}}}},
    {"math.cos %0 : {f64}", {{"f64", {0, 1}, {}}}, {{"f64", {1, 0.5403023058681398}, {}}}},
    {"math.cosh %0 : {f64}", {{"f64", {0, 1}, {}}}, {{"f64", {1, 1.5430806348152437}, {}}}},
    {"math.erf %0 : {f64}", {{"f64", {0, 0.5}, {}}}, {{"f64", {0, 0.5204998778130465}, {}}}},
    {"math.erfc %0 : {f64}", {{"f64", {0, 0.5}, {}}}, {{"f64", {1, 0.4795001221869535}, {}}}},
    {"math.exp %0 : {f64}",
     {{"f64", {0, 1, -kInfinity}, {}}},
     {{"f64", {1, 2.718281828459045, 0}, {}}}},
    {"math.exp2 %0 : {f64}", {{"f64", {3, -1}, {}}}, {{"f64", {8, 0.5}, {}}}},
    {"math.expm1 %0 : {f64}",
     {{"f64", {1e-10, 1}, {}}},
     {{"f64", {1.00000000005e-10, 1.718281828459045}, {}}}},
    {"math.floor %0 : {f64}", {{"f64", {1.2, -1.2}, {}}}, {{"f64", {1, -2}, {}}}},
    {"math.log %0 : {f64}", {{"f64", {1, 0, -1}, {}}}, {{"f64", {0, -kInfinity, kNan}, {}}}},
    {"math.log10 %0 : {f64}", {{"f64", {1000, 1}, {}}}, {{"f64", {3, 0}, {}}}},
    {"math.log1p %0 : {f64}",
     {{"f64", {1e-10, -1}, {}}},
     {{"f64", {9.999999999500001e-11, -kInfinity}, {}}}},
    {"math.log2 %0 : {f64}", {{"f64", {8, 0.5}, {}}}, {{"f64", {3, -1}, {}}}},
    {"math.round %0 : {f64}",
     {{"f64", {2.5, -2.5, 0.4, -0.4}, {}}},
     {{"f64", {3, -3, 0, -0.0}, {}}}},
    {"math.roundeven %0 : {f64}",
     {{"f64", {2.5, -2.5, 3.5, 0.5, -0.5, 2.6}, {}}},
     {{"f64", {2, -2, 4, 0, -0.0, 3}, {}}}},
    {"math.rsqrt %0 : {f64}", {{"f64", {4, 0}, {}}}, {{"f64", {0.5, kInfinity}, {}}}},
    {"math.sin %0 : {f64}", {{"f64", {0, 1}, {}}}, {{"f64", {0, 0.8414709848078965}, {}}}},
    {"math.sinh %0 : {f64}", {{"f64", {0, 1}, {}}}, {{"f64", {0, 1.1752011936438014}, {}}}},
    {"math.sqrt %0 : {f64}", {{"f64", {4, -1}, {}}}, {{"f64", {2, kNan}, {}}}},
    {"math.tan %0 : {f64}", {{"f64", {0, 1}, {}}}, {{"f64", {0, 1.5574077246549023}, {}}}},
    {"math.tanh %0 : {f64}", {{"f64", {0, 1}, {}}}, {{"f64", {0, 0.7615941559557649}, {}}}},
    {"math.trunc %0 : {f64}", {{"f64", {1.7, -1.7}, {}}}, {{"f64", {1, -1}, {}}}},
    {"math.atan2 %0, %1 : {f64}",
     {{"f64", {1, -0.0}, {}}, {"f64", {-1, -1}, {}}},
     {{"f64", {2.356194490192345, -3.141592653589793}, {}}}},
    {"math.copysign %0, %1 : {f64}",
     {{"f64", {1, -2}, {}}, {"f64", {-0.0, 3}, {}}},
     {{"f64", {-1, 2}, {}}}},
    {"math.powf %0, %1 : {f64}",
     {{"f64", {2, -2, 0}, {}}, {"f64", {0.5, 3, 0}, {}}},
     {{"f64", {1.4142135623730951, -8, 1}, {}}}},
    {"math.fpowi %0, %1 : {f64}, {i8}",
     {{"f64", {2, -2}, {}}, {"i8", {}, {-1, 3}}},
     {{"f64", {0.5, -8}, {}}}},
    {"math.fma %0, %1, %2 : {f64}",
     {{"f64", {2, 1.0000000000000002}, {}},
      {"f64", {3, 0.9999999999999998}, {}},
      {"f64", {4, -1}, {}}},
     {{"f64", {10, -4.930380657631324e-32}, {}}}},
    {"math.clampf %0 to [%1, %2] : {f64}",
     {{"f64", {5, -5, 0.5}, {}}, {"f64", {-1, -1, -1}, {}}, {"f64", {1, 1, 1}, {}}},
     {{"f64", {1, -1, 0.5}, {}}}},
    {"math.sincos %0 : {f64}",
     {{"f64", {0, 1}, {}}},
     {{"f64", {0, 0.8414709848078965}, {}}, {"f64", {1, 0.5403023058681398}, {}}}},
    {"math.isfinite %0 : {f32}",
     {{"f32", {1, kInfinity, kNan, 0}, {}}},
     {{"i1", {}, {1, 0, 0, 1}}}},
    {"math.isinf %0 : {f32}", {{"f32", {1, -kInfinity, kNan, 0}, {}}}, {{"i1", {}, {0, 1, 0, 0}}}},
    {"math.isnan %0 : {f32}", {{"f32", {1, kInfinity, kNan, 0}, {}}}, {{"i1", {}, {0, 0, 1, 0}}}},
    {"math.isnormal %0 : {f32}",
     {{"f32", {1, kInfinity, kNan, 0, 1.1754943508222875e-38, 5.877471754111438e-39}, {}}},
     {{"i1", {}, {1, 0, 0, 0, 1, 0}}}},
    {"math.absi %0 : {i8}", {{"i8", {}, {-5, 5, -128}}}, {{"i8", {}, {5, 5, -128}}}},
    {"math.ctlz %0 : {i8}", {{"i8", {}, {0, 1, -1}}}, {{"i8", {}, {8, 7, 0}}}},
    {"math.cttz %0 : {i8}", {{"i8", {}, {0, 8, -1}}}, {{"i8", {}, {8, 3, 0}}}},
    {"math.ctpop %0 : {i8}", {{"i8", {}, {0, 7, -1}}}, {{"i8", {}, {0, 3, 8}}}},
    {"math.ipowi %0, %1 : {i8}",
     {{"i8", {}, {3, 2, -1, 5}}, {"i8", {}, {4, 8, -3, -2}}},
     {{"i8", {}, {81, 0, -1, 0}}}},
};

/// The text with tensor types of `count` elements in place of element types; those of `count` 0 as
/// they are.
std::string with_types(std::string text, size_t count) {
  for (size_t at = text.find('{'); at != std::string::npos; at = text.find('{')) {
    const size_t end = text.find('}', at);
    const std::string type = text.substr(at + 1, end - at - 1);
    text.replace(at, end - at + 1,
                 count ? "tensor<" + std::to_string(count) + "x" + type + ">" : type);
  }
  return text;
}

/// "%r:2" and "%r#0, %r#1", or "%r".
std::string results_text(size_t count) { return count == 1 ? "%r" : "%r:" + std::to_string(count); }
std::string joined(const std::vector<std::string> &parts) {
  std::string text;
  for (const std::string &part : parts)
    text += (text.empty() ? "" : ", ") + part;
  return text;
}

/// main, which does the op to tensors of its columns, as a whole or in a body.
std::string case_text(const Case &tested, bool in_body) {
  const size_t n = tested.in[0].count(), results = tested.out.size();
  std::vector<std::string> arguments, types, names, maps, given, scalars, tensors;
  for (size_t i = 0; i < tested.in.size(); ++i) {
    tensors.push_back(with_types("{" + tested.in[i].type + "}", n));
    given.push_back((in_body ? "%a" : "%") + std::to_string(i));
    arguments.push_back(given.back() + ": " + tensors.back());
    scalars.push_back("%" + std::to_string(i) + ": " + tested.in[i].type);
  }
  std::vector<std::string> outs, yielded;
  std::string body;
  for (size_t i = 0; i < results; ++i) {
    types.push_back(with_types("{" + tested.out[i].type + "}", n));
    names.push_back(results == 1 ? "%r" : "%r#" + std::to_string(i));
    body += "%e" + std::to_string(i) + " = tensor.empty() : " + types.back() + "\n";
    outs.push_back("%e" + std::to_string(i));
    scalars.push_back("%o" + std::to_string(i) + ": " + tested.out[i].type);
    yielded.push_back(tested.out[i].type);
  }
  const std::string op = results_text(results) + " = ";
  if (in_body) {
    maps.assign(tested.in.size() + results, "affine_map<(d0) -> (d0)>");
    body += results_text(results).replace(1, 1, "y") + " = linalg.generic {indexing_maps = [" +
            joined(maps) + "], iterator_types = [\"parallel\"]} ins(" + joined(given) + " : " +
            joined(tensors) + ") outs(" + joined(outs) + " : " + joined(types) + ") {\n^bb0(" +
            joined(scalars) + "):\n" + op + with_types(tested.text, 0) + "\nlinalg.yield " +
            joined(names) + " : " + joined(yielded) + "\n} -> (" + joined(types) + ")\n";
    for (std::string &name : names)
      name.replace(1, 1, "y");
  } else {
    body = op + with_types(tested.text, n) + "\n";
  }
  return main_text("(" + joined(arguments) + ") -> (" + joined(types) + ")",
                   body + "return " + joined(names) + " : " + joined(types));
}

void expect_results(const Case &tested, const std::vector<Tensor> &results) {
  for (size_t r = 0; r < tested.out.size(); ++r) {
    EXPECT_EQ(results[r].ints, tested.out[r].ints);
    ASSERT_EQ(results[r].floats.size(), tested.out[r].floats.size());
    for (size_t i = 0; i < tested.out[r].floats.size(); ++i) {
      const double is = results[r].floats[i], expected = tested.out[r].floats[i];
      if (std::isnan(expected)) {
        EXPECT_TRUE(std::isnan(is)) << is;
        continue;
      }
      EXPECT_TRUE(is == expected || std::abs(is - expected) <= std::abs(expected) * 1e-15)
          << is << ", not " << expected;
      EXPECT_EQ(std::signbit(is), std::signbit(expected)) << is;
    }
  }
}

TEST(LanesTest, EveryOpGivesWhatItsDescriptionSays) {
  for (const Case &tested : kCases)
    for (const bool in_body : {false, true}) {
      CallModule module(case_text(tested, in_body));
      std::vector<Tensor> inputs;
      for (const Column &column : tested.in)
        inputs.push_back({module.type(column.type),
                          {static_cast<int64_t>(column.count())},
                          column.floats,
                          column.ints});
      for (const bool float64 : {false, true}) {
        SCOPED_TRACE(tested.text + (in_body ? " in a body" : " on tensors") +
                     (float64 ? " in float64" : ""));
        const auto results = module.call(inputs, float64);
        ASSERT_TRUE(results.ok()) << results.status();
        expect_results(tested, *results);
      }
    }
}

TEST(LanesTest, EveryOpHasACase) {
  // Below, since float64 rounds nothing, and in BodyTest.cpp and CallTest.cpp, since they are of
  // indices only, or fail.
  std::set<std::string> tested{"arith.truncf", "affine.apply", "quern.check_index",
                               "quern.check_divisor"};
  for (const Case &one : kCases)
    tested.insert(one.name());
  for (const auto &entry : lane_table()) {
    EXPECT_TRUE(tested.contains(entry.getKey().str())) << entry.getKey().str();
    EXPECT_TRUE(has_eval(entry.getKey().str()));
  }
}

/// An op of one operand and one result on one number.
double number(const std::string &text, const Column &in, const std::string &out,
              bool float64 = false) {
  CallModule module(case_text({text, {in}, {{out, {0}, {}}}}, true));
  return module.result({Tensor{module.type(in.type), {1}, in.floats, in.ints}}, float64).floats[0];
}

TEST(LanesTest, FloatsRoundToTheirTypeOnce) {
  const auto rounded = [](double x, const std::string &to, bool float64 = false) {
    return number("arith.truncf %0 : {f64} to {" + to + "}", {"f64", {x}, {}}, to, float64);
  };
  EXPECT_EQ(rounded(0.1, "f32"), static_cast<double>(0.1f));
  EXPECT_EQ(rounded(0.1, "f16"), 0.0999755859375);
  EXPECT_EQ(rounded(0.1, "bf16"), 0.10009765625);
  EXPECT_EQ(rounded(0.1, "f32", true), 0.1);
  EXPECT_EQ(rounded(2049, "f16"), 2048);
  EXPECT_EQ(rounded(2051, "f16"), 2052);
  // By way of float32 it would be a tie.
  EXPECT_EQ(rounded(2049 + 0x1p-30, "f16"), 2050);
  EXPECT_EQ(rounded(65519, "f16"), 65504);
  EXPECT_EQ(rounded(65520, "f16"), kInfinity);
  EXPECT_EQ(rounded(-1e300, "bf16"), -kInfinity);
  EXPECT_EQ(rounded(0x1.8p-25, "f16"), 0x1p-24); // subnormal
  EXPECT_EQ(rounded(0x1p-25, "f16"), 0);
  EXPECT_EQ(rounded(300, "f8E4M3FN"), 288);
  EXPECT_TRUE(std::isnan(rounded(1000, "f8E4M3FN")));
  EXPECT_EQ(rounded(1e6, "f8E5M2"), kInfinity);
  EXPECT_EQ(number("arith.addf %0, %0 : {f16}", {"f16", {40000}, {}}, "f16"), kInfinity);
  EXPECT_EQ(number("arith.addf %0, %0 : {f16}", {"f16", {40000}, {}}, "f16", true), 80000);
}

TEST(LanesTest, LongIntegersRoundToFloatsOnce) {
  const auto rounded = [](int64_t x, const std::string &op) {
    return number("arith." + op + " %0 : {i64} to {f32}", {"i64", {}, {x}}, "f32");
  };
  // A double of these is a tie of two floats.
  const int64_t half = (int64_t{1} << 60) + (int64_t{1} << 36);
  EXPECT_EQ(rounded(half, "sitofp"), 0x1p60);
  EXPECT_EQ(rounded(half + 1, "sitofp"), 0x1p60 + 0x1p37);
  EXPECT_EQ(rounded(-half - 1, "sitofp"), -0x1p60 - 0x1p37);
  EXPECT_EQ(rounded(half + 1, "uitofp"), 0x1p60 + 0x1p37);
  EXPECT_EQ(rounded(-1, "uitofp"), 0x1p64);
  const auto unsigned_half = static_cast<int64_t>((uint64_t{1} << 63) + (uint64_t{1} << 39));
  EXPECT_EQ(rounded(unsigned_half, "uitofp"), 0x1p63);
  EXPECT_EQ(rounded(unsigned_half + 1, "uitofp"), 0x1p63 + 0x1p40);
}

/// What a case fails with, in a body and on tensors.
void expect_error(const Case &tested, const std::string &expected) {
  for (const bool in_body : {false, true}) {
    CallModule module(case_text(tested, in_body));
    std::vector<Tensor> inputs;
    for (const Column &column : tested.in)
      inputs.push_back({module.type(column.type),
                        {static_cast<int64_t>(column.count())},
                        column.floats,
                        column.ints});
    EXPECT_THAT(module.error(inputs), HasSubstr(tested.name() + ": " + expected));
  }
}

TEST(LanesTest, WhatIsUndefinedIsAnError) {
  for (const char *op :
       {"divsi", "divui", "remsi", "remui", "floordivsi", "ceildivsi", "ceildivui"})
    expect_error({"arith." + std::string(op) + " %0, %1 : {i8}",
                  {{"i8", {}, {1, 2}}, {"i8", {}, {1, 0}}},
                  {{"i8", {}, {0, 0}}}},
                 "a division by zero");
  expect_error({"arith.divsi %0, %1 : {i8}",
                {{"i8", {}, {1, -128}}, {"i8", {}, {1, -1}}},
                {{"i8", {}, {0, 0}}}},
               "a quotient that the type does not hold");
  expect_error({"math.ipowi %0, %1 : {i8}", {{"i8", {}, {0}}, {"i8", {}, {-1}}}, {{"i8", {}, {0}}}},
               "zero to a negative power");
}

TEST(LanesTest, AShiftTooFarMayBeThrownAway) {
  CallModule module(main_text("(%a: tensor<i8>, %b: tensor<i8>) -> tensor<i8>",
                              R"(%y = arith.shli %a, %b : tensor<i8>
  return %y : tensor<i8>)"));
  EXPECT_THAT(module.result({module.ints("i8", {}, {1}), module.ints("i8", {}, {8})}).ints,
              ElementsAre(0x5a));
}

TEST(LanesTest, NumbersOfAFunctionAreComputedToo) {
  CallModule module(main_text(R"((%x: tensor<?xf32, #quern.dims<"a">>) -> tensor<2xindex>)",
                              R"(%n = quern.size "a"
  %two = arith.constant 2 : index
  %m = arith.muli %n, %two : index
  %zero = arith.constant 0 : index
  %d = tensor.dim %x, %zero : tensor<?xf32, #quern.dims<"a">>
  %c = arith.cmpi sgt, %m, %d : index
  %s = arith.select %c, %m, %d : index
  %y = tensor.splat %s : tensor<2xindex>
  return %y : tensor<2xindex>)"));
  EXPECT_THAT(module.result({module.floats("f32", {3}, {1, 2, 3})}).ints, ElementsAre(6, 6));
}

TEST(LanesTest, ANumberChoosesBetweenTensors) {
  CallModule module(
      main_text("(%c: tensor<i1>, %a: tensor<2xi8>, %b: tensor<2xi8>) -> tensor<2xi8>",
                R"(%0 = tensor.extract %c[] : tensor<i1>
  %y = arith.select %0, %a, %b : tensor<2xi8>
  return %y : tensor<2xi8>)"));
  const Tensor a = module.ints("i8", {2}, {1, 2}), b = module.ints("i8", {2}, {3, 4});
  EXPECT_THAT(module.result({module.ints("i1", {}, {1}), a, b}).ints, ElementsAre(1, 2));
  EXPECT_THAT(module.result({module.ints("i1", {}, {0}), a, b}).ints, ElementsAre(3, 4));
}

} // namespace
} // namespace quern::reference
