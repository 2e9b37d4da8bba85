// Counters on kernels whose numbers can be told by hand, and what the estimate makes of them.
#include "tests/ptx/counters/Counters.h"

#include "tests/ptx/Interpreter.h"
#include "tests/ptx/Words.h"
#include "tests/ptx/counters/Estimate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace quern::ptx {
namespace {

using testing::HasSubstr;

TEST(SharedPasses, Banks) {
  u64 at[kLanes];
  const auto passes = [&](u64 apart, u32 bytes, Mask mask = kAllLanes) {
    for (u32 lane = 0; lane < kLanes; ++lane)
      at[lane] = lane * apart;
    return shared_passes(at, mask, bytes);
  };
  EXPECT_EQ(passes(4, 4).taken, 1u);
  EXPECT_EQ(passes(0, 4).taken, 1u); // one word for all
  EXPECT_EQ(passes(8, 4).taken, 2u);
  EXPECT_EQ(passes(128, 4).taken, 32u);
  EXPECT_EQ(passes(132, 4).taken, 1u);
  EXPECT_EQ(passes(1, 1).taken, 1u);
  EXPECT_EQ(passes(8, 8).taken, 2u);
  EXPECT_EQ(passes(8, 8).ideal, 2u);
  EXPECT_EQ(passes(16, 16).taken, 4u);
  EXPECT_EQ(passes(16, 16).ideal, 4u);
  EXPECT_EQ(passes(32, 16).taken, 8u);
  EXPECT_EQ(passes(128, 4, 0xf).taken, 4u);
}

TEST(Units, OfOpcodes) {
  EXPECT_EQ(unit_of("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"), Unit::Tensor);
  EXPECT_EQ(operations_of("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"), 4096u);
  EXPECT_EQ(unit_of("ld.global.nc.v4.u32"), Unit::Global);
  EXPECT_EQ(unit_of("cp.async.cg.shared.global"), Unit::Global);
  EXPECT_EQ(unit_of("cp.async.wait_group"), Unit::Barrier);
  EXPECT_EQ(unit_of("ld.param.u64"), Unit::Constant);
  EXPECT_EQ(unit_of("ldmatrix.sync.aligned.m8n8.x4.shared.b16"), Unit::Shared);
  EXPECT_EQ(unit_of("ex2.approx.ftz.f32"), Unit::Special);
  EXPECT_EQ(unit_of("fma.rn.f32"), Unit::Float);
  EXPECT_EQ(unit_of("fma.rn.f64"), Unit::Double);
  EXPECT_EQ(unit_of("dp4a.u32.s32"), Unit::Integer);
  EXPECT_EQ(unit_of("cvt.f32.f16"), Unit::Convert);
  EXPECT_EQ(unit_of("shfl.sync.bfly.b32"), Unit::Exchange);
  EXPECT_EQ(unit_of("bar.sync"), Unit::Barrier);
  EXPECT_EQ(unit_of("bra"), Unit::Control);
}

class CountersTest : public testing::Test {
protected:
  CountersTest() : counting(kDeviceBase, 2 * device.traits().memory) {
    device.set_observer(&counting);
    in = device.put(std::vector<u32>(1 << 16, 1));
    out = device.put(std::vector<u32>(1 << 16, 0));
  }

  /// Threads' numbers in %t, over the grid in %g; arguments in %in and %out.
  Counters run(std::string_view body, u32 blocks, u32 threads) {
    const std::string text = concat(R"(.version 7.8
.target sm_80
.address_size 64
.visible .entry k(.param .u64 k_in, .param .u64 k_out)
{
  .reg .pred %p;
  .reg .u32 %t, %b, %n, %g, %x<8>;
  .reg .u64 %in, %out, %a<8>;
  .shared .align 16 .b8 s[8192];
  ld.param.u64 %in, [k_in];
  ld.param.u64 %out, [k_out];
  mov.u32 %t, %tid.x;
  mov.u32 %b, %ctaid.x;
  mov.u32 %n, %ntid.x;
  mad.lo.u32 %g, %b, %n, %t;
)",
                                    body, "  ret;\n}\n");
    const auto module = device.load(text);
    EXPECT_TRUE(module.ok()) << module.status().message();
    Shape shape;
    shape.grid[0] = blocks;
    shape.block[0] = threads;
    const auto report = device.launch(**module, "k", shape, Arguments().add(in).add(out));
    EXPECT_TRUE(report.ok() && !*report);
    EXPECT_EQ(counting.kernels().size(), 1u);
    const Counters made = counting.kernels().at(0);
    counting.clear();
    return made;
  }

  Device device;
  Counting counting;
  u64 in = 0, out = 0;
};

TEST_F(CountersTest, CopyOfARow) {
  const Counters made = run(R"(
  mul.wide.u32 %a1, %g, 16;
  add.u64 %a2, %in, %a1;
  add.u64 %a3, %out, %a1;
  ld.global.v4.u32 {%x1, %x2, %x3, %x4}, [%a2];
  st.global.v4.u32 [%a3], {%x1, %x2, %x3, %x4};
)",
                            4, 256);
  EXPECT_EQ(made.load_bytes, 4u * 256 * 16);
  EXPECT_EQ(made.store_bytes, 4u * 256 * 16);
  EXPECT_EQ(made.requests, 2u * 32);
  EXPECT_EQ(made.sectors, 2u * 32 * 16);
  EXPECT_EQ(made.ideal_sectors, made.sectors);
  EXPECT_EQ(made.distinct_load_sectors, 4u * 256 * 16 / 32);
  EXPECT_EQ(made.distinct_store_sectors, 4u * 256 * 16 / 32);
  EXPECT_EQ(made.distinct_lines, 2u * 4 * 256 * 16 / 128);
  EXPECT_EQ(made.bursts, 32u);
  EXPECT_EQ(made.burst_bytes, 4u * 256 * 16);
  EXPECT_DOUBLE_EQ(made.active_lanes(), 32);
  EXPECT_EQ(made.divergent, 0u);
  EXPECT_EQ(made.by_unit[static_cast<size_t>(Unit::Global)], 64u);
}

TEST_F(CountersTest, StridedReadsMoveWholeSectors) {
  const Counters made = run(R"(
  mul.wide.u32 %a1, %g, 64;
  add.u64 %a2, %in, %a1;
  ld.global.u32 %x1, [%a2];
  add.u32 %x1, %x1, 1;
)",
                            1, 64);
  EXPECT_EQ(made.load_bytes, 64u * 4);
  EXPECT_EQ(made.sectors, 64u);
  EXPECT_EQ(made.ideal_sectors, 2u * 4);
  EXPECT_EQ(made.distinct_load_sectors, 64u);
  EXPECT_EQ(made.distinct_lines, 32u);
}

TEST_F(CountersTest, SectorsReadTwiceAreDistinctOnce) {
  const Counters made = run(R"(
  mul.wide.u32 %a1, %t, 4;
  add.u64 %a2, %in, %a1;
  ld.global.u32 %x1, [%a2];
  ld.global.u32 %x2, [%a2+128];
  add.u32 %x1, %x1, %x2;
)",
                            3, 64);
  EXPECT_EQ(made.sectors, 3u * 2 * 2 * 4);
  EXPECT_EQ(made.distinct_load_sectors, (64u * 4 + 128) / 32);
  EXPECT_EQ(made.bursts, 6u); // two loads before the first use
  EXPECT_EQ(made.burst_bytes, 32 * made.sectors);
}

TEST_F(CountersTest, ConflictsNameTheirLine) {
  const Counters made = run(R"(
  mul.wide.u32 %a1, %t, 4;
  mov.u64 %a2, s;
  add.u64 %a3, %a2, %a1;
  st.shared.u32 [%a3], %t;
  mul.wide.u32 %a1, %t, 16;
  add.u64 %a3, %a2, %a1;
  st.shared.u32 [%a3], %t;
)",
                            1, 32);
  EXPECT_EQ(made.shared_requests, 2u);
  EXPECT_EQ(made.shared_passes, 1u + 4);
  EXPECT_EQ(made.ideal_shared_passes, 2u);
  EXPECT_EQ(made.worst_conflict, 4u);
  EXPECT_EQ(made.worst_line, 23);
}

TEST_F(CountersTest, Divergence) {
  const Counters made = run(R"(
  setp.gt.u32 %p, %t, 7;
  @%p add.u32 %x1, %t, 1;
)",
                            1, 32);
  EXPECT_EQ(made.divergent, 1u);
  EXPECT_EQ(made.lane_instructions, 32 * made.warp_instructions - 8);
}

TEST(Estimate, FollowsWhatIsScarce) {
  const Model &h100 = *model_of("h100");
  EXPECT_EQ(model_of("v100"), nullptr);
  Counters streaming;
  streaming.launches = 2;
  streaming.blocks = 132;
  streaming.threads = 256;
  streaming.warp_instructions = 2 * 200'000;
  streaming.sectors = streaming.distinct_load_sectors = 2 * (100u << 20) / 32;
  streaming.bursts = 2 * 1000;
  streaming.burst_bytes = streaming.bursts * 4096;
  const Estimate fast = estimate(streaming, h100, 64);
  EXPECT_EQ(fast.bound, "dram");
  EXPECT_NEAR(fast.dram_us, (100 << 20) / (3350e3 * 0.92), 0.01);
  // Fewer bytes in flight than latency times bandwidth: slower.
  streaming.burst_bytes = streaming.bursts * 512;
  const Estimate slow = estimate(streaming, h100, 64);
  EXPECT_GT(slow.us, 1.5 * fast.us);
  EXPECT_EQ(slow.dram_us, fast.dram_us);
  // Registers that leave no room for a second block do not matter to one block a multiprocessor.
  EXPECT_EQ(estimate(streaming, h100, 255).us, slow.us);
  Counters busy = streaming;
  busy.blocks = 4 * 132; // warps enough to issue at the full rate
  busy.warp_instructions = busy.by_unit[static_cast<size_t>(Unit::Integer)] = 2 * 400'000'000ull;
  EXPECT_EQ(estimate(busy, h100, 64).bound, "integer");
  EXPECT_GT(estimate(busy, *model_of("a100"), 64).us, estimate(busy, h100, 64).us);
  const std::string json = to_json({busy}, &h100);
  EXPECT_THAT(json, HasSubstr("\"model\":\"h100\""));
  EXPECT_THAT(json, HasSubstr("\"instructions\":{\"integer\":800000000}"));
}

} // namespace
} // namespace quern::ptx
