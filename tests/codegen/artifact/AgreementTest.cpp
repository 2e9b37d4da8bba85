// Tests that modules planned for several targets are held to sharing weights and state.
#include "codegen/artifact/Agreement.h"

#include "ir/quern/AttributeNames.h"
#include "passes/target/Target.h"
#include "tests/codegen/artifact/PlannedModule.h"

#include "mlir/IR/Builders.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace quern::artifact {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing_support::planned_module;

class AgreementTest : public testing::Test {
protected:
  // What is said of the module and the same with `from` replaced by `to`, for cuda.
  std::string difference(const std::string &from = {}, const std::string &to = {}) {
    auto ours = planned_module(context_), theirs = planned_module(context_, from, to);
    (*theirs)->setAttr(attrs::kTarget, mlir::Builder(&context_).getStringAttr("cuda"));
    const mlir::ModuleOp modules[] = {*ours, *theirs};
    return std::string(check_agreement(modules).message());
  }
  mlir::MLIRContext context_;
};

TEST_F(AgreementTest, OfTheSamePlan) {
  EXPECT_EQ(difference(), "");
  const auto module = planned_module(context_);
  EXPECT_TRUE(check_agreement({{*module}}).ok());
}

// Tests that schedules may differ: another arena, another order.
TEST_F(AgreementTest, SchedulesAreEachTargetsOwn) {
  EXPECT_EQ(difference("quern.arena = 256 : i64", "quern.arena = 512 : i64"), "");
  EXPECT_EQ(difference("\"model.norm\" at [128]", "\"model.norm\" at [192]"), "");
}

// Tests that the first difference is named, with the targets and both sides.
TEST_F(AgreementTest, NamesAWeightThatDiffers) {
  EXPECT_THAT(difference("offset = 6144 : i64", "offset = 6208 : i64"),
              AllOf(HasSubstr("the plans for cpu and cuda, which share weights and state, differ"),
                    HasSubstr("packed weight 'qk'"), HasSubstr("6144"), HasSubstr("6208")));
  EXPECT_THAT(difference("bytes = 1632 : i64", "bytes = 1636 : i64"),
              HasSubstr("packed weight 'qk'"));
  EXPECT_THAT(difference("weight_map \"add_one\"", "weight_map \"neg_exp\""),
              HasSubstr("packed weight 'scale'"));
  EXPECT_THAT(difference("packing \"q8.g32.z128.f16\"", "packing \"q4.g32.z8.f16\""),
              HasSubstr("packed weight 'qk'"));
}

TEST_F(AgreementTest, NamesAStateThatDiffers) {
  EXPECT_THAT(
      difference("@window : !quern.state<window, 8x3>", "@window : !quern.state<window, 8x4>"),
      HasSubstr("state 'window'"));
  EXPECT_THAT(difference("!quern.state<kv, 1x8x8>", "!quern.state<kv, 1x8x8, bf16>"),
              HasSubstr("state 'kv'"));
  EXPECT_THAT(difference("group = 0 : i32", "group = 1 : i32"), HasSubstr("state 'kv'"));
}

TEST_F(AgreementTest, NamesSizesThatDiffer) {
  EXPECT_THAT(difference("quern.slot_bytes = 128", "quern.slot_bytes = 192"),
              HasSubstr("quern.slot_bytes"));
  EXPECT_THAT(difference("array<i64: 4096>", "array<i64: 8192>"), HasSubstr("quern.page_bytes"));
  EXPECT_THAT(difference("quern.weights_bytes = 8192", "quern.weights_bytes = 12288"),
              HasSubstr("quern.weights_bytes"));
  EXPECT_THAT(difference("kv_windows = array<i64: 0>", "kv_windows = array<i64: 9>"),
              HasSubstr("quern.kv_windows"));
}

} // namespace
} // namespace quern::artifact
