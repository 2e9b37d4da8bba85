// Finding and starting the driver, choosing variants and modules: every way in which a machine can
// be the wrong one is said.
#include "runtime/device/cuda/Driver.h"

#include "runtime/device/cuda/Gpu.h"
#include "tests/runtime/device/cuda/FakeGpuTest.h"

namespace quern::device::cuda {
namespace {

using test::fake_driver;
using testing::AllOf;
using testing::HasSubstr;

class CudaDriver : public test::FakeGpuTest {};

TEST_F(CudaDriver, Missing) {
  EXPECT_THAT(message(Driver::load(Library::driver, "libno-such-driver.so.1").status()),
              AllOf(HasSubstr("no NVIDIA driver: libcuda.so.1 was not found"),
                    HasSubstr("hint: install NVIDIA's driver")));
  setenv("QUERN_PTX_LIBRARY", "/nonexistent/libquern_ptx.so", 1);
  EXPECT_THAT(message(open().status()),
              AllOf(HasSubstr("the interpreter of PTX, libquern_ptx.so, was not found"),
                    HasSubstr("/nonexistent/libquern_ptx.so")));
}

TEST_F(CudaDriver, LacksFunctions) {
  // Any library that is no driver.
  EXPECT_THAT(message(Driver::load(Library::driver, "libm.so.6").status()),
              HasSubstr("the NVIDIA driver is too old: it has no cuInit"));
}

TEST_F(CudaDriver, TooOld) {
  fake_driver().gpu.version = 11020;
  EXPECT_THAT(message(open().status()),
              HasSubstr("the NVIDIA driver is too old: it supports CUDA 11.2, and 11.4 is needed"));
}

TEST_F(CudaDriver, NoDevice) {
  fake_driver().gpu.init_result = 100;
  EXPECT_THAT(message(open().status()), HasSubstr("there is no CUDA device"));
  fake_driver() = {};
  fake_driver().gpu.count = 0;
  EXPECT_THAT(message(open().status()), HasSubstr("there is no CUDA device"));
  fake_driver() = {};
  fake_driver().gpu.init_result = 34;
  EXPECT_THAT(message(open().status()), HasSubstr("the CUDA toolkit's stub"));
}

TEST_F(CudaDriver, IndexOutOfRange) {
  auto driver = Driver::load(Library::interpreter);
  ASSERT_TRUE(driver.ok()) << driver.status();
  fake_driver().gpu.count = 2;
  EXPECT_TRUE(Gpu::open(*driver, 1).ok());
  EXPECT_THAT(message(Gpu::open(*driver, 2).status()),
              AllOf(HasSubstr("there is no CUDA device 2: the driver shows 2"),
                    HasSubstr("--device cuda:0 to cuda:1")));
}

TEST_F(CudaDriver, NamesOfDevices) {
  for (const char *name : {"cuda", "cuda:0", "cuda:15", "ptx", "cpu", "null"})
    EXPECT_TRUE(check_device(name).ok()) << name;
  for (const char *name :
       {"", "cuda:", "cuda:-1", "cuda:x", "cuda:1x", "cuda:99999", "cuda0", "ptx:0"})
    EXPECT_FALSE(check_device(name).ok()) << name;
}

TEST_F(CudaDriver, WhichVariantRunsWhere) {
  const auto runs = [](const char *variant, int major, int minor) {
    GpuInfo gpu;
    gpu.name = "GPU";
    gpu.major = major;
    gpu.minor = minor;
    return why_not(variant, gpu);
  };
  EXPECT_EQ(runs("sm_80", 8, 0), "");
  EXPECT_EQ(runs("sm_80", 8, 6), "");
  EXPECT_EQ(runs("sm_80", 12, 0), ""); // as PTX
  EXPECT_EQ(runs("sm_90a", 9, 0), "");
  EXPECT_EQ(runs("sm_80", 7, 5), "needs compute capability 8.0 or later, and GPU has 7.5");
  EXPECT_EQ(runs("sm_90a", 10, 0), "needs compute capability 9.0 exactly, and GPU has 10.0");
  for (const char *other : {"x86-64-v3", "sm_", "sm_a", "sm_8x", ""})
    EXPECT_NE(runs(other, 9, 0), "") << other;
}

TEST_F(CudaDriver, UnsupportedGpu) {
  fake_driver().gpu.major = 7;
  EXPECT_THAT(message(open().status()),
              AllOf(HasSubstr("sm_80 needs compute capability 8.0 or later, and Fake GPU has 7.0"),
                    HasSubstr("hint: code for CUDA needs compute capability 8.0")));
  fake_driver().gpu.major = 8;
  EXPECT_THAT(
      message(open({.cuda = false}).status()),
      AllOf(HasSubstr("has no code for cuda, which device ptx runs; it has code for x86-64-v3"),
            HasSubstr("--target cuda")));
}

// Tests that a cubin is taken where it fits, PTX where it does not or is asked for, and that what
// neither does is said.
TEST_F(CudaDriver, CubinElsePtx) {
  const std::vector<uint8_t> elf = {0x7f, 'E', 'L', 'F'};
  const auto with_cubin = [&](test::FakeCode &code) {
    code.modules[0].cubin = elf;
    code.modules[0].cubin.resize(64);
  };
  const auto loaded = [&] {
    std::string loaded;
    for (const test::FakeCall &call : calls("cuModuleLoadDataEx"))
      loaded += call.what + " ";
    fake_driver().calls.clear();
    return loaded;
  };
  fake_driver().gpu.takes_cubins = true;
  EXPECT_TRUE(open({.cuda = true, .change_code = with_cubin}).ok());
  EXPECT_EQ(loaded(), "cubin ");
  fake_driver().gpu.takes_cubins = false;
  EXPECT_TRUE(open({.cuda = true, .change_code = with_cubin}).ok());
  EXPECT_EQ(loaded(), "cubin ptx ");
  fake_driver().gpu.old = true;
  EXPECT_TRUE(open({.cuda = true, .change_code = with_cubin}).ok());
  EXPECT_EQ(loaded(), "cubin ptx ");
  fake_driver().gpu.old = false;
  setenv("QUERN_CUDA_JIT", "1", 1);
  EXPECT_TRUE(open({.cuda = true, .change_code = with_cubin}).ok());
  EXPECT_EQ(loaded(), "ptx ");
  const auto only_cubin = [&](test::FakeCode &code) {
    with_cubin(code);
    code.modules[0].ptx.clear();
  };
  EXPECT_THAT(
      message(open({.cuda = true, .change_code = only_cubin}).status()),
      HasSubstr("it has no PTX, and its cubin is not for Fake GPU of compute capability 8.0"));
  fake_driver().gpu.old = true;
  EXPECT_THAT(message(open({.cuda = true, .change_code = only_cubin}).status()),
              HasSubstr("it has no PTX, and the NVIDIA driver, which supports CUDA 12.4, cannot "
                        "read its cubin"));
  fake_driver().gpu.newest_ptx = 73;
  EXPECT_THAT(
      message(open().status()),
      HasSubstr("module fake: the NVIDIA driver is too old: it supports CUDA 12.4, which does "
                "not know PTX 7.4"));
}

TEST_F(CudaDriver, TooLittleSharedMemory) {
  fake_driver().gpu.max_shared = 1000;
  EXPECT_THAT(message(open().status()),
              HasSubstr("kernel fake_logits needs 1024 bytes of shared memory, and a block of Fake "
                        "GPU has at most 1000"));
  fake_driver().gpu.max_shared = 2000;
  fake_driver().gpu.blocks = 0;
  EXPECT_THAT(message(open().status()), HasSubstr("kernel fake_append does not fit on Fake GPU"));
}

TEST_F(CudaDriver, ModeIsNone) {
  setenv("QUERN_CUDA_LAUNCH", "quickly", 1);
  EXPECT_THAT(message(open().status()), AllOf(HasSubstr("QUERN_CUDA_LAUNCH is 'quickly'"),
                                              HasSubstr("hint: it may be blocking")));
}

TEST_F(CudaDriver, JitIsNeitherOnNorOff) {
  setenv("QUERN_CUDA_JIT", "yes", 1);
  EXPECT_EQ(message(open().status()), "QUERN_CUDA_JIT is 'yes'\nhint: it may be 0 or 1");
  for (const char *good : {"", "0", "1"}) {
    setenv("QUERN_CUDA_JIT", good, 1);
    EXPECT_TRUE(open().ok()) << good;
  }
}

} // namespace
} // namespace quern::device::cuda
