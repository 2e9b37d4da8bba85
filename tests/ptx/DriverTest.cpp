// libquern_ptx.so as its users see it: through dlopen, by the driver's functions and results.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <dlfcn.h>
#include <string>
#include <vector>

namespace {

using testing::HasSubstr;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

constexpr const char *kText = R"(.version 8.0
.target sm_80
.address_size 64
.visible .entry scale(.param .u64 a, .param .u32 n, .param .f32 by)
{
  .reg .b64 %a<4>; .reg .b32 %r<8>; .reg .f32 %f<4>; .reg .pred %p;
  ld.param.u64 %a0, [a]; ld.param.u32 %r0, [n]; ld.param.f32 %f0, [by];
  mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ntid.x; mov.u32 %r3, %tid.x; mad.lo.s32 %r4, %r1, %r2, %r3;
  setp.ge.u32 %p, %r4, %r0; @%p ret;
  mul.wide.u32 %a1, %r4, 4; add.s64 %a0, %a0, %a1; ld.global.f32 %f1, [%a0]; mul.f32 %f1, %f1, %f0; st.global.f32 [%a0], %f1;
  ret;
}
.visible .entry three_blocks() .maxntid 256 .minnctapersm 3 { ret; }
.visible .entry much_shared() { .shared .align 4 .b8 x[40000]; ret; }
)";

class PtxDriver : public testing::Test {
protected:
  void SetUp() override {
    library = dlopen(QUERN_BINARY_DIR "/lib/libquern_ptx.so", RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library, nullptr) << dlerror();
    ASSERT_EQ(call("cuInit", 0u), 0);
    ASSERT_EQ(call("cuDevicePrimaryCtxRetain", &context, 0), 0);
    ASSERT_EQ(call("cuCtxSetCurrent", context), 0);
  }
  void TearDown() override { call("cuDevicePrimaryCtxRelease_v2", 0); }
  template <class... A> int call(const char *name, A... arguments) {
    auto *function = reinterpret_cast<int (*)(A...)>(dlsym(library, name));
    EXPECT_NE(function, nullptr) << name;
    return function != nullptr ? function(arguments...) : -1;
  }
  void *load(const char *text, int expected = 0) {
    void *module = nullptr;
    EXPECT_EQ(call("cuModuleLoadDataEx", &module, static_cast<const void *>(text), 0u,
                   static_cast<const int *>(nullptr), static_cast<void **>(nullptr)),
              expected);
    return module;
  }
  void *function(void *module, const char *name) {
    void *found = nullptr;
    EXPECT_EQ(call("cuModuleGetFunction", &found, module, name), 0);
    return found;
  }
  u64 memory(size_t bytes) {
    u64 address = 0;
    EXPECT_EQ(call("cuMemAlloc_v2", &address, bytes), 0);
    return address;
  }
  int launch(void *kernel, u32 blocks, u32 threads, u32 shared, void *stream,
             std::vector<void *> parameters) {
    return call("cuLaunchKernel", kernel, blocks, 1u, 1u, threads, 1u, 1u, shared, stream,
                parameters.data(), static_cast<void **>(nullptr));
  }
  int upload(u64 to, const void *from, size_t bytes, void *stream = nullptr) {
    return call("cuMemcpyHtoDAsync_v2", to, from, bytes, stream);
  }
  int download(void *to, u64 from, size_t bytes, void *stream = nullptr) {
    return call("cuMemcpyDtoHAsync_v2", to, from, bytes, stream);
  }
  std::string text_of(int result) {
    const char *text = nullptr;
    EXPECT_EQ(call("cuGetErrorString", result, &text), 0);
    return text != nullptr ? text : "";
  }

  void *library = nullptr, *context = nullptr, *const null_stream = nullptr;
};

TEST_F(PtxDriver, EveryFunctionIsThere) {
  for (const char *name : {"cuInit",
                           "cuDriverGetVersion",
                           "cuGetErrorName",
                           "cuGetErrorString",
                           "cuDeviceGetCount",
                           "cuDeviceGet",
                           "cuDeviceGetName",
                           "cuDeviceGetAttribute",
                           "cuDeviceTotalMem_v2",
                           "cuDevicePrimaryCtxRetain",
                           "cuDevicePrimaryCtxRelease_v2",
                           "cuCtxSetCurrent",
                           "cuMemGetInfo_v2",
                           "cuModuleLoadDataEx",
                           "cuModuleUnload",
                           "cuModuleGetFunction",
                           "cuFuncGetAttribute",
                           "cuFuncSetAttribute",
                           "cuOccupancyMaxActiveBlocksPerMultiprocessor",
                           "cuMemAlloc_v2",
                           "cuMemFree_v2",
                           "cuMemHostAlloc",
                           "cuMemFreeHost",
                           "cuMemcpyHtoDAsync_v2",
                           "cuMemcpyDtoHAsync_v2",
                           "cuMemcpyDtoDAsync_v2",
                           "cuMemsetD8Async",
                           "cuStreamCreate",
                           "cuStreamDestroy_v2",
                           "cuStreamSynchronize",
                           "cuEventCreate",
                           "cuEventRecord",
                           "cuEventSynchronize",
                           "cuEventElapsedTime_v2",
                           "cuEventElapsedTime",
                           "cuEventDestroy_v2",
                           "cuLaunchKernel",
                           "cuLaunchCooperativeKernel",
                           "cuStreamBeginCapture_v2",
                           "cuStreamEndCapture",
                           "cuGraphInstantiateWithFlags",
                           "cuGraphLaunch",
                           "cuGraphExecDestroy",
                           "cuGraphDestroy"})
    EXPECT_NE(dlsym(library, name), nullptr) << name;
}

TEST_F(PtxDriver, RunsAKernelAndItsGraph) {
  void *stream = nullptr;
  ASSERT_EQ(call("cuStreamCreate", &stream, 1u), 0);
  void *scale = function(load(kText), "scale");
  const u64 a = memory(400);
  std::vector<float> values(100, 3);
  u32 n = 100;
  float by = 2;
  ASSERT_EQ(upload(a, values.data(), 400, stream), 0);
  ASSERT_EQ(launch(scale, 2, 64, 0, stream, {const_cast<u64 *>(&a), &n, &by}), 0);
  ASSERT_EQ(download(values.data(), a, 400, stream), 0);
  ASSERT_EQ(call("cuStreamSynchronize", stream), 0);
  EXPECT_THAT(values, testing::Each(6));
  // Recorded: nothing is done until the graph is launched, and then each time.
  ASSERT_EQ(call("cuStreamBeginCapture_v2", stream, 2), 0);
  by = 10;
  ASSERT_EQ(launch(scale, 2, 64, 0, stream, {const_cast<u64 *>(&a), &n, &by}), 0);
  by = 1000; // taken at the call
  ASSERT_EQ(download(values.data(), a, 400, stream), 0);
  EXPECT_EQ(call("cuStreamSynchronize", stream), 900);
  void *graph = nullptr, *executable = nullptr;
  ASSERT_EQ(call("cuStreamEndCapture", stream, &graph), 0);
  ASSERT_EQ(call("cuGraphInstantiateWithFlags", &executable, graph, 0ull), 0);
  ASSERT_EQ(call("cuGraphDestroy", graph), 0);
  EXPECT_THAT(values, testing::Each(6));
  ASSERT_EQ(call("cuGraphLaunch", executable, stream), 0);
  ASSERT_EQ(call("cuGraphLaunch", executable, stream), 0);
  ASSERT_EQ(call("cuStreamSynchronize", stream), 0);
  EXPECT_THAT(values, testing::Each(600));
  EXPECT_EQ(call("cuGraphExecDestroy", executable), 0);
  EXPECT_EQ(call("cuGraphExecDestroy", executable), 400);
  EXPECT_EQ(call("cuStreamEndCapture", stream, &graph), 903);
  EXPECT_EQ(call("cuStreamDestroy_v2", stream), 0);
  EXPECT_EQ(call("cuStreamSynchronize", stream), 400);
}

TEST_F(PtxDriver, WhatAKernelDidWrongComesOutOfTheNextCall) {
  void *scale = function(load(kText), "scale");
  u64 a = memory(400);
  ASSERT_EQ(call("cuMemsetD8Async", a, static_cast<unsigned char>(0), size_t{400}, null_stream), 0);
  u32 n = 101;
  float by = 2;
  EXPECT_EQ(launch(scale, 2, 64, 0, nullptr, {&a, &n, &by}), 0);
  EXPECT_EQ(call("cuStreamSynchronize", null_stream), 700);
  EXPECT_THAT(text_of(700), testing::AllOf(HasSubstr("out of bounds"), HasSubstr("kernel scale"),
                                           HasSubstr("PTX line 10"),
                                           HasSubstr("block (1, 0, 0), thread (36, 0, 0)")));
  u64 other = 0;
  EXPECT_EQ(call("cuMemAlloc_v2", &other, size_t{4}), 700);
  const char *name = nullptr;
  EXPECT_EQ(call("cuGetErrorName", 700, &name), 0);
  EXPECT_STREQ(name, "CUDA_ERROR_ILLEGAL_ADDRESS");
}

TEST_F(PtxDriver, NeverWrittenMemoryIsAFailedLaunch) {
  void *scale = function(load(kText), "scale");
  u64 a = memory(400);
  u32 n = 10;
  float by = 2;
  EXPECT_EQ(launch(scale, 1, 64, 0, nullptr, {&a, &n, &by}), 0);
  EXPECT_EQ(call("cuStreamSynchronize", null_stream), 719);
  EXPECT_THAT(text_of(719), HasSubstr("uninitialized"));
}

TEST_F(PtxDriver, WrongUseIsRefused) {
  void *module = load(kText);
  void *scale = function(module, "scale");
  u64 a = memory(400);
  std::vector<float> values(100);
  EXPECT_EQ(upload(a + 4, values.data(), 400), 1);
  EXPECT_EQ(download(values.data(), 0, 4), 1);
  EXPECT_EQ(call("cuMemcpyDtoDAsync_v2", a, a + 400, size_t{4}, null_stream), 1);
  EXPECT_EQ(launch(nullptr, 1, 1, 0, nullptr, {}), 400);
  EXPECT_EQ(launch(scale, 1, 32, 0, scale, {}), 400);
  u32 n = 0;
  float by = 2;
  EXPECT_EQ(launch(scale, 0, 32, 0, nullptr, {&a, &n, &by}), 1);
  EXPECT_EQ(launch(scale, 1, 1025, 0, nullptr, {&a, &n, &by}), 1);
  EXPECT_EQ(launch(scale, 1, 32, 48 * 1024 + 4, nullptr, {&a, &n, &by}), 1);
  EXPECT_EQ(launch(scale, 1, 32, 0, nullptr, {&a, nullptr, &by}), 1);
  // Parameters as one buffer have to have the kernel's size.
  size_t size = 12;
  void *extra[] = {reinterpret_cast<void *>(1), values.data(), reinterpret_cast<void *>(2), &size,
                   nullptr};
  EXPECT_EQ(call("cuLaunchKernel", scale, 1u, 1u, 1u, 32u, 1u, 1u, 0u, null_stream,
                 static_cast<void **>(nullptr), static_cast<void **>(extra)),
            1);
  EXPECT_EQ(call("cuLaunchCooperativeKernel", scale, 1000u, 1u, 1u, 1024u, 1u, 1u, 0u, null_stream,
                 std::vector<void *>{&a, &n, &by}.data()),
            720);
  void *found = nullptr;
  EXPECT_EQ(call("cuModuleGetFunction", &found, module, "nothing"), 500);
  load("no ptx", 218);
  EXPECT_THAT(text_of(218), HasSubstr("expected .version"));
  load("\x7f"
       "ELF\x02",
       209);
  load(".version 8.0\n.target sm_100\n", 209);
  load(".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry waits()\n{\n"
       ".reg .b64 %d<2>;\nmov.b64 %d0, 0;\nmbarrier.arrive.b64 %d1, [%d0];\nret;\n}\n",
       218);
  EXPECT_THAT(text_of(218), HasSubstr("waits: mbarrier.arrive.b64: the detectors"));
  EXPECT_EQ(call("cuMemFree_v2", a + 4), 1);
  EXPECT_EQ(call("cuMemFree_v2", a), 0);
  EXPECT_EQ(call("cuMemFree_v2", a), 1);
  EXPECT_EQ(upload(a, values.data(), 400), 1);
  u64 huge = 0;
  EXPECT_EQ(call("cuMemAlloc_v2", &huge, size_t{1} << 60), 2);
  EXPECT_EQ(call("cuModuleUnload", module), 0);
  EXPECT_EQ(call("cuModuleUnload", module), 400);
  EXPECT_EQ(launch(scale, 1, 32, 0, nullptr, {&a, &n, &by}), 400);
  EXPECT_EQ(call("cuStreamSynchronize", null_stream), 0) << "nothing of that harms the context";
}

TEST_F(PtxDriver, WhatTheDeviceAndKernelsAre) {
  int value = 0;
  EXPECT_EQ(call("cuDeviceGetAttribute", &value, 75, 0), 0);
  EXPECT_EQ(value, 9);
  EXPECT_EQ(call("cuDeviceGetAttribute", &value, 16, 0), 0);
  EXPECT_GT(value, 0);
  EXPECT_EQ(call("cuDeviceGetAttribute", &value, 99999, 0), 1);
  size_t free = 0, total = 0;
  EXPECT_EQ(call("cuMemGetInfo_v2", &free, &total), 0);
  const u64 a = memory(1 << 20);
  size_t after = 0;
  EXPECT_EQ(call("cuMemGetInfo_v2", &after, &total), 0);
  EXPECT_EQ(free - after, size_t{1} << 20);
  EXPECT_EQ(call("cuMemFree_v2", a), 0);
  void *kernel = function(load(kText), "much_shared");
  EXPECT_EQ(call("cuFuncGetAttribute", &value, 1, kernel), 0);
  EXPECT_EQ(value, 40000);
  EXPECT_EQ(
      call("cuOccupancyMaxActiveBlocksPerMultiprocessor", &value, kernel, 256, size_t{100000}), 0);
  EXPECT_EQ(value, 1);
  void *three = function(load(kText), "three_blocks"); // with all the registers that leaves it
  EXPECT_EQ(call("cuOccupancyMaxActiveBlocksPerMultiprocessor", &value, three, 256, size_t{0}), 0);
  EXPECT_EQ(value, 3);
  EXPECT_EQ(launch(kernel, 1, 32, 100000, nullptr, {}), 1);
  EXPECT_EQ(call("cuFuncSetAttribute", kernel, 8, 200000), 1);
  EXPECT_EQ(call("cuFuncSetAttribute", kernel, 8, 100000), 0);
  EXPECT_EQ(launch(kernel, 1, 32, 100000, nullptr, {}), 0);
  void *pinned = nullptr;
  EXPECT_EQ(call("cuMemHostAlloc", &pinned, size_t{100}, 0u), 0);
  EXPECT_EQ(call("cuMemFreeHost", pinned), 0);
  EXPECT_EQ(call("cuMemFreeHost", pinned), 1);
  void *first = nullptr, *last = nullptr;
  EXPECT_EQ(call("cuEventCreate", &first, 0u), 0);
  EXPECT_EQ(call("cuEventCreate", &last, 0u), 0);
  float milliseconds = -1;
  EXPECT_EQ(call("cuEventElapsedTime", &milliseconds, first, last), 400);
  EXPECT_EQ(call("cuEventRecord", first, null_stream), 0);
  EXPECT_EQ(call("cuEventRecord", last, null_stream), 0);
  EXPECT_EQ(call("cuEventSynchronize", last), 0);
  EXPECT_EQ(call("cuEventElapsedTime", &milliseconds, first, last), 0);
  EXPECT_GE(milliseconds, 0);
}

TEST_F(PtxDriver, AContextIsWanted) {
  EXPECT_EQ(call("cuCtxSetCurrent", static_cast<void *>(nullptr)), 0);
  u64 address = 0;
  EXPECT_EQ(call("cuMemAlloc_v2", &address, size_t{4}), 201);
  EXPECT_EQ(call("cuCtxSetCurrent", context), 0);
  EXPECT_EQ(call("cuMemAlloc_v2", &address, size_t{4}), 0);
}

} // namespace
