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

// Tests that a GPU that does not answer hides no other, and is named.
TEST_F(CudaDriver, AGpuThatDoesNotAnswer) {
  auto driver = Driver::load(Library::interpreter);
  ASSERT_TRUE(driver.ok()) << driver.status();
  fake_driver().gpu.count = 3;
  fake_driver().gpu.silent = 1;
  const auto gpus = list_gpus(**driver);
  ASSERT_TRUE(gpus.ok()) << gpus.status();
  ASSERT_EQ(gpus->answering.size(), 2u);
  EXPECT_EQ(gpus->answering[1].index, 2);
  ASSERT_EQ(gpus->silent.size(), 1u);
  EXPECT_EQ(gpus->silent[0].index, 1);
  EXPECT_THAT(gpus->silent[0].why, HasSubstr("asking what CUDA device 1 can do: CUDA_ERROR_FAKE"));
  EXPECT_TRUE(Gpu::open(*driver, 2).ok());
  EXPECT_THAT(message(Gpu::open(*driver, 1).status()),
              HasSubstr("\nhint: nvidia-smi may say why; quern-run devices lists"));
}

// Tests that a GPU that another has, and memory that cannot be had, come with what to do.
TEST_F(CudaDriver, WhatCannotBeTaken) {
  const auto failing = [&](const char *call, int result) {
    fake_driver() = {};
    fake_driver().fail = call;
    fake_driver().fail_after = 0;
    fake_driver().fail_result = result;
    return message(open().status());
  };
  EXPECT_THAT(
      failing("cuDevicePrimaryCtxRetain", 46),
      AllOf(HasSubstr("taking CUDA device 0"), HasSubstr("\nhint: another process has it")));
  EXPECT_THAT(failing("cuDevicePrimaryCtxRetain", 2), HasSubstr("\nhint: its memory is taken"));
  EXPECT_THAT(failing("cuDevicePrimaryCtxRetain", 999), HasSubstr("\nhint: nvidia-smi may say"));
  EXPECT_THAT(failing("cuMemHostAlloc", 2),
              AllOf(HasSubstr("pinning "), HasSubstr("\nhint: the host, or the container")));
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
  const auto with = [](const char *variant, int driver, int max_shared, uint32_t shared) {
    GpuInfo gpu;
    gpu.name = "GPU";
    gpu.major = 9;
    gpu.driver = driver;
    gpu.max_shared = max_shared;
    return why_not(variant, gpu, shared);
  };
  EXPECT_EQ(with("sm_90a", 12000, 101376, 101376), "");
  EXPECT_EQ(with("sm_90a", 11080, 101376, 0),
            "needs a driver that supports CUDA 12.0, and this one supports 11.8");
  EXPECT_EQ(with("sm_80", 11080, 101376, 101376), "");
  EXPECT_EQ(with("sm_80", 13000, 101376, 101377),
            "needs 101377 bytes of shared memory a block, and GPU has 101376");
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
            HasSubstr("--target cpu,cuda")));
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
  // A toolkit newer than the driver: drivers say that in two other ways.
  for (const int result : {200, 222}) {
    fake_driver().gpu.cubin_result = result;
    EXPECT_TRUE(open({.cuda = true, .change_code = with_cubin}).ok()) << result;
    EXPECT_EQ(loaded(), "cubin ptx ");
  }
  // Of anything else PTX would not help.
  fake_driver().gpu.cubin_result = 2;
  EXPECT_TRUE(absl::IsResourceExhausted(open({.cuda = true, .change_code = with_cubin}).status()));
  EXPECT_EQ(loaded(), "cubin ");
  fake_driver().gpu.cubin_result = 209;
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
  fake_driver().gpu.cubin_result = 200;
  EXPECT_THAT(message(open({.cuda = true, .change_code = only_cubin}).status()),
              HasSubstr("it has no PTX, and the driver, which supports CUDA 12.4, refuses its "
                        "cubin: CUDA_ERROR_FAKE 200"));
  fake_driver().gpu.newest_ptx = 73;
  EXPECT_THAT(
      message(open().status()),
      AllOf(HasSubstr("module fake: the NVIDIA driver is too old: it supports CUDA 12.4, which "
                      "does not know PTX 7.4\nhint: update the driver to one of CUDA 11.4")));
  unsetenv("QUERN_CUDA_JIT");
  EXPECT_THAT(
      message(open({.cuda = true, .change_code = with_cubin}).status()),
      HasSubstr("does not know PTX 7.4; its cubin was refused, too: CUDA_ERROR_FAKE 200: "));
}

TEST_F(CudaDriver, TooLittleSharedMemory) {
  fake_driver().gpu.max_shared = 1000;
  EXPECT_THAT(message(open().status()), HasSubstr("no variant of"));
  EXPECT_THAT(message(open().status()),
              HasSubstr("sm_80 needs 1024 bytes of shared memory a block, and Fake GPU has 1000"));
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
