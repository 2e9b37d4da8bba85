// Every detector on a kernel without a fault, and on the same kernel with one planted.
#include "tests/ptx/Detectors.h"
#include "tests/ptx/Interpreter.h"
#include "tests/ptx/PlantedKernels.h"
#include "tests/ptx/Schedules.h"
#include "tests/ptx/Words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace quern::ptx {
namespace {

using testing::HasSubstr;

class PlantedTest : public testing::Test {
protected:
  PlantedTest() : detectors(kDeviceBase, 2 * device.traits().memory) {
    device.set_observer(&detectors);
    in = device.put(std::vector<u32>(1024, 1));
    out = device.put(std::vector<u32>(1024, 0));
  }

  static Shape of(u32 blocks, u32 threads, bool cooperative = false) {
    Shape shape;
    shape.grid[0] = blocks;
    shape.block[0] = threads;
    shape.cooperative = cooperative;
    return shape;
  }

  std::optional<Report> run(const std::string &text, const Shape &shape, u64 seed = 0) {
    const auto module = device.load(text);
    EXPECT_TRUE(module.ok()) << module.status().message();
    if (!module.ok())
      return std::nullopt;
    const std::vector<u32> zeros(256, 0);
    if (clears)
      device.write(out, zeros.data(), 4 * zeros.size());
    std::unique_ptr<Scheduler> schedule;
    if (seed != 0)
      schedule = new_schedule(seed);
    device.set_scheduler(schedule.get());
    auto report = device.launch(**module, "k", shape, Arguments().add(in).add(out));
    device.set_scheduler(nullptr);
    EXPECT_TRUE(report.ok()) << report.status().message();
    return report.ok() ? *report : std::nullopt;
  }

  void expect_clean(const std::string &text, const Shape &shape) {
    for (u64 seed = 0; seed <= 8; ++seed) {
      const auto report = run(text, shape, seed);
      EXPECT_FALSE(report.has_value()) << "seed " << seed << ": " << report->text();
    }
  }
  /// A report of this kind with these words, at the line of `at`, whatever the order of warps and
  /// blocks.
  void expect_fault(const std::string &text, const Shape &shape, std::string_view kind,
                    std::string_view words, std::string_view at = "") {
    for (u64 seed = 0; seed <= 8; ++seed) {
      const auto report = run(text, shape, seed);
      ASSERT_TRUE(report.has_value()) << "seed " << seed;
      EXPECT_EQ(report->kind, kind) << report->text();
      EXPECT_THAT(report->what, HasSubstr(std::string(words))) << "seed " << seed;
      EXPECT_EQ(report->kernel, "k");
      EXPECT_GT(report->line, 0);
      // Which of the two sides of a race comes second depends on the order.
      if (!at.empty() && kind != "race") {
        EXPECT_EQ(report->line, line_of(text, at)) << report->text();
      }
      if (kind == "race") {
        EXPECT_TRUE(report->has_thread);
        if (words != "has not waited") {
          EXPECT_THAT(report->what, HasSubstr("PTX line"));
        }
      }
    }
  }
  /// A kernel without a fault, and with one made by replacing a part of it.
  void expect_only_without(const std::string &text, std::string_view part, std::string_view by,
                           const Shape &shape, std::string_view kind, std::string_view words,
                           std::string_view at = "") {
    expect_clean(text, shape);
    const std::string planted = replaced(text, {{part, by}});
    ASSERT_NE(planted, text);
    expect_fault(planted, shape, kind, words, at);
  }

  Device device;
  Detectors detectors;
  u64 in = 0, out = 0;
  bool clears = true; ///< `out`, before each launch
};

TEST_F(PlantedTest, MissingBarrier) {
  expect_only_without(exchange("bar.sync 0;", "32"), "bar.sync 0;", "bar.warp.sync -1;", of(1, 64),
                      "race", "__syncthreads");
}

TEST_F(PlantedTest, MissingWarpBarrier) {
  expect_only_without(exchange("bar.warp.sync -1;", "1"), "bar.warp.sync -1;", "", of(1, 64),
                      "race", "__syncwarp");
}

TEST_F(PlantedTest, ShufflesAndVotesOrderNoMemory) {
  expect_fault(
      exchange("shfl.sync.bfly.b32 %x3, %t, 1, 31, -1;\n  vote.sync.ballot.b32 %x4, 1, -1;", "1"),
      of(1, 32), "race", "__syncwarp");
}

TEST_F(PlantedTest, CopyWithoutAWait) {
  expect_only_without(copies("cp.async.wait_group 0;", "bar.sync 0;", "33"),
                      "cp.async.wait_group 0;", "cp.async.wait_group 1;", of(1, 64), "race",
                      "has not waited");
}

TEST_F(PlantedTest, WaitForACopyWithoutABarrier) {
  const std::string text = copies("cp.async.wait_group 0;", "bar.sync 0;", "1");
  expect_only_without(text, "bar.sync 0;", "", of(1, 64), "race",
                      "no barrier since the copy's thread waited");
  expect_fault(replaced(text, {{"cp.async.wait_group 0;", "bar.sync 0;"},
                               {"bar.sync 0;", "cp.async.wait_group 0;"}}),
               of(1, 64), "race", "no barrier since the copy's thread waited");
}

// Block 0 writes out[1] and raises the flag out[0]; block 1 waits for it, and copies out[1] to
// out[2].
std::string message(std::string_view release, std::string_view acquire,
                    std::string_view fences = "") {
  return kernel(concat(R"(
  setp.ne.u32 %p, %t, 0;
  @%p ret;
  setp.ne.u32 %q, %b, 0;
  @%q bra READER;
  mov.u32 %x1, 7;
  st.global.u32 [%out+4], %x1;
  )",
                       fences, "\n  ", release, R"( [%out], %x1;
  ret;
READER:
  )",
                       acquire, R"( %x2, [%out];
  setp.ne.u32 %p, %x2, 7;
  @%p bra READER;
  )",
                       fences, R"(
  ld.global.u32 %x3, [%out+4];
  st.global.u32 [%out+8], %x3;
  mov.u32 %x1, 0;
  st.relaxed.gpu.global.u32 [%out], %x1;
)"));
}

TEST_F(PlantedTest, MessagesAcrossBlocks) {
  const Shape two = of(2, 32, true);
  const std::string right = message("st.release.gpu.global.u32", "ld.acquire.gpu.global.u32");
  expect_only_without(right, "st.release.gpu", "st.relaxed.gpu", two, "race", "without a release");
  expect_only_without(right, "ld.acquire.gpu", "ld.relaxed.gpu", two, "race",
                      "without acquiring it");
  expect_clean(
      message("st.relaxed.gpu.global.u32", "ld.relaxed.gpu.global.u32", "fence.acq_rel.gpu;"), two);
  expect_clean(message("st.volatile.global.u32", "ld.volatile.global.u32", "membar.gl;"), two);
  expect_fault(message("st.volatile.global.u32", "ld.volatile.global.u32", "membar.cta;"), two,
               "race", "cta scope");
  // The flag itself, weakly accessed.
  expect_fault(message("st.global.u32", "ld.acquire.gpu.global.u32"), two, "race",
               "nothing orders blocks");
}

TEST_F(PlantedTest, ScopesThatDoNotReach) {
  const Shape two = of(2, 32, true);
  const std::string right = message("st.release.gpu.global.u32", "ld.acquire.gpu.global.u32");
  // A flag accessed at cta scope by one block races with another's access of it before anything
  // else does.
  expect_fault(replaced(right, {{"ld.acquire.gpu", "ld.acquire.cta"}}), two, "race", "at 0x");
  expect_fault(replaced(right, {{"st.release.gpu", "st.release.cta"}}), two, "race", "at 0x");
}

TEST_F(PlantedTest, BlocksWriteTheSameWord) {
  const std::string text = kernel(R"(
  setp.ne.u32 %p, %t, 0;
  @%p ret;
  mul.wide.u32 %a1, %b, 4;
  add.u64 %a2, %out, %a1;
  st.global.u32 [%a2], %b;
)");
  expect_only_without(text, "mul.wide.u32 %a1, %b, 4;", "mul.wide.u32 %a1, %t, 4;", of(4, 32),
                      "race", "nothing orders blocks");
}

TEST_F(PlantedTest, NonCoherentReadOfWhatIsWritten) {
  const std::string text = kernel(R"(
  mul.wide.u32 %a1, %t, 4;
  add.u64 %a2, %out, %a1;
  add.u64 %a3, %in, %a1;
  st.global.u32 [%a2], %t;
  ld.global.nc.u32 %x1, [%a3];
)");
  expect_only_without(text, "add.u64 %a3, %in, %a1;", "add.u64 %a3, %out, %a1;", of(1, 32),
                      "non-coherent read", "ld.global.nc", "ld.global.nc");
}

TEST_F(PlantedTest, BoundsAndAlignment) {
  const std::string text = kernel(R"(
  mul.wide.u32 %a1, %t, 16;
  add.u64 %a2, %in, %a1;
  ld.global.v4.u32 {%x1, %x2, %x3, %x4}, [%a2];
)");
  expect_only_without(text, "[%a2]", "[%a2+4]", of(1, 64), "misaligned", "16 bytes",
                      "ld.global.v4");
  const std::string word = kernel(R"(
  mul.wide.u32 %a1, %t, 4;
  add.u64 %a2, %in, %a1;
  ld.global.u32 %x1, [%a2+3072];
)");
  expect_only_without(word, "[%a2+3072]", "[%a2+3076]", of(1, 256), "out of bounds", "past the end",
                      "ld.global.u32");
  const auto report = run(replaced(word, {{"[%a2+3072]", "[%a2+3076]"}}), of(1, 256));
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->thread[0], 255u);
}

TEST_F(PlantedTest, UninitializedReads) {
  const std::string shared = kernel(R"(
  mov.u64 %a1, s;
  mul.wide.u32 %a2, %t, 4;
  add.u64 %a3, %a1, %a2;
  st.shared.u32 [%a3], %t;
  ld.shared.u32 %x1, [%a3];
)",
                                    kSharedWords);
  expect_only_without(shared, "ld.shared.u32 %x1, [%a3];", "ld.shared.u32 %x1, [%a3+512];",
                      of(1, 128), "uninitialized", "never written", "ld.shared");
  const u64 written = out;
  const std::string global = kernel("  ld.global.u32 %x1, [%out];\n");
  expect_clean(global, of(1, 32));
  out = device.allocate(64);
  clears = false;
  expect_fault(global, of(1, 32), "uninitialized", "", "ld.global");
  out = written;
  clears = true;
  const std::string local = kernel(R"(
  st.local.u32 [d], %t;
  ld.local.u32 %x1, [d];
)",
                                   "  .local .align 4 .b8 d[8];");
  expect_only_without(local, "ld.local.u32 %x1, [d];", "ld.local.u32 %x1, [d+4];", of(1, 32),
                      "uninitialized", "", "ld.local");
}

TEST_F(PlantedTest, BarrierInADivergentBranch) {
  const std::string text = kernel(R"(
  setp.gt.u32 %p, %t, 15;
  @%p bra OVER;
  mov.u32 %x1, 1;
OVER:
  bar.sync 0;
)");
  expect_only_without(text, "mov.u32 %x1, 1;", "bar.sync 0;", of(1, 32), "barrier divergence",
                      "elsewhere", "bar.sync");
}

TEST_F(PlantedTest, LostArrival) {
  const std::string text = kernel(R"(
  setp.gt.u32 %p, %t, 31;
  @%p bra OTHER;
  bar.sync 1, 64;
  ret;
OTHER:
  bar.arrive 1, 64;
)");
  expect_only_without(text, "bar.arrive 1, 64;", "", of(1, 64), "deadlock", "barrier 1");
}

// All blocks meet: out[0] counts them.
std::string grid_barrier(u32 wanted) {
  return kernel(concat(R"(
  setp.ne.u32 %p, %t, 0;
  @%p bra DONE;
  mov.u32 %x1, 1;
  red.release.gpu.global.add.u32 [%out], %x1;
WAIT:
  ld.acquire.gpu.global.u32 %x2, [%out];
  setp.lt.u32 %q, %x2, )",
                       wanted, R"(;
  @%q bra WAIT;
DONE:
  bar.sync 0;
)"));
}

TEST_F(PlantedTest, BarrierOfAGrid) {
  for (u64 seed = 0; seed <= 8; ++seed) {
    const auto report = run(grid_barrier(8), of(8, 64, true), seed);
    EXPECT_FALSE(report.has_value()) << report->text();
  }
  auto report = run(grid_barrier(9), of(8, 64, true)); // one arrival is lost
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->kind, "deadlock");
  report = run(grid_barrier(8), of(8, 64)); // blocks that are not resident
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->kind, "deadlock");
  EXPECT_THAT(report->what, HasSubstr("not cooperative"));
  // More blocks than can be resident are refused.
  const auto module = device.load(grid_barrier(1000));
  ASSERT_TRUE(module.ok());
  EXPECT_FALSE(
      device.launch(**module, "k", of(1000, 1024, true), Arguments().add(in).add(out)).ok());
}

// Who reads the same over and over is passed over while somebody works: what waiting blocks execute
// does not grow with what they wait for, however short the turns are.
TEST_F(PlantedTest, WaitingTakesFewInstructions) {
  const std::string work = "  setp.eq.u32 %p, %b, 0;\n  @!%p bra MEET;\n  mov.u32 %x3, 0;\n"
                           "WORK:\n  add.u32 %x3, %x3, 1;\n  setp.lt.u32 %q, %x3, 20000;\n"
                           "  @%q bra WORK;\nMEET:\n  setp.ne.u32 %p, %t, 0;";
  const std::string text = replaced(grid_barrier(8), {{"  setp.ne.u32 %p, %t, 0;", work}});
  for (u64 seed = 0; seed <= 4; ++seed) {
    const u64 before = device.executed();
    const auto report = run(text, of(8, 64, true), seed);
    EXPECT_FALSE(report.has_value()) << report->text();
    EXPECT_GT(device.executed() - before, 2 * 60000u) << "seed " << seed; // of two warps
    EXPECT_LT(device.executed() - before, 2 * 60000u + 2000) << "seed " << seed;
  }
}

// Lanes that went different ways run in turns of an instruction: what one way keeps in a register
// another must not touch, whatever the widths of the registers that share a place.
TEST_F(PlantedTest, WaysOfAWarpKeepApart) {
  const std::string text = kernel(R"(
  .reg .u16 %h<4>;
  .reg .pred %r<3>;
  mov.u32 %x1, 0;
  mov.u32 %x2, 0;
  and.b32 %x3, %t, 1;
  setp.eq.u32 %p, %x3, 0;
  @%p bra EVEN;
ODD:
  cvt.u16.u32 %h1, %t;
  add.u16 %h2, %h1, 3;
  mul.lo.u16 %h3, %h2, %h1;
  cvt.u32.u16 %x4, %h3;
  add.u32 %x2, %x2, %x4;
  add.u32 %x1, %x1, 1;
  setp.lt.u32 %q, %x1, 40;
  @%q bra ODD;
  bra.uni DONE;
EVEN:
  setp.lt.u32 %r1, %x1, 20;
  setp.ge.u32 %r2, %t, 16;
  or.pred %r1, %r1, %r2;
  selp.u32 %x5, %t, 1, %r1;
  add.u32 %x2, %x2, %x5;
  add.u32 %x1, %x1, 1;
  setp.lt.u32 %q, %x1, 40;
  @%q bra EVEN;
DONE:
  mul.wide.u32 %a1, %t, 4;
  add.u64 %a2, %out, %a1;
  st.global.u32 [%a2], %x2;
)");
  for (u64 seed = 0; seed <= 8; ++seed) {
    ASSERT_FALSE(run(text, of(1, 32), seed).has_value());
    for (u32 t = 0; t < 32; ++t) {
      const u32 wanted = t % 2 == 1 ? 40 * t * (t + 3) : t >= 16 ? 40 * t : 20 * t + 20;
      EXPECT_EQ(device.get<u32>(out + 4 * t, 1)[0], wanted) << "seed " << seed << " thread " << t;
    }
  }
}

TEST_F(PlantedTest, LaunchesOfTwoStreams) {
  const std::string text =
      kernel("  mul.wide.u32 %a1, %t, 4;\n  add.u64 %a2, %out, %a1;\n  st.global.u32 [%a2], %t;\n");
  const auto first = detectors.streams().create(true);
  const auto second = detectors.streams().create(true);
  detectors.use(first);
  EXPECT_FALSE(run(text, of(1, 32)).has_value());
  EXPECT_FALSE(run(text, of(1, 32)).has_value());
  detectors.use(second);
  auto report = run(text, of(1, 32));
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->kind, "race");
  EXPECT_THAT(report->what, HasSubstr("of kernel k"));
  EXPECT_THAT(report->what, HasSubstr("streams"));
  detectors.streams().synchronize_all();
  EXPECT_FALSE(run(text, of(1, 32)).has_value());
  EXPECT_TRUE(detectors.host_copy(first, out, 4, false).has_value());
  detectors.streams().synchronize_all();
  EXPECT_FALSE(detectors.host_copy(first, out, 4, false).has_value());
}

} // namespace
} // namespace quern::ptx
