// What is refused when a module is loaded, and by which name.
#include "tests/ptx/OpcodeRun.h"

#include <gmock/gmock.h>

namespace quern::ptx {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string refusal(std::string_view text) {
  Device device;
  return std::string(device.load(text).status().message());
}
std::string body_refusal(std::string_view body) {
  return refusal(
      module_text(concat(".visible .entry k(.param .u64 a)\n{\n.reg .b32 %r<4>; .reg .b64 %d<4>; "
                         ".reg .f32 %f<4>; .reg .pred %p<2>; .reg .b16 %h<2>;\n",
                         body, "\nret; }")));
}

TEST(PtxParser, FormsThatAreNotKnownAreNamedWithTheirLine) {
  EXPECT_THAT(body_refusal("\n\nfrobnicate.b32 %r0, %r1;"),
              AllOf(HasSubstr("PTX line 9"), HasSubstr("unknown opcode frobnicate.b32")));
  EXPECT_THAT(body_refusal("add.s128 %r0, %r1, %r2;"), HasSubstr("unknown opcode add.s128"));
  EXPECT_THAT(body_refusal("ld.global.v3.u32 {%r0, %r1, %r2}, [%d0];"),
              HasSubstr("unknown form ld.global.v3.u32: .v3"));
  EXPECT_THAT(body_refusal("wgmma.fence.sync.aligned;"),
              HasSubstr("unknown opcode wgmma.fence.sync.aligned"));
  EXPECT_THAT(body_refusal("cvt.rn.e4m3x2.f32 %h0, %f0, %f1;"), HasSubstr("e4m3x2"));
  EXPECT_THAT(body_refusal("mma.sync.aligned.m16n8k16.row.col.f32.f16.bf16.f32 {%f0,%f1,%f2,%f3}, "
                           "{%r0,%r0,%r0,%r0}, {%r1,%r1}, {%f0,%f1,%f2,%f3};"),
              HasSubstr("unknown form mma"));
  EXPECT_THAT(body_refusal("atom.global.mul.u32 %r0, [%d0], %r1;"), HasSubstr("unknown form"));
  EXPECT_THAT(body_refusal("mov.u32 %r0, %pm0;"), HasSubstr("unknown register %pm0"));
  EXPECT_THAT(body_refusal(".maxfoo 3;"), HasSubstr("unknown directive .maxfoo"));
}

TEST(PtxParser, OperandsThatDoNotFit) {
  EXPECT_THAT(body_refusal("add.s32 %r0, %r1;"), HasSubstr("with 2 operands"));
  EXPECT_THAT(body_refusal("add.s32 %r0, %d1, %r2;"),
              HasSubstr("%d1 of add.s32 has 64 bits, not 32"));
  EXPECT_THAT(body_refusal("add.f32 %f0, %f1, 1;"),
              HasSubstr("an integer where add.f32 takes a float"));
  EXPECT_THAT(body_refusal("add.s32 5, %r1, %r2;"), HasSubstr("no register"));
  EXPECT_THAT(body_refusal("add.s32 %r0, %r1, %r77;"), HasSubstr("%r77"));
  EXPECT_THAT(body_refusal("bra NOWHERE;"), HasSubstr("no label NOWHERE"));
  EXPECT_THAT(body_refusal("call nothing;"), HasSubstr("calls nothing, which is not defined"));
  EXPECT_THAT(body_refusal("ld.global.u32 %r0, [nothing];"), HasSubstr("unknown name nothing"));
  EXPECT_THAT(body_refusal("ld.global.u64 %r0, [%d0];"), HasSubstr("too narrow"));
  EXPECT_THAT(body_refusal("ld.global.u32 %r0, [%r1];"), HasSubstr("address register %r1"));
  EXPECT_THAT(body_refusal("@%r0 mov.u32 %r0, 1;"), HasSubstr("no predicate"));
}

TEST(PtxParser, TextThatIsNoPtx) {
  EXPECT_THAT(refusal(""), HasSubstr("expected .version"));
  EXPECT_THAT(refusal(".version 1e300"), HasSubstr("6.0 to 9.9"));
  EXPECT_THAT(refusal("\x7f"
                      "ELF"),
              HasSubstr("does not have"));
  EXPECT_THAT(refusal(".version 8.0\n.target sm_80\n.entry k() { add.s32"),
              HasSubstr("PTX line 3"));
  EXPECT_THAT(refusal(".version 8.0\n.target sm_80\n.global .b8 x[4294967296][4294967296];"),
              HasSubstr("16 MiB"));
  EXPECT_THAT(refusal(".version 8.0\n.target sm_80\n.entry k() { .reg .b32 %r<4000000000>; }"),
              HasSubstr("million"));
  EXPECT_THAT(refusal(concat(".version 8.0\n.target sm_80\n.entry k() ", std::string(100, '{'))),
              HasSubstr("nested"));
  EXPECT_THAT(refusal(".version 8.0\n.target sm_80\n.entry k() { /* "), HasSubstr("does not end"));
  EXPECT_THAT(refusal(".version 8.0\n.target sm_80\n.texref t;"),
              HasSubstr("unknown directive .texref"));
}

TEST(PtxParser, DevicesRunWhatTheyCan) {
  Device a100(*device_traits("a100"));
  EXPECT_TRUE(a100.load(module_text("", 80)).ok());
  EXPECT_THAT(std::string(a100.load(module_text("", 90)).status().message()), HasSubstr("sm_90"));
  Device h100;
  EXPECT_TRUE(h100.load(module_text("", 80)).ok());
  EXPECT_TRUE(h100.load(".version 8.0\n.target sm_90a\n").ok());
  EXPECT_FALSE(h100.load(".version 8.0\n.target sm_80a\n").ok());
  EXPECT_FALSE(device_traits("b200").ok());
}

TEST(PtxParser, NamesAreOfTheirBlock) {
  EXPECT_EQ(body_refusal("{ .reg .b32 %x; mov.b32 %x, 1; bra L; L: mov.b32 %r0, %x; }\n{ .reg .b64 "
                         "%x; mov.b64 %x, 1; bra L; L: mov.b64 %d0, %x; }"),
            "");
  EXPECT_THAT(body_refusal("{ .reg .b32 %x; }\nmov.b32 %r0, %x;"), HasSubstr("%x"));
  EXPECT_THAT(body_refusal("L: L: mov.b32 %r0, %r1;"), HasSubstr("twice"));
  EXPECT_THAT(refusal(module_text(".func f() { call.uni f; ret; }")), HasSubstr("calls itself"));
}

TEST(PtxParser, LaunchesThatDoNotFit) {
  Device device;
  const auto module =
      device.load(module_text(".visible .entry k(.param .u64 a, .param .u32 b)\n.maxntid 64, 1, "
                              "1\n{ .shared .align 4 .b8 x[1000]; ret; }"));
  ASSERT_TRUE(module.ok()) << module.status();
  Shape shape;
  EXPECT_FALSE(device.launch(**module, "other", shape, {}).ok());
  EXPECT_FALSE(device.launch(**module, "k", shape, Arguments().add(u64{0})).ok());
  EXPECT_FALSE(device.launch(**module, "k", shape, Arguments().add(u64{0}).add(u64{0})).ok());
  const Arguments arguments = Arguments().add(u64{0}).add(u32{0});
  EXPECT_TRUE(device.launch(**module, "k", shape, arguments).ok());
  shape.block[0] = 65;
  EXPECT_FALSE(device.launch(**module, "k", shape, arguments).ok());
  shape.block[0] = 64;
  shape.dynamic_shared = 227 * 1024 - 999;
  EXPECT_FALSE(device.launch(**module, "k", shape, arguments).ok());
  shape.dynamic_shared = 100 * 1024;
  shape.cooperative = true;
  shape.grid[0] = 2 * DeviceTraits{}.multiprocessors; // two blocks on each
  EXPECT_TRUE(device.launch(**module, "k", shape, arguments).ok());
  ++shape.grid[0];
  EXPECT_FALSE(device.launch(**module, "k", shape, arguments).ok());
}

} // namespace
} // namespace quern::ptx
