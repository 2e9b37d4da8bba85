// Code sections that are damaged or mean harm: refused with a word about where, before anything is
// launched.
#include "runtime/device/cuda/CodeSection.h"

#include "tests/runtime/device/cuda/FakeGpuTest.h"

#include <climits>
#include <random>

namespace quern::device::cuda {
namespace {

using artifact::CudaBase;
using test::fake_driver;
using test::FakeCode;
using testing::HasSubstr;

class CudaCodeSection : public test::FakeGpuTest {
protected:
  static std::string refusal(const std::function<void(FakeCode &)> &change) {
    const auto engine = open({.cuda = true, .change_code = change});
    EXPECT_TRUE(calls("cuModuleLoadDataEx").empty()) << "it was given to the driver";
    EXPECT_FALSE(engine.ok());
    return message(engine.status());
  }
  // Of the first bucket's last launch.
  static std::string operand(FakeCode::Operand changed) {
    return refusal([&](FakeCode &code) { code.buckets[0].launches[1].operands[0] = changed; });
  }
};

TEST_F(CudaCodeSection, Indices) {
  EXPECT_THAT(refusal([](FakeCode &c) { c.functions[1].module = 1; }),
              HasSubstr("function 1: it is in a module that is not there"));
  EXPECT_THAT(refusal([](FakeCode &c) { c.buckets[0].launches[0].function = 4; }),
              HasSubstr("quern_step_decode1 launch 0: it is of a function that is not there"));
  EXPECT_THAT(refusal([](FakeCode &c) { c.buckets[0].launches[0].dispatch = 1; }),
              HasSubstr("it is of a dispatch that is not there"));
  EXPECT_THAT(refusal([](FakeCode &c) { c.buckets[0].launches[0].function = 2; }),
              HasSubstr("its function runs a whole bucket"));
  EXPECT_THAT(refusal([](FakeCode &c) { c.buckets[0].persistent->function = 0; }),
              HasSubstr("persistent launch: its function runs no whole bucket"));
}

TEST_F(CudaCodeSection, Numbers) {
  EXPECT_THAT(refusal([](FakeCode &c) { c.abi_version = 77; }), HasSubstr("step ABI 77"));
  EXPECT_THAT(refusal([](FakeCode &c) { c.functions[0].shared = 1u << 30; }),
              HasSubstr("more shared memory than there is"));
  for (const uint32_t workers : {0u, 0x80000000u})
    EXPECT_THAT(refusal([&](FakeCode &c) { c.buckets[0].launches[0].max_workers = workers; }),
                HasSubstr("impossible number of workers"));
  EXPECT_THAT(refusal([](FakeCode &c) { c.buckets[0].launches[0].operands.resize(512); }),
              HasSubstr("too many operands"));
}

TEST_F(CudaCodeSection, Operands) {
  const int64_t weights = (FAKE_VOCAB + 1) * 4;
  EXPECT_THAT(operand({CudaBase::weights, 0, weights}), HasSubstr("outside the weights"));
  EXPECT_THAT(operand({CudaBase::weights, 0, -4}), HasSubstr("outside the weights"));
  EXPECT_THAT(operand({CudaBase::arena, 0, 64}), HasSubstr("outside the arena"));
  EXPECT_THAT(operand({CudaBase::arena, 0, INT64_MIN}), HasSubstr("outside the arena"));
  EXPECT_THAT(operand({CudaBase::input, 1, 0}), HasSubstr("in no input"));
  EXPECT_THAT(operand({CudaBase::input, 0, 4}), HasSubstr("in no input"));
  EXPECT_THAT(operand({CudaBase::output, 0, FAKE_VOCAB * 4}), HasSubstr("in no result"));
  EXPECT_THAT(operand({CudaBase::output, 0xffffffff, 0}), HasSubstr("in no result"));
  EXPECT_THAT(operand({CudaBase::rows, 0, 4}), HasSubstr("outside the wanted rows"));
  EXPECT_THAT(operand({static_cast<CudaBase>(77), 0, 0}), HasSubstr("of no known kind"));
}

TEST_F(CudaCodeSection, ModulesAndBuckets) {
  EXPECT_THAT(refusal([](FakeCode &c) { c.modules[0].ptx.clear(); }),
              HasSubstr("module 0: it has neither PTX nor a cubin"));
  EXPECT_THAT(refusal([](FakeCode &c) { c.modules[0].cubin.assign(100, 7); }),
              HasSubstr("its cubin is no ELF file"));
  EXPECT_THAT(refusal([](FakeCode &c) { c.functions[0].name = "a b"; }),
              HasSubstr("function 0: its name is none"));
  EXPECT_THAT(refusal([](FakeCode &c) { c.buckets.pop_back(); }),
              HasSubstr("quern_step_prefill: the code lacks this bucket"));
  EXPECT_THAT(refusal([](FakeCode &c) { c.buckets.push_back(c.buckets[0]); }),
              HasSubstr("quern_step_decode1: it is there twice"));
  EXPECT_THAT(refusal([](FakeCode &c) { c.buckets[0].launches.clear(); }),
              HasSubstr("it launches nothing"));
}

TEST_F(CudaCodeSection, AFunctionThatTheModuleLacks) {
  const auto engine = open(
      {.cuda = true, .change_code = [](FakeCode &code) { code.functions[3].name = "fake_other"; }});
  EXPECT_THAT(message(engine.status()), HasSubstr("the code has no function fake_other"));
}

// Tests that no change of a section's bytes gets past the checks and crashes: it is refused, or the
// engine opens.
TEST_F(CudaCodeSection, AnyByte) {
  std::mt19937 random(3);
  int opened = 0, refused = 0;
  for (int i = 0; i < 2000; ++i) {
    const auto engine = open({.tokenizer = false,
                              .proof = false,
                              .cuda = true,
                              .damage_code = [&](std::vector<uint8_t> &bytes) {
                                // Mostly behind the PTX's text, which is most of it.
                                for (int n = 0; n < 3; ++n) {
                                  const size_t from = random() % 8 ? bytes.size() - 2000 : 0;
                                  bytes[from + random() % (bytes.size() - from)] ^=
                                      1u << (random() % 8);
                                }
                                if (random() % 16 == 0)
                                  bytes.resize(random() % bytes.size());
                              }});
    ++(engine.ok() ? opened : refused);
  }
  EXPECT_GT(opened, 100);
  EXPECT_GT(refused, 100);
}

} // namespace
} // namespace quern::device::cuda
