// --target and --variant: what is asked for, and what is not understood.
#include "compiler/driver/Targets.h"

#include "passes/target/Target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace quern::driver {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TargetFlags flags(const std::string &target, const std::string &variant) {
  TargetFlags flags;
  flags.target = target;
  flags.variant = variant;
  return flags;
}

// "cpu: amx; cuda: sm_80, sm_90a"
std::string chosen(const std::string &target, const std::string &variant) {
  const TargetFlags asked = flags(target, variant);
  EXPECT_TRUE(asked.check().ok()) << asked.check();
  const auto all = asked.chosen();
  if (!all.ok())
    return std::string(all.status().message());
  std::string text;
  for (const ChosenTarget &choice : *all) {
    text += (text.empty() ? "" : "; ") + std::string(choice.target->name()) + ":";
    for (const std::string &name : choice.variant_names())
      text += " " + name;
  }
  return text;
}

std::string refused(const std::string &target, const std::string &variant) {
  return std::string(flags(target, variant).check().message());
}

// Tests that a target of whose variants none is named gets them all, in its order, each once.
TEST(Targets, HaveAllTheirVariantsUnlessSomeAreNamed) {
  EXPECT_EQ(chosen("cpu", ""), "cpu: x86-64-v3 x86-64-v4 amx");
  EXPECT_EQ(chosen("cuda,cpu,cuda", ""), "cpu: x86-64-v3 x86-64-v4 amx; cuda: sm_80 sm_90a");
  EXPECT_EQ(chosen("cpu,cuda", "amx"), "cpu: amx; cuda: sm_80 sm_90a");
  EXPECT_EQ(chosen("cpu", "amx,x86-64-v3,amx"), "cpu: x86-64-v3 amx");
}

TEST(Targets, VariantsHaveOtherSpellings) {
  EXPECT_EQ(chosen("cuda", "h100"), "cuda: sm_90a");
  EXPECT_EQ(chosen("cuda", "sm_90"), "cuda: sm_90a");
  EXPECT_EQ(chosen("cuda", "a100,sm_80"), "cuda: sm_80");
  EXPECT_EQ(chosen("cpu,cuda", "a100,x86-64-v4"), "cpu: x86-64-v4; cuda: sm_80");
}

// Tests that `native` is what this machine runs, of each target that is asked for.
TEST(Targets, NativeIsWhatThisMachineRuns) {
  const auto cpu = codegen::find_target("cpu")->native();
  EXPECT_EQ(chosen("cpu", "native"),
            cpu.ok() ? "cpu: " + *cpu : std::string(cpu.status().message()));
  if (const auto gpu = codegen::find_target("cuda")->native(); !gpu.ok()) {
    EXPECT_EQ(chosen("cuda", "native"), gpu.status().message());
    EXPECT_THAT(flags("cuda", "native").refused(), testing::Not(IsEmpty()));
    const auto refused = flags("cpu,cuda", "native").refused();
    if (cpu.ok() && refused.size() == 1)
      EXPECT_THAT(std::string(refused[0].message()),
                  HasSubstr("; --variant " + *cpu + ",sm_80,sm_90a is native of the others"));
  }
}

TEST(Targets, NamesThatAreNone) {
  EXPECT_EQ(refused("gpu", ""), "--target gpu: no such target\nhint: did you mean cuda?");
  EXPECT_THAT(refused("cdua", ""), HasSubstr("did you mean cuda?"));
  EXPECT_THAT(refused("metal", ""), HasSubstr("hint: --target cpu or --target cuda"));
  EXPECT_THAT(refused("", ""), HasSubstr("none is named"));
  EXPECT_THAT(refused("cpu,", ""), HasSubstr("no such target"));
  EXPECT_THAT(refused("cpu,cuda", "sm_70"), HasSubstr("--variant sm_70: no such variant\nhint: "));
  EXPECT_THAT(refused("cpu", "quantum"), HasSubstr("there are x86-64-v3, x86-64-v4, amx, sm_80, "
                                                   "a100, sm_90a, h100, sm_90, native"));
}

// Tests that a variant whose target is not asked for is refused, with what to ask for.
TEST(Targets, VariantsOfOtherTargets) {
  EXPECT_EQ(refused("cpu", "h100"), "--variant h100: is one of the target cuda, which --target "
                                    "does not name\nhint: --target cpu,cuda");
  EXPECT_THAT(refused("cuda", "sm_80,amx"), HasSubstr("hint: --target cuda,cpu"));
}

// Tests that what generates code and what passes ask are of the same targets, in one order.
TEST(Targets, PassesKnowThemAll) {
  std::vector<std::string> generated, planned;
  for (const codegen::Target *target : codegen::targets()) {
    generated.emplace_back(target->name());
    EXPECT_FALSE(target->variants().empty());
    for (const codegen::VariantInfo &variant : target->variants())
      EXPECT_GT(variant.bytes_a_kernel, 0u) << variant.name;
  }
  for (const target::Target &target : target::all())
    planned.push_back(target.name.str());
  EXPECT_EQ(generated, planned);
  EXPECT_THAT(generated, ElementsAre("cpu", "cuda"));
}

} // namespace
} // namespace quern::driver
