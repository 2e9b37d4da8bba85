// Branches, loops, calls, barriers, and what lanes do together.
#include "tests/ptx/OpcodeRun.h"

#include <gmock/gmock.h>

namespace quern::ptx {
namespace {

using testing::HasSubstr;

struct Ran {
  std::vector<u32> out;
  std::string report; ///< empty: none
};

/// A kernel k(out) of `threads` threads in `blocks` blocks; %t is the thread's number, %o the
/// address of its word.
Ran run(std::string_view body, u32 threads = 32, u32 blocks = 1, bool cooperative = false,
        std::string_view before = "", std::string_view declarations = "") {
  const std::string text = module_text(
      concat(
          before,
          "\n.visible .entry k(.param .u64 out)\n{\n.reg .b64 %o, %base, %w<9>;\n.reg .b32 %t, %l, "
          "%b, %r<20>;\n.reg .b16 %h<9>;\n.reg .pred %p<9>;\n",
          declarations, "\nmov.u32 %l, %tid.x;\nmov.u32 %b, %ctaid.x;\nmad.lo.s32 %t, %b, ",
          threads,
          ", %l;\nld.param.u64 %base, [out];\nmul.wide.u32 %w0, %t, 4;\nadd.s64 %o, %base, %w0;\n",
          body, "\nret;\n}\n"),
      90);
  Device device;
  device.set_limit(10'000'000);
  const auto module = device.load(text);
  EXPECT_TRUE(module.ok()) << module.status();
  if (!module.ok())
    return {};
  const u64 out = device.put(std::vector<u32>(threads * blocks + 64, 0));
  Shape shape;
  shape.block[0] = threads;
  shape.grid[0] = blocks;
  shape.cooperative = cooperative;
  const auto report = device.launch(**module, "k", shape, Arguments().add(out));
  EXPECT_TRUE(report.ok()) << report.status();
  Ran made;
  made.out = device.get<u32>(out, threads * blocks);
  if (report.ok() && *report)
    made.report = (*report)->text();
  return made;
}

TEST(PtxControl, LanesMeetAgainBehindABranch) {
  // Collatz: every lane goes round as often as it has to, with a branch inside; then all vote.
  const Ran ran = run(R"(
    add.s32 %r0, %l, 1; mov.u32 %r1, 0;
LOOP: setp.eq.s32 %p0, %r0, 1; @%p0 bra DONE;
    and.b32 %r2, %r0, 1; setp.eq.s32 %p1, %r2, 0; @%p1 bra EVEN;
    mad.lo.s32 %r0, %r0, 3, 1; bra NEXT;
EVEN: shr.u32 %r0, %r0, 1;
NEXT: add.s32 %r1, %r1, 1; bra.uni LOOP;
DONE: activemask.b32 %r3; setp.ne.s32 %p2, %r3, -1; @%p2 add.s32 %r1, %r1, 1000;
    st.global.u32 [%o], %r1;)");
  ASSERT_EQ(ran.report, "");
  for (u32 l = 0; l < 32; ++l) {
    u32 n = l + 1, steps = 0;
    for (; n != 1; ++steps)
      n = n % 2 == 0 ? n / 2 : 3 * n + 1;
    EXPECT_EQ(ran.out[l], steps) << l;
  }
}

TEST(PtxControl, LanesReturnAndExitOneByOne) {
  const Ran ran = run(R"(
    st.global.u32 [%o], 1; setp.lt.u32 %p0, %l, 7; @%p0 ret;
    st.global.u32 [%o], 2; setp.lt.u32 %p0, %l, 20; @%p0 exit;
    activemask.b32 %r0; st.global.u32 [%o], %r0;)");
  ASSERT_EQ(ran.report, "");
  for (u32 l = 0; l < 32; ++l)
    EXPECT_EQ(ran.out[l], l < 7 ? 1 : l < 20 ? 2 : 0xfff00000);
}

TEST(PtxControl, IndexedBranches) {
  const Ran ran = run(R"(
TABLE: .branchtargets A, B, C;
    and.b32 %r0, %l, 3; min.u32 %r0, %r0, 2; brx.idx %r0, TABLE;
A:  mov.u32 %r1, 10; bra END;
B:  mov.u32 %r1, 11; bra END;
C:  mov.u32 %r1, 12;
END: st.global.u32 [%o], %r1;)");
  ASSERT_EQ(ran.report, "");
  for (u32 l = 0; l < 32; ++l)
    EXPECT_EQ(ran.out[l], 10 + std::min(l & 3, 2u));
}

constexpr std::string_view kFactorial = R"(
.func (.param .b32 result) twice_if_odd(.param .b32 n, .param .align 4 .b8 pair[8])
{
  .reg .b32 %r<5>; .reg .pred %p;
  ld.param.b32 %r0, [n]; ld.param.b32 %r3, [pair+4];
  and.b32 %r1, %r0, 1; setp.eq.s32 %p, %r1, 0; @%p bra EVEN;
  add.s32 %r2, %r0, %r0; st.param.b32 [result+0], %r2; ret;
EVEN: add.s32 %r2, %r0, %r3; st.param.b32 [result+0], %r2; ret;
})";

TEST(PtxControl, CallsWithLanesThatReturnApart) {
  const Ran ran = run(R"(
    setp.gt.u32 %p0, %l, 24; mov.u32 %r5, 99; @%p0 bra SKIP;
    { .reg .b32 temp; .param .b32 param0; st.param.b32 [param0+0], %l;
      .param .align 4 .b8 param1[8]; st.param.b32 [param1+0], 7; st.param.b32 [param1+4], 100;
      .param .b32 retval0; call.uni (retval0), twice_if_odd, (param0, param1); ld.param.b32 %r5, [retval0+0]; }
SKIP: st.global.u32 [%o], %r5;)",
                      32, 1, false, kFactorial);
  ASSERT_EQ(ran.report, "");
  for (u32 l = 0; l < 32; ++l)
    EXPECT_EQ(ran.out[l], l > 24 ? 99 : l % 2 == 1 ? 2 * l : l + 100) << l;
}

TEST(PtxControl, BarriersJoinWarps) {
  // A reversal through shared memory, over 8 warps.
  const Ran ran = run(R"(
    mul.wide.u32 %w1, %l, 4; mov.u64 %w2, buffer; add.s64 %w2, %w2, %w1; st.shared.u32 [%w2], %t;
    bar.sync 0;
    sub.s32 %r0, 255, %l; mul.wide.u32 %w1, %r0, 4; mov.u64 %w2, buffer; add.s64 %w2, %w2, %w1; ld.shared.u32 %r1, [%w2];
    setp.lt.u32 %p0, %l, 100; barrier.sync.aligned 1; bar.red.popc.u32 %r2, 0, %p0; add.s32 %r1, %r1, %r2; st.global.u32 [%o], %r1;)",
                      256, 2, false, "", ".shared .align 4 .b8 buffer[1024];");
  ASSERT_EQ(ran.report, "");
  for (u32 t = 0; t < 512; ++t)
    EXPECT_EQ(ran.out[t], t / 256 * 256 + 255 - t % 256 + 100);
}

TEST(PtxControl, BarrierThatLanesDoNotTakeTogether) {
  const Ran ran =
      run("setp.lt.u32 %p0, %l, 16; @%p0 bra SKIP; bar.sync 0; SKIP: st.global.u32 [%o], 1;");
  EXPECT_THAT(ran.report, HasSubstr("barrier divergence"));
}

TEST(PtxControl, BarrierThatNobodyElseReaches) {
  const Ran ran =
      run("setp.lt.u32 %p0, %l, 32; @%p0 bra SKIP; LOOP: bra LOOP; SKIP: bar.sync 0;", 64);
  EXPECT_THAT(ran.report, HasSubstr("endless"));
  const Ran apart = run("setp.lt.u32 %p0, %l, 32; @%p0 bra A; bar.sync 1; bra END; A: bar.sync 2; "
                        "END: st.global.u32 [%o], 1;",
                        64);
  EXPECT_THAT(apart.report, HasSubstr("deadlock"));
}

TEST(PtxControl, GridBarrierOfACooperativeLaunch) {
  // Block b adds to a counter and waits for all; then each reads what the next block wrote.
  const std::string_view text = R"(
    setp.ne.u32 %p0, %l, 0;
    add.s32 %r0, %b, 5; st.global.u32 [%o], %r0; bar.sync 0;
    @%p0 bra WAITED;
    mov.u64 %w1, counter; atom.add.release.gpu.global.u32 %r1, [%w1], 1;
SPIN: ld.acquire.gpu.global.u32 %r2, [%w1]; setp.lt.u32 %p1, %r2, 4; @%p1 bra SPIN;
WAITED: bar.sync 0;
    add.s32 %r3, %b, 1; rem.u32 %r3, %r3, 4; mad.lo.s32 %r3, %r3, 64, %l; mul.wide.u32 %w2, %r3, 4; add.s64 %w2, %base, %w2;
    ld.global.u32 %r4, [%w2]; add.s32 %r4, %r4, 100;
    bar.sync 0; @%p0 bra AGAIN;
    atom.add.release.gpu.global.u32 %r1, [%w1], 1;
SPIN2: ld.acquire.gpu.global.u32 %r2, [%w1]; setp.lt.u32 %p1, %r2, 8; @%p1 bra SPIN2;
AGAIN: bar.sync 0;
    st.global.u32 [%o], %r4;)";
  const Ran ran = run(text, 64, 4, true, ".global .align 4 .u32 counter = 0;");
  ASSERT_EQ(ran.report, "");
  for (u32 t = 0; t < 256; ++t)
    EXPECT_EQ(ran.out[t], 105 + (t / 64 + 1) % 4);
  // Blocks one after another never get past it.
  EXPECT_THAT(run(text, 64, 4, false, ".global .align 4 .u32 counter = 0;").report,
              HasSubstr("endless"));
}

TEST(PtxWarp, Shuffles) {
  const Ran ran = run(R"(
    mul.lo.s32 %r0, %l, 3;
    shfl.sync.bfly.b32 %r1, %r0, 5, 31, -1;
    shfl.sync.up.b32 %r2|%p0, %r0, 2, 0, -1; @!%p0 mov.u32 %r2, 1000;
    shfl.sync.down.b32 %r3|%p1, %r0, 3, 0x181f, -1; @!%p1 mov.u32 %r3, 1000;
    shfl.sync.idx.b32 %r4, %r0, 9, 0x181f, -1;
    add.s32 %r5, %r1, %r2; mad.lo.s32 %r5, %r3, 10000, %r5; mad.lo.s32 %r5, %r4, 10000000, %r5;
    st.global.u32 [%o], %r5;)");
  ASSERT_EQ(ran.report, "");
  for (u32 l = 0; l < 32; ++l) {
    const u32 up = l >= 2 ? (l - 2) * 3 : 1000, down = l % 8 < 5 ? (l + 3) * 3 : 1000,
              index = (l / 8 * 8 + 1) * 3;
    EXPECT_EQ(ran.out[l], (l ^ 5) * 3 + up + down * 10000 + index * 10000000) << l;
  }
}

TEST(PtxWarp, VotesMatchesReductions) {
  const Ran ran = run(R"(
    setp.lt.u32 %p0, %l, 5; vote.sync.ballot.b32 %r0, %p0, -1;
    vote.sync.any.pred %p1, %p0, -1; vote.sync.all.pred %p2, %p0, -1; selp.b32 %r1, 1, 0, %p1; selp.b32 %r2, 2, 0, %p2;
    add.s32 %r0, %r0, %r1; add.s32 %r0, %r0, %r2;
    and.b32 %r3, %l, 3; match.any.sync.b32 %r4, %r3, -1; popc.b32 %r4, %r4; mad.lo.s32 %r0, %r4, 1000, %r0;
    redux.sync.add.s32 %r5, %l, -1; mad.lo.s32 %r0, %r5, 100000, %r0;
    st.global.u32 [%o], %r0;)");
  ASSERT_EQ(ran.report, "");
  for (u32 value : ran.out)
    EXPECT_EQ(value, 31u + 1 + 8 * 1000 + 496 * 100000);
}

TEST(PtxWarp, LanesWaitForOneAnotherInDifferentWays) {
  // Both ways of a branch meet in one set of members, at two instructions.
  const Ran ran = run(R"(
    mul.wide.u32 %w1, %l, 4; mov.u64 %w2, buffer; add.s64 %w3, %w2, %w1;
    setp.lt.u32 %p0, %l, 16; @%p0 bra A;
    st.shared.u32 [%w3], %l; bar.warp.sync -1; mov.u32 %r0, 50; bra END;
A:  bar.warp.sync -1; xor.b32 %r1, %l, 31; mul.wide.u32 %w1, %r1, 4; add.s64 %w3, %w2, %w1; ld.shared.u32 %r0, [%w3];
END: st.global.u32 [%o], %r0;)",
                      32, 1, false, "", ".shared .align 4 .b8 buffer[128];");
  ASSERT_EQ(ran.report, "");
  for (u32 l = 0; l < 32; ++l)
    EXPECT_EQ(ran.out[l], l < 16 ? 31 - l : 50);
}

TEST(PtxWarp, MembersThatNeverCome) {
  EXPECT_THAT(run("setp.lt.u32 %p0, %l, 16; @%p0 bra SKIP; shfl.sync.bfly.b32 %r0, %l, 1, 31, -1; "
                  "SKIP: bar.sync 0;")
                  .report,
              HasSubstr("deadlock"));
  EXPECT_THAT(run("setp.lt.u32 %p0, %l, 16; @%p0 bra SKIP; shfl.sync.bfly.b32 %r0, %l, 1, 31, -1; "
                  "bra END; SKIP: barrier.sync 3; END: st.global.u32 [%o], 1;")
                  .report,
              HasSubstr("deadlock"));
  EXPECT_THAT(run("shfl.sync.bfly.b32 %r0, %l, 1, 31, 0xffff;").report, HasSubstr("not a member"));
}

TEST(PtxAtomic, OperationsInTurn) {
  const Ran ran = run(R"(
    atom.global.add.u32 %r0, [%base], 2;
    atom.global.inc.u32 %r1, [%base+4], 9;
    red.global.max.s32 [%base+8], %l;
    atom.global.cas.b32 %r2, [%base+12], %l, 77;
    atom.global.exch.b32 %r3, [%base+16], %l;
    mov.f32 %f0, 0f3F000000; red.global.add.f32 [%base+20], %f0;
    red.global.or.b32 [%base+24], %l;
    red.global.dec.u32 [%base+28], 3;)",
                      32, 1, false, "", ".reg .f32 %f<2>;");
  ASSERT_EQ(ran.report, "");
  EXPECT_EQ(ran.out[0], 64u);
  EXPECT_EQ(ran.out[1], 2u); // 32 steps round 0 to 9
  EXPECT_EQ(ran.out[2], 31u);
  EXPECT_EQ(ran.out[3], 77u);
  EXPECT_EQ(ran.out[4], 31u);
  EXPECT_EQ(ran.out[5], std::bit_cast<u32>(16.0f));
  EXPECT_EQ(ran.out[6], 31u);
  EXPECT_EQ(ran.out[7], 0u); // 0, 3, 2, 1, 0 ...
}

} // namespace
} // namespace quern::ptx
