// Accesses to memory: their values, and what is reported of them.
#include "tests/ptx/OpcodeRun.h"

#include <gmock/gmock.h>

namespace quern::ptx {
namespace {

using testing::AllOf;
using testing::HasSubstr;

/// Runs k(a), where a has `words` words of which `written` are written; %a0 is its address, %l the
/// lane.
std::string report_of(std::string_view body, size_t words = 64, size_t written = 64,
                      std::string_view before = "", u32 dynamic = 0) {
  Device device;
  const auto module = device.load(
      module_text(concat(before,
                         "\n.visible .entry k(.param .u64 a)\n{\n.reg .b64 %a<9>;\n.reg .b32 %l, "
                         "%r<9>;\n.reg .b16 %h<5>;\n.reg .f32 %f<9>;\n.reg .pred %p<5>;\n"
                         ".shared .align 16 .b8 tile[512];\n.local .align 8 .b8 mine[32];\n"
                         "mov.u32 %l, %tid.x;\nld.param.u64 %a0, [a];\nmul.wide.u32 %a1, %l, "
                         "4;\nadd.s64 %a2, %a0, %a1;\n",
                         body, "\nret;\n}\n"),
                  90));
  EXPECT_TRUE(module.ok()) << module.status();
  if (!module.ok())
    return "";
  const u64 a = device.allocate(4 * words);
  const std::vector<u32> values(written, 7);
  device.write(a, values.data(), 4 * written);
  Shape shape;
  shape.block[0] = 32;
  shape.dynamic_shared = dynamic;
  const auto report = device.launch(**module, "k", shape, Arguments().add(a));
  EXPECT_TRUE(report.ok()) << report.status();
  return report.ok() && *report ? (*report)->text() : "";
}

TEST(PtxMemory, CleanAccessesAreSilent) {
  EXPECT_EQ(report_of("ld.global.u32 %r0, [%a2]; st.global.u32 [%a2+128], %r0; st.shared.u32 "
                      "[tile], %r0; ld.shared.u32 %r1, [tile];"),
            "");
}

TEST(PtxMemory, OutOfBounds) {
  EXPECT_THAT(report_of("ld.global.u32 %r0, [%a2+132];"),
              AllOf(HasSubstr("out of bounds"), HasSubstr("read of 4 bytes"),
                    HasSubstr("0 bytes past the end"), HasSubstr("thread (31, 0, 0)"),
                    HasSubstr("ld.global.u32")));
  EXPECT_THAT(report_of("ld.global.u32 %r0, [%a2+-4];"),
              AllOf(HasSubstr("out of bounds"), HasSubstr("thread (0, 0, 0)")));
  EXPECT_THAT(report_of("st.global.u32 [%a2+4096], %l;"), HasSubstr("out of bounds"));
  EXPECT_THAT(report_of("mov.u64 %a3, 16; st.global.u32 [%a3], %l;"), HasSubstr("out of bounds"));
  EXPECT_THAT(report_of("ld.u32 %r0, [%a2+132];"), HasSubstr("out of bounds"));
  EXPECT_THAT(report_of("st.shared.u32 [tile+2048], %l;"),
              AllOf(HasSubstr("out of bounds"), HasSubstr("shared")));
  EXPECT_THAT(report_of("mov.u64 %a3, mine; add.s64 %a3, %a3, %a1; st.local.u32 [%a3], %l;"),
              AllOf(HasSubstr("out of bounds"), HasSubstr("local"), HasSubstr("thread (8, 0, 0)")));
  EXPECT_THAT(report_of("atom.global.add.u32 %r0, [%a2+132], 1;"), HasSubstr("out of bounds"));
  EXPECT_THAT(report_of("cp.async.ca.shared.global [tile], [%a2+132], 4;"),
              HasSubstr("out of bounds"));
}

TEST(PtxMemory, Misaligned) {
  EXPECT_THAT(report_of("ld.global.u32 %r0, [%a0+2];"), HasSubstr("misaligned"));
  EXPECT_THAT(report_of("ld.global.v4.u32 {%r0, %r1, %r2, %r3}, [%a2];"),
              AllOf(HasSubstr("misaligned"), HasSubstr("thread (1, 0, 0)")));
  EXPECT_THAT(report_of("st.shared.u16 [tile+1], %h0;"), HasSubstr("misaligned"));
  EXPECT_THAT(report_of("cp.async.cg.shared.global [tile+8], [%a0], 16;"), HasSubstr("misaligned"));
}

TEST(PtxMemory, NeverWritten) {
  EXPECT_THAT(report_of("ld.global.u32 %r0, [%a2];", 64, 20),
              AllOf(HasSubstr("uninitialized"), HasSubstr("thread (20, 0, 0)")));
  EXPECT_THAT(report_of("ld.shared.u32 %r0, [tile];"), HasSubstr("uninitialized"));
  EXPECT_THAT(report_of("st.shared.u16 [tile], %h0; ld.shared.u32 %r0, [tile];"),
              HasSubstr("uninitialized"));
  EXPECT_THAT(report_of("ld.local.u32 %r0, [mine+8];"), HasSubstr("uninitialized"));
  EXPECT_THAT(report_of("red.global.add.u32 [%a2], 1;", 64, 20), HasSubstr("uninitialized"));
  // A kernel's own stores count, whole pages of them too.
  EXPECT_EQ(report_of("mov.u32 %r0, 0; LOOP: st.global.u32 [%a2], %l; add.s64 %a2, %a2, 128; "
                      "add.s32 %r0, %r0, 1; setp.lt.u32 %p0, %r0, 96; @%p0 bra LOOP; ld.global.u32 "
                      "%r1, [%a2+-128]; ld.global.u32 %r1, [%a0+8188];",
                      3072, 0),
            "");
  // A copy is there once it is waited for.
  EXPECT_THAT(report_of("cp.async.ca.shared.global [tile], [%a0], 4; cp.async.commit_group; "
                        "ld.shared.u32 %r0, [tile];"),
              HasSubstr("uninitialized"));
  EXPECT_EQ(report_of("cp.async.ca.shared.global [tile], [%a0], 4; cp.async.commit_group; "
                      "cp.async.wait_group 0; ld.shared.u32 %r0, [tile];"),
            "");
  EXPECT_THAT(
      report_of("cp.async.ca.shared.global [tile], [%a0], 4; cp.async.commit_group; "
                "cp.async.ca.shared.global [tile+4], [%a0], 4; cp.async.commit_group;"
                "cp.async.wait_group 1; ld.shared.u32 %r0, [tile]; ld.shared.u32 %r0, [tile+4];"),
      AllOf(HasSubstr("uninitialized"), HasSubstr("0x4")));
}

TEST(PtxMemory, ReadOnly) {
  EXPECT_THAT(report_of("mov.u64 %a3, table; st.global.u32 [%a3], %l;", 64, 64,
                        ".const .align 4 .u32 table[2] = {1, 2};"),
              HasSubstr("read-only"));
  EXPECT_EQ(report_of("mov.u64 %a3, table; ld.const.u32 %r0, [%a3+4];", 64, 64,
                      ".const .align 4 .u32 table[2] = {1, 2};"),
            "");
}

TEST(PtxMemory, FreedMemoryStaysKnown) {
  Device device;
  const auto module =
      device.load(module_text(".visible .entry k(.param .u64 a)\n{ .reg .b64 %a; .reg .b32 %r; "
                              "ld.param.u64 %a, [a]; ld.global.u32 %r, [%a]; ret; }"));
  ASSERT_TRUE(module.ok()) << module.status();
  const u64 a = device.put(std::vector<u32>(4, 1));
  EXPECT_TRUE(device.free(a));
  EXPECT_FALSE(device.free(a));
  const auto report = device.launch(**module, "k", {}, Arguments().add(a));
  ASSERT_TRUE(report.ok() && *report);
  EXPECT_EQ((*report)->kind, "freed memory");
}

// Every width in and out of registers as wide and wider, in all spaces.
TEST(PtxMemory, WidthsAndSpaces) {
  Device device;
  const auto module = device.load(module_text(R"(
.extern .shared .align 16 .b8 dynamic[];
.const .align 2 .b8 table[4] = {250, 251, 252, 253};
.visible .entry k(.param .u64 in, .param .u64 out, .param .align 4 .b8 pair[8])
{
  .reg .b64 %a<9>; .reg .b32 %r<20>; .reg .b16 %h<9>; .reg .f64 %d;
  .local .align 8 .b8 mine[16];
  ld.param.u64 %a0, [in]; ld.param.u64 %a1, [out];
  ld.global.s8 %r0, [%a0+1]; ld.global.u8 %r1, [%a0+1]; ld.global.s16 %r2, [%a0+2]; ld.global.u16 %h0, [%a0+2]; cvt.u32.u16 %r3, %h0;
  st.global.v4.u32 [%a1], {%r0, %r1, %r2, %r3};
  st.shared.u64 [dynamic+8], %a0; ld.shared.v2.u32 {%r4, %r5}, [dynamic+8]; mov.b64 %a2, {%r4, %r5}; sub.s64 %a2, %a2, %a0; st.global.u64 [%a1+16], %a2;
  cvta.shared.u64 %a3, %a2; mov.u64 %a3, dynamic; cvta.shared.u64 %a3, %a3; ld.u64 %a4, [%a3+8]; sub.s64 %a4, %a4, %a0; st.global.u64 [%a1+24], %a4;
  mov.u64 %a5, mine; cvta.local.u64 %a6, %a5; st.u32 [%a6+4], 1234; ld.local.u32 %r6, [mine+4]; st.global.u32 [%a1+32], %r6;
  ld.const.u8 %r7, [table+3]; st.global.u32 [%a1+36], %r7;
  ld.param.u32 %r8, [pair+4]; st.global.u32 [%a1+40], %r8;
  mov.b64 %a7, pair; ld.param.u32 %r9, [%a7]; st.global.u32 [%a1+44], %r9;
  ld.global.v2.u16 {%h1, %h2}, [%a0]; mov.b32 %r10, {%h2, %h1}; st.global.u32 [%a1+48], %r10;
  st.global.u8 [%a1+52], %r10; st.global.u8 [%a1+53], 3; st.global.u16 [%a1+54], %r0;
  ret;
})"));
  ASSERT_TRUE(module.ok()) << module.status();
  const u64 in = device.put(std::vector<u32>{0x8765a321}), out = device.allocate(56);
  struct Pair {
    u32 first = 5, second = 6;
  };
  Shape shape;
  shape.dynamic_shared = 64;
  const auto report = device.launch(**module, "k", shape, Arguments().add(in).add(out).add(Pair{}));
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_FALSE(report->has_value()) << (*report)->text();
  EXPECT_THAT(device.get<u32>(out, 14),
              testing::ElementsAre(0xffffffa3, 0xa3, 0xffff8765, 0x8765, 0, 0, 0, 0, 1234, 253, 6,
                                   5, 0xa3218765, 0xffa30365));
}

TEST(PtxMemory, MatricesInSharedMemory) {
  // 16 x 16 halves, each its number; x4 and its transpose.
  for (const bool transpose : {false, true}) {
    Device device;
    const auto module = device.load(
        module_text(concat(R"(
.visible .entry k(.param .u64 out)
{
  .reg .b64 %a<9>; .reg .b32 %r<20>; .reg .b16 %h<9>; .shared .align 16 .b8 tile[512];
  mov.u32 %r0, %tid.x; ld.param.u64 %a0, [out];
  mul.wide.u32 %a1, %r0, 16; mov.u64 %a2, tile; add.s64 %a3, %a2, %a1;
  mul.lo.s32 %r1, %r0, 8; mad.lo.s32 %r1, %r1, 65537, 65536; add.s32 %r2, %r1, 131074; add.s32 %r3, %r2, 131074; add.s32 %r4, %r3, 131074;
  st.shared.v4.u32 [%a3], {%r1, %r2, %r3, %r4}; bar.warp.sync -1;
  ldmatrix.sync.aligned.m8n8.x4)",
                           transpose ? ".trans" : "", R"(.shared.b16 {%r5, %r6, %r7, %r8}, [%a3];
  add.s64 %a4, %a0, %a1; st.global.v4.u32 [%a4], {%r5, %r6, %r7, %r8}; ret;
})")));
    ASSERT_TRUE(module.ok()) << module.status();
    const u64 out = device.allocate(512);
    Shape shape;
    shape.block[0] = 32;
    const auto report = device.launch(**module, "k", shape, Arguments().add(out));
    ASSERT_TRUE(report.ok()) << report.status();
    ASSERT_FALSE(report->has_value()) << (*report)->text();
    const auto made = device.get<u32>(out, 128);
    for (u32 l = 0; l < 32; ++l)
      for (u32 m = 0; m < 4; ++m) {
        // Row r of matrix m holds 8 numbers from (8 m + r) * 8.
        const auto at = [&](u32 row, u32 col) { return (8 * m + row) * 8 + col; };
        const u32 low = transpose ? at(2 * (l % 4), l / 4) : at(l / 4, 2 * (l % 4)),
                  high = transpose ? at(2 * (l % 4) + 1, l / 4) : at(l / 4, 2 * (l % 4) + 1);
        EXPECT_EQ(made[4 * l + m], high << 16 | low) << l << " " << m;
      }
  }
}

TEST(PtxMemory, BarriersInMemory) {
  Device device(*device_traits("h100"));
  const auto module = device.load(module_text(R"(
.visible .entry k(.param .u64 out)
{
  .reg .b64 %a<9>; .reg .b32 %r<20>; .reg .pred %p<4>; .shared .align 8 .b64 gate; .shared .align 4 .u32 word;
  mov.u32 %r0, %tid.x; ld.param.u64 %a0, [out]; setp.ne.u32 %p0, %r0, 0; @%p0 bra READY;
  mbarrier.init.shared::cta.b64 [gate], 32;
READY: bar.sync 0; setp.ge.u32 %p1, %r0, 32; @%p1 bra WAIT;
  setp.ne.u32 %p2, %r0, 5; @%p2 bra ARRIVE; st.shared.u32 [word], 42;
ARRIVE: mbarrier.arrive.shared::cta.b64 %a1, [gate]; bra END;
WAIT: mbarrier.try_wait.parity.shared::cta.b64 %p3, [gate], 0; @!%p3 bra WAIT; ld.shared.u32 %r1, [word];
  mul.wide.u32 %a2, %r0, 4; add.s64 %a2, %a2, %a0; st.global.u32 [%a2], %r1;
END: ret;
})",
                                              90));
  ASSERT_TRUE(module.ok()) << module.status();
  const u64 out = device.put(std::vector<u32>(64, 0));
  Shape shape;
  shape.block[0] = 64;
  const auto report = device.launch(**module, "k", shape, Arguments().add(out));
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_FALSE(report->has_value()) << (*report)->text();
  EXPECT_EQ(device.get<u32>(out, 64)[63], 42u);
}

} // namespace
} // namespace quern::ptx
