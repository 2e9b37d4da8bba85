// Tests that PTX is stamped with the lowest version that its instructions have, and no lower.
#include "codegen/cuda/PtxVersion.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace quern::cuda {
namespace {

namespace fs = std::filesystem;

std::string ptx(const std::string &target, const std::string &body,
                const std::string &version = "9.0") {
  return "//\n// Generated\n//\n\n.version " + version + "\n.target " + target +
         "\n.address_size 64\n\n.visible .entry f(\n\t.param .u64 f_param_0\n)\n.maxntid 256, 1, "
         "1\n"
         "{\n\t.reg .pred \t%p<2>;\n\t.reg .b32 \t%r<9>;\n\t.reg .f32 \t%f<9>;\n\t.reg .b64 "
         "\t%rd<9>;\n\n\tld.param.u64 \t%rd1, [f_param_0];\n\tcvta.to.global.u64 \t%rd2, %rd1;\n" +
         body + "\tret;\n\n}\n";
}

struct Case {
  const char *target, *body;
  PtxVersion version;
};

constexpr Case kCases[] = {
    {"sm_80", "\tld.global.L1::no_allocate.L2::128B.v4.u32 {%r1, %r2, %r3, %r4}, [%rd2];\n", 74},
    {"sm_80",
     "@%p1 bra \t$L__BB0_2;\n$L__BB0_2:\n\t// begin inline asm\n\t{ .reg .u64 t; mov.u64 "
     "t, %rd2; }\n",
     74},
    {"sm_80",
     "\tmma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%r1,%r2,%r3,%r4}, {%r1,%r2,%r3,%r4}, "
     "{%r5,%r6}, {%r1,%r2,%r3,%r4};\n",
     74},
    {"sm_90", "\tmov.u32 \t%r1, %tid.x;\n", 78},
    {"sm_90", "\tgriddepcontrol.wait;\n", 78},
    {"sm_90a", "\tsetmaxnreg.dec.sync.aligned.u32 40;\n", 80},
    {"sm_90a", "\twgmma.fence.sync.aligned;\n", 80},
    {"sm_90a", "\telect.sync \t%r1|%p1, -1;\n", 80},
};

TEST(PtxVersion, IsTheLowestThatKnowsTargetAndInstructions) {
  for (const Case &c : kCases) {
    const std::string text = ptx(c.target, c.body);
    EXPECT_EQ(unknown_instruction(text), "") << c.body;
    EXPECT_EQ(lowest_version(text), c.version) << c.body;
    EXPECT_EQ(with_lowest_version(text),
              ptx(c.target, c.body,
                  std::to_string(c.version / 10) + "." + std::to_string(c.version % 10)))
        << c.body;
  }
}

// NVRTC writes them before loads of vectors of which it needs a part.
TEST(PtxVersion, HintsOfLaterVersionsAreLeftOut) {
  const std::string load = "\tld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%rd2];\n";
  EXPECT_EQ(with_lowest_version(ptx("sm_80", "\t.pragma \"used_bytes_mask 4095\";\n" + load + load +
                                                 "\t.pragma \"used_bytes_mask 15\";\n" + load)),
            ptx("sm_80", load + load + load, "7.4"));
}

TEST(PtxVersion, IsOfAnotherTargetWhereAsked) {
  EXPECT_EQ(with_target(ptx("sm_80", ""), "sm_90a"), ptx("sm_90a", ""));
}

TEST(PtxVersion, IsKeptWhereAnythingIsNotKnown) {
  for (const std::string body : {"\tfrobnicate.b32 \t%r1, %r2;\n", "\tadd.b99 \t%r1, %r2, %r3;\n",
                                 "@%p1 ld.global.L3::x.b32 %r1, [%rd2];\n", "\t.frob .b32 x;\n",
                                 "\tmov.u32 \t%r1, %cluster_ctarank;\n"}) {
    EXPECT_EQ(lowest_version(ptx("sm_80", body)), 90) << body;
    EXPECT_EQ(with_lowest_version(ptx("sm_80", body)), ptx("sm_80", body)) << body;
  }
  EXPECT_EQ(unknown_instruction(ptx("sm_80", "\tadd.b99 \t%r1, %r2, %r3;\n")), "add.b99");
  EXPECT_EQ(lowest_version(ptx("sm_200", "")), 90);
  EXPECT_EQ(lowest_version("no PTX"), 0);
  EXPECT_EQ(with_lowest_version("no PTX"), "no PTX");
}

TEST(PtxVersion, IsNeverRaised) { EXPECT_EQ(lowest_version(ptx("sm_80", "", "7.0")), 70); }

TEST(PtxVersion, TheAssemblerTakesItAndNoneLower) {
  const char *assembler = "/usr/local/cuda/bin/ptxas";
  if (!fs::exists(assembler))
    GTEST_SKIP() << "there is no ptxas";
  std::string folder = (fs::temp_directory_path() / "quern-ptxas-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const auto takes = [&](const Case &c, PtxVersion version) {
    std::ofstream(folder + "/f.ptx")
        << ptx(c.target, c.body, std::to_string(version / 10) + "." + std::to_string(version % 10));
    const std::string command = std::string(assembler) + " -arch=" + c.target + " " + folder +
                                "/f.ptx -o " + folder + "/f.cubin >" + folder + "/log 2>&1";
    return std::system(command.c_str()) == 0;
  };
  for (const Case &c : kCases) {
    EXPECT_TRUE(takes(c, c.version)) << c.body;
    if (c.version > 74 || std::string(c.body).find("L1::") != std::string::npos) {
      EXPECT_FALSE(takes(c, c.version == 80 ? 78 : c.version == 78 ? 77 : 73)) << c.body;
    }
  }
  fs::remove_all(folder);
}

} // namespace
} // namespace quern::cuda
