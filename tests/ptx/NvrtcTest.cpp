// CUDA C++, compiled by NVRTC where it is there, against the very same functions compiled for the
// host.
#include "tests/ptx/Interpreter.h"
#include "tests/ptx/Words.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <dlfcn.h>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace quern::ptx {
namespace {

/// Functions of NVRTC, found by name.
class Nvrtc {
public:
  Nvrtc() {
    const char *asked = std::getenv("QUERN_NVRTC");
    std::vector<std::string> names = {
        QUERN_SOURCE_DIR "/.nvrtc/nvidia/cu13/lib/libnvrtc.so.13", // scripts/get-nvrtc
        "libnvrtc.so.13", "libnvrtc.so.12", "/usr/local/cuda/lib64/libnvrtc.so", "libnvrtc.so"};
    if (asked != nullptr && *asked != '\0')
      names = {asked, concat(asked, "/libnvrtc.so.13"), concat(asked, "/libnvrtc.so.12")};
    for (const std::string &name : names)
      if (library_ == nullptr)
        library_ = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  }
  bool available() const { return library_ != nullptr; }

  /// PTX of a source; fails the test with the compiler's log.
  std::string compile(const std::string &source, const char *arch) const {
    void *program = nullptr;
    call("nvrtcCreateProgram", &program, source.c_str(), "test.cu", 0, nullptr, nullptr);
    const std::string architecture = concat("--gpu-architecture=compute_", arch);
    const char *options[] = {architecture.c_str(), "--std=c++17", "--fmad=false",
                             "-default-device"};
    const int failed = call("nvrtcCompileProgram", program, 4, static_cast<const char **>(options));
    const auto text = [&](const char *size_of, const char *get) {
      size_t size = 0;
      call(size_of, program, &size);
      std::string made(size, '\0');
      call(get, program, made.data());
      return std::string(made.c_str());
    };
    EXPECT_EQ(failed, 0) << text("nvrtcGetProgramLogSize", "nvrtcGetProgramLog");
    std::string ptx = failed == 0 ? text("nvrtcGetPTXSize", "nvrtcGetPTX") : "";
    call("nvrtcDestroyProgram", &program);
    return ptx;
  }

private:
  template <class... A> int call(const char *name, A... arguments) const {
    auto *function = reinterpret_cast<int (*)(A...)>(dlsym(library_, name));
    EXPECT_NE(function, nullptr) << name;
    return function != nullptr ? function(arguments...) : -1;
  }
  void *library_ = nullptr;
};

class PtxOfCuda : public testing::TestWithParam<const char *> {
protected:
  void SetUp() override {
    if (!nvrtc.available())
      GTEST_SKIP() << "libnvrtc is not there";
  }
  Nvrtc nvrtc;
};

// A function for the host, and its text for NVRTC.
#define QUERN_BOTH(name, ...)                                                                      \
  __VA_ARGS__                                                                                      \
  const char *const name##_text = #__VA_ARGS__;

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wunknown-attributes"
#define __noinline__ noinline

QUERN_BOTH(
    integers, unsigned integers(unsigned x, unsigned y) {
      unsigned long long wide = (unsigned long long)x * 0x9e3779b97f4a7c15ull + y;
      long long less = (long long)(wide ^ (wide >> 29)) / (long long)(y % 1000 + 1);
      unsigned char byte = (unsigned char)(x >> 5);
      signed char sign = (signed char)(y >> 3);
      short half = (short)(x * 3);
      int sum = byte * sign + half;
      sum += (int)(wide % 12345) - (int)(less % 77);
      sum ^= (sum << 7) | ((unsigned)sum >> 25);
      for (unsigned n = 0; n < (y & 15); ++n)
        sum = sum * 31 + (int)(n < (x & 7) ? x >> n : y << n);
      return (unsigned)sum + (unsigned)(wide >> (x & 63)) + (x < y) + ((int)x < (int)y) * 5;
    })

QUERN_BOTH(
    floats, unsigned floats(unsigned x, unsigned y) {
      float a = (float)(int)x * 1e-6f;
      float b = (float)y * 3.5e-7f - 100.0f;
      float c = a * b + a / (b * b + 1.0f) - sqrtf(fabsf(a));
      if (c > 1000.0f)
        c = floorf(c * 0.5f);
      else if (c < -1000.0f)
        c = truncf(c) + ceilf(a);
      double d = (double)a * b - 1e-3 * c;
      int whole = (int)(c * 0.25f);
      float most = fmaxf(fminf(a, b), c);
      union {
        float f;
        unsigned u;
      } bits;
      bits.f = most + (float)d + (float)whole;
      return bits.u ^ (unsigned)(long long)(d * 7.0);
    })

QUERN_BOTH(
    sorted, unsigned sorted(unsigned x, unsigned y) {
      unsigned values[12];
      for (int n = 0; n < 12; ++n)
        values[n] = (x * (n + 1)) ^ (y >> n);
      const int count = 5 + (int)(y % 8);
      for (int i = 1; i < count; ++i) {
        const unsigned one = values[i];
        int j = i - 1;
        for (; j >= 0 && values[j] > one; --j)
          values[j + 1] = values[j];
        values[j + 1] = one;
      }
      unsigned made = 0;
      for (int n = 0; n < count; ++n)
        made = made * 33 + values[(n * 5) % count];
      switch (made % 9) {
      case 0:
        return made;
      case 1:
        return made * 3;
      case 2:
        return made + x;
      case 3:
        return values[2];
      case 5:
        return ~made;
      case 7:
        return made >> 3;
      default:
        return made ^ y;
      }
    })

QUERN_BOTH(
    structs,
    struct Mixed {
      unsigned a;
      double b;
      unsigned char c[6];
      float d;
    };
    __attribute__((__noinline__)) Mixed mixed(Mixed in, unsigned y) {
      Mixed made = in;
      made.a = in.a * 7 + y;
      made.b = in.b * 0.5 + in.d;
      made.c[y % 6] = (unsigned char)(y >> 4);
      return made;
    } unsigned structs(unsigned x, unsigned y) {
      Mixed one = {x, (double)y, {1, 2, 3, 4, 5, 6}, 1.5f};
      for (unsigned n = 0; n < x % 5 + 1; ++n)
        if ((y >> n & 1) != 0)
          one = mixed(one, x + n);
      return one.a + (unsigned)(long long)one.b + one.c[x % 6] * 256u + (unsigned)one.d;
    })
#undef __noinline__
#pragma clang diagnostic pop

TEST_P(PtxOfCuda, SameAsTheHost) {
  struct Both {
    const char *name, *text;
    unsigned (*host)(unsigned, unsigned);
  };
  for (const Both &both :
       {Both{"integers", integers_text, integers}, Both{"floats", floats_text, floats},
        Both{"sorted", sorted_text, sorted}, Both{"structs", structs_text, structs}}) {
    const std::string ptx = nvrtc.compile(
        concat(both.text,
               "\nextern \"C\" __global__ void k(const unsigned *x, const unsigned *y, unsigned "
               "*out, int n) {"
               " const int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) out[i] = ",
               both.name, "(x[i], y[i]); }"),
        GetParam());
    Device device;
    const auto module = device.load(ptx);
    ASSERT_TRUE(module.ok()) << module.status();
    std::mt19937 random(7);
    std::vector<u32> x(1000), y(1000);
    for (size_t n = 0; n < x.size(); ++n) {
      x[n] = n < 50 ? static_cast<u32>(n) : random();
      y[n] = n < 50 ? static_cast<u32>(7 * n) : random();
    }
    const u64 out = device.allocate(4000);
    Shape shape;
    shape.grid[0] = 8;
    shape.block[0] = 128;
    const auto report = device.launch(
        **module, "k", shape, Arguments().add(device.put(x)).add(device.put(y)).add(out).add(1000));
    ASSERT_TRUE(report.ok()) << report.status();
    ASSERT_FALSE(report->has_value()) << both.name << ": " << (*report)->text();
    const auto made = device.get<u32>(out, 1000);
    int wrong = 0;
    for (size_t n = 0; n < made.size() && wrong < 3; ++n)
      if (made[n] != both.host(x[n], y[n])) {
        ++wrong;
        ADD_FAILURE() << both.name << "(" << x[n] << ", " << y[n] << ") = " << made[n] << ", want "
                      << both.host(x[n], y[n]);
      }
  }
}

// The library's own functions: within two units in the last place of the exact value.
TEST_P(PtxOfCuda, MathLibrary) {
  struct Known {
    const char *name;
    double (*exact)(double);
    double least, most;
  };
  for (const Known &known :
       {Known{"expf", std::exp, -80, 80}, Known{"logf", std::log, 1e-30, 1e30},
        Known{"sinf", std::sin, -1e6, 1e6}, Known{"cosf", std::cos, -100, 100},
        Known{"tanhf", std::tanh, -5, 5}, Known{"erff", std::erf, -4, 4},
        Known{"rsqrtf", [](double v) { return 1 / std::sqrt(v); }, 1e-20, 1e20}}) {
    const std::string ptx =
        nvrtc.compile(concat("extern \"C\" __global__ void k(const float *x, float *out) { const "
                             "int i = blockIdx.x * blockDim.x + threadIdx.x; out[i] = ",
                             known.name, "(x[i]); }"),
                      GetParam());
    Device device;
    const auto module = device.load(ptx);
    ASSERT_TRUE(module.ok()) << known.name << ": " << module.status();
    std::mt19937 random(5);
    std::vector<float> x(512);
    for (float &value : x)
      value =
          static_cast<float>(known.least + (known.most - known.least) * (random() / 4294967296.0));
    const u64 out = device.allocate(2048);
    Shape shape;
    shape.grid[0] = 4;
    shape.block[0] = 128;
    const auto report =
        device.launch(**module, "k", shape, Arguments().add(device.put(x)).add(out));
    ASSERT_TRUE(report.ok()) << report.status();
    ASSERT_FALSE(report->has_value()) << known.name << ": " << (*report)->text();
    const auto made = device.get<float>(out, 512);
    for (size_t n = 0; n < x.size(); ++n) {
      const double exact = known.exact(x[n]);
      ASSERT_NEAR(made[n], exact, std::fabs(exact) * 5e-7 + 1e-37)
          << known.name << "(" << x[n] << ")";
    }
  }
}

// Blocks that work together: shared memory, barriers, shuffles, atomics, a template.
TEST_P(PtxOfCuda, ABlockTogether) {
  const std::string ptx = nvrtc.compile(R"(
template <class T> __device__ T warp_sum(T value) {
  for (int apart = 16; apart != 0; apart /= 2)
    value += __shfl_xor_sync(~0u, value, apart);
  return value;
}
__constant__ int weights[4] = {1, 2, 3, 4};
extern "C" __global__ void __launch_bounds__(256) k(const int *x, int n, int *sum, long long *largest) {
  __shared__ int parts[8];
  extern __shared__ int copy[];
  int mine = 0;
  for (int i = blockIdx.x * 256 + threadIdx.x; i < n; i += gridDim.x * 256)
    mine += x[i] * weights[i & 3];
  copy[255 - threadIdx.x] = mine;
  __syncthreads();
  mine = warp_sum(copy[threadIdx.x]);
  if (threadIdx.x % 32 == 0)
    parts[threadIdx.x / 32] = mine;
  __syncthreads();
  if (threadIdx.x < 32) {
    mine = warp_sum(threadIdx.x < 8 ? parts[threadIdx.x] : 0);
    if (threadIdx.x == 0) {
      atomicAdd(sum, mine);
      atomicMax(largest, (long long)mine);
    }
  }
})",
                                        GetParam());
  Device device;
  const auto module = device.load(ptx);
  ASSERT_TRUE(module.ok()) << module.status();
  std::vector<i32> x(10000);
  for (size_t n = 0; n < x.size(); ++n)
    x[n] = static_cast<i32>(n % 17) - 3;
  i64 want = 0;
  std::vector<i64> blocks(3, 0);
  for (size_t n = 0; n < x.size(); ++n) {
    want += x[n] * static_cast<i64>(n % 4 + 1);
    blocks[n / 256 % 3] += x[n] * static_cast<i64>(n % 4 + 1);
  }
  const u64 sum = device.put(std::vector<i32>{0}), largest = device.put(std::vector<i64>{-1000000});
  Shape shape;
  shape.grid[0] = 3;
  shape.block[0] = 256;
  shape.dynamic_shared = 1024;
  const auto report = device.launch(
      **module, "k", shape, Arguments().add(device.put(x)).add(10000).add(sum).add(largest));
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_FALSE(report->has_value()) << (*report)->text();
  EXPECT_EQ(device.get<i32>(sum, 1)[0], want);
  EXPECT_EQ(device.get<i64>(largest, 1)[0], *std::max_element(blocks.begin(), blocks.end()));
}

INSTANTIATE_TEST_SUITE_P(Architectures, PtxOfCuda, testing::Values("80", "90a"),
                         [](const auto &info) { return std::string("sm_") + info.param; });

} // namespace
} // namespace quern::ptx
