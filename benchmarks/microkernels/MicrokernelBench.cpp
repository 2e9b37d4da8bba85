// Speed of each microkernel on one core, for every native build this machine can run, next to the
// machine's bounds: the dot, fma and read loops below do nothing else. Results of one core only;
// read README.md for what they mean.
#include "codegen/cpu/microkernels/Native.h"
#include "ir/formats/PackingLayout.h"
#include "runtime/device/cpu/Features.h"
#include "runtime/device/cpu/Peak.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <immintrin.h>
#include <list>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

namespace quern::native {
namespace {

using benchmark::Counter;
using formats::Packing;

/// Bytes as what kernels take them for.
template <class T> T *as(uint8_t *bytes) { return reinterpret_cast<T *>(bytes); }
template <class T> const T *as(const uint8_t *bytes) { return reinterpret_cast<const T *>(bytes); }

constexpr size_t kBeyondCaches = size_t{640} << 20;

/// Bytes on a 2 MiB boundary, all written: half of them small numbers, as floats and as codes.
class Buffer {
public:
  explicit Buffer(size_t size) : size_((size + (2 << 20) - 1) >> 21 << 21) {
    data_ = static_cast<uint8_t *>(std::aligned_alloc(2 << 20, size_));
    for (size_t i = 0; i < size_; i += 4) {
      const float value = static_cast<float>(i % 1021) * 0x1p-10f;
      std::memcpy(data_ + i, &value, 4);
    }
  }
  ~Buffer() { std::free(data_); }
  Buffer(const Buffer &) = delete;
  Buffer &operator=(const Buffer &) = delete;
  uint8_t *bytes() const { return data_; }
  float *floats() const { return reinterpret_cast<float *>(data_); }

private:
  size_t size_;
  uint8_t *data_;
};

const Buffer &large_buffer() {
  static const Buffer kBuffer(kBeyondCaches + (1 << 21));
  return kBuffer;
}

void rate(benchmark::State &state, const char *unit, double amount) {
  state.counters[unit] =
      Counter(amount * static_cast<double>(state.iterations()) * 1e-9, Counter::kIsRate);
}

// ---- Bounds

/// An instruction's operations a second: the probe that `quern-run bench` divides by, on one core.
void bound_ops(benchmark::State &state, bool integer, const std::string &feature) {
  const auto pool = device::WorkerPool::create(1);
  double best = 0;
  for (auto _ : state)
    best = std::max(best, device::probe_ops(**pool, integer, {&feature, 1}));
  state.counters["GOP/s"] = best * 1e-9;
}

/// AVX2's pair: multiply bytes and add pairs, add up.
__attribute__((target("avx2"))) void bound_maddubs(benchmark::State &state) {
  const __m256i x = _mm256_set1_epi8(3);
  for (auto _ : state) {
    __m256i sums[10] = {};
    for (int i = 0; i < 1000; ++i) {
#pragma clang loop unroll(full)
      for (int j = 0; j < 10; ++j) {
        __m256i product;
        __asm__ volatile("vpmaddubsw %1, %1, %0" : "=x"(product) : "x"(x));
        sums[j] = _mm256_add_epi16(sums[j], product);
      }
    }
    for (__m256i &sum : sums)
      __asm__ volatile("" : "+x"(sum));
  }
  rate(state, "GOP/s", 1000.0 * 10 * 64);
}

/// Reads `size` bytes in order.
__attribute__((target("avx2"))) void bound_read(benchmark::State &state, size_t size) {
  const uint8_t *data = large_buffer().bytes();
  for (auto _ : state) {
    __m256i sums[4] = {};
    for (size_t i = 0; i < size; i += 128) {
      __builtin_prefetch(data + i + 2048);
      __builtin_prefetch(data + i + 2112);
      for (int j = 0; j < 4; ++j)
        sums[j] = _mm256_xor_si256(
            sums[j], _mm256_load_si256(reinterpret_cast<const __m256i *>(data + i + 32 * j)));
    }
    benchmark::DoNotOptimize(sums);
  }
  rate(state, "GB/s", static_cast<double>(size));
}

// ---- Microkernels

/// Prefill: `rows` rows by 16 panels of K = 2048, eight to a call, as generated code has them.
template <class Product>
void prefill(benchmark::State &state, void (*gemm)(const Product *), int64_t rows,
             const Packing &packing, decltype(Product::x) x, int64_t stride) {
  constexpr int64_t k = 2048, kPanels = 16, kTogether = 8;
  const int64_t bytes = packing.panel_bytes(k), next = (rows + 15) / 16 * 16 * 16;
  const uint8_t *panels = large_buffer().bytes();
  std::vector<float> acc(kTogether * next);
  for (auto _ : state)
    for (int64_t panel = 0; panel < kPanels; panel += kTogether) {
      const Product product = {.panel = as<QkPanel>(panels + panel * bytes),
                               .panel_bytes = bytes,
                               .panels = kTogether,
                               .x = x,
                               .x_stride = stride,
                               .rows = rows,
                               .k = k,
                               .acc = acc.data(),
                               .acc_stride = next};
      gemm(&product);
      benchmark::DoNotOptimize(acc.data());
    }
  rate(state, "GOP/s", 2.0 * k * kPanels * 16 * static_cast<double>(rows));
}

/// Decode: one row by panels of K = 2048, `size` bytes of them.
template <class Gemm, class X>
void decode(benchmark::State &state, Gemm gemm, const Packing &packing, const X *x, size_t size) {
  constexpr int64_t k = 2048;
  const uint8_t *panels = large_buffer().bytes();
  const int64_t count = static_cast<int64_t>(size) / packing.panel_bytes(k);
  float acc[16];
  for (auto _ : state)
    for (int64_t panel = 0; panel < count; ++panel) {
      gemm(as<QkPanel>(panels + panel * packing.panel_bytes(k)), x, k, acc);
      benchmark::DoNotOptimize(acc);
    }
  rate(state, "GB/s", static_cast<double>(count * packing.panel_bytes(k)));
}

template <class Gemm, class GemmRows, class X>
void register_gemm(const std::string &name, Gemm m1, GemmRows rows, const Packing &packing,
                   const X *x, int64_t stride) {
  const auto add = [](const std::string &full, auto run) {
    benchmark::RegisterBenchmark(full.c_str(), run);
  };
  add(name + "/m1/memory", [=](auto &s) { decode(s, m1, packing, x, kBeyondCaches); });
  add(name + "/m1/L2", [=](auto &s) { decode(s, m1, packing, x, 1 << 20); });
  for (const int64_t height : {4, 8, 64})
    add(name + "/rows" + std::to_string(height),
        [=](auto &s) { prefill(s, rows, height, packing, x, stride); });
}

/// Attention of `height` rows over pages of one head, d = v = 64, `bytes` of them, with numbers of
/// `size` bytes.
void attention(benchmark::State &state, decltype(Kernels::qk_attn_block_f32_m1) block, int height,
               int64_t size, int64_t bytes) {
  constexpr int64_t d = 64;
  const int64_t scales = size == 1 ? d / QUERN_KV_GROUP * 4 : 0; // a position's
  const int64_t part = 64 * (d * size + scales), pages = bytes / (2 * part);
  const uint8_t *kv = large_buffer().bytes();
  std::vector<float> q(height * d, 0.1f), acc(height * d, 0.0f), most(height, -1e30f),
      sum(height, 0);
  const std::vector<int32_t> lo(height, 0), hi(height, QUERN_KV_PAGE);
  const QkQueries queries = {.q = q.data(),
                             .stride = d,
                             .lo = lo.data(),
                             .hi = hi.data(),
                             .bias = nullptr,
                             .scale = 0.125f,
                             .softcap = 0};
  const QkSoftmax rows = {
      .max = most.data(), .sum = sum.data(), .step = 1, .acc = acc.data(), .acc_stride = d};
  for (auto _ : state) {
    for (int64_t page = 0; page < pages; ++page) {
      const QkPage stored = {.keys = as<QkKeys>(kv + 2 * page * part),
                             .values = as<QkValues>(kv + (2 * page + 1) * part),
                             .next_keys = as<QkKeys>(kv + (2 * page + 2) * part),
                             .d = d,
                             .v = d};
      block(&queries, &stored, &rows);
    }
    benchmark::DoNotOptimize(acc.data());
  }
  rate(state, "GOP/s", 2.0 * height * static_cast<double>(pages) * 64 * 2 * d);
  rate(state, "GB/s", static_cast<double>(2 * pages * part));
}

void recurrence(benchmark::State &state, const Kernels *kernels, bool delta) {
  constexpr int64_t dk = 128, dv = 64;
  std::vector<float> s(dk * dv, 0.0f), key(dk, 0.01f), value(dv, 0.5f), out(dv);
  const float decay = 0.9f;
  QkRecurrence token = {};
  token.state = s.data();
  token.r = token.k = key.data();
  token.v = value.data();
  token.decay = &decay;
  token.a = token.b = delta ? key.data() : nullptr;
  token.dk = dk;
  token.dv = token.stride = dv;
  token.out = out.data();
  for (auto _ : state) {
    if (delta)
      kernels->qk_recurrence_step_corrected(&token, 0);
    else
      kernels->qk_recurrence_step(&token, 0);
    benchmark::DoNotOptimize(out.data());
  }
  rate(state, "GOP/s", (delta ? 9.0 : 5.0) * dk * dv);
}

void quantize(benchmark::State &state, const Kernels *kernels) {
  constexpr int64_t k = 2048;
  std::vector<uint8_t> row(quern_q8_row_bytes(k));
  for (auto _ : state) {
    kernels->qk_quantize_row(large_buffer().floats(), k, as<QkQ8Row>(row.data()));
    benchmark::DoNotOptimize(row.data());
  }
  rate(state, "GB/s", 4.0 * k);
}

void sum_squares(benchmark::State &state, const Kernels *kernels) {
  constexpr int64_t k = 2048;
  for (auto _ : state)
    benchmark::DoNotOptimize(kernels->qk_sum_squares(large_buffer().floats(), k));
  rate(state, "GB/s", 4.0 * k);
}

void register_all() {
  for (const auto &[name, integer, feature] : {std::tuple("tiles", true, "amx-int8"),
                                               {"vnni", true, "avx512vnni"},
                                               {"fma512", false, "avx512f"},
                                               {"fma256", false, "fma"}})
    if (const std::string_view needed[] = {feature}; device::missing_features(needed).empty())
      benchmark::RegisterBenchmark((std::string("bound/") + name).c_str(), bound_ops, integer,
                                   std::string(feature));
  benchmark::RegisterBenchmark("bound/maddubs", bound_maddubs);
  benchmark::RegisterBenchmark("bound/read/memory", bound_read, kBeyondCaches);
  benchmark::RegisterBenchmark("bound/read/L2", bound_read, size_t{1} << 20);

  // 64 rows of activations.
  constexpr int64_t k = 2048;
  static std::vector<float> x(64 * k);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = static_cast<float>(i % 251) * 0.01f - 1.0f;
  static std::list<std::vector<uint8_t>> of_builds; // each reads what its own quantization wrote

  for (const Build &build : builds()) {
    if (!build.usable || build.name.ends_with("emulated"))
      continue;
    const Kernels *kernels = build.kernels;
    std::vector<uint8_t> &rows = of_builds.emplace_back(64 * quern_q8_row_bytes(k) + 64);
    uint8_t *aligned = rows.data() + (64 - reinterpret_cast<uintptr_t>(rows.data()) % 64) % 64;
    for (int64_t m = 0; m < 64; ++m)
      kernels->qk_quantize_row(x.data() + m * k, k,
                               as<QkQ8Row>(aligned + m * quern_q8_row_bytes(k)));
    const std::string prefix = std::string(build.name.substr(build.name.rfind('-') + 1)) + "/";
#define QK_REGISTER(NAME, FIELDS)                                                                  \
  register_gemm(prefix + #NAME, kernels->qk_gemm_##NAME##_m1, kernels->qk_gemm_##NAME##_rows,      \
                formats::packings::NAME, as<const QkQ8Row>(aligned), quern_q8_row_bytes(k));
    QK_FOR_EACH_QUANTIZED_PACKING(QK_REGISTER)
#undef QK_REGISTER
    register_gemm(prefix + "f32", kernels->qk_gemm_f32_m1, kernels->qk_gemm_f32_rows,
                  {Packing::F32}, x.data(), k);
    register_gemm(prefix + "f16", kernels->qk_gemm_f16_m1, kernels->qk_gemm_f16_rows,
                  {Packing::F16}, x.data(), k);
    register_gemm(prefix + "bf16", kernels->qk_gemm_bf16_m1, kernels->qk_gemm_bf16_rows,
                  {Packing::BF16}, x.data(), k);
    const auto add = [&](const std::string &name, auto run) {
      benchmark::RegisterBenchmark((prefix + name).c_str(), run);
    };
    const auto add_attention = [&](const std::string &format, int height, auto block) {
      const int64_t size = format == "f32" ? 4 : format == "int8" ? 1 : 2;
      for (const auto &[where, bytes] :
           {std::pair("L2", int64_t{256} << 10), {"memory", int64_t{kBeyondCaches}}})
        add("attention/" + format + "/m" + std::to_string(height) + "/" + where,
            [=, bytes = bytes](auto &s) { attention(s, block, height, size, bytes); });
    };
#define QK_REGISTER(M, NAME, T) add_attention(#NAME, M, kernels->qk_attn_block_##NAME##_m##M);
    QK_FOR_EACH_ATTN_BLOCK(QK_REGISTER)
#undef QK_REGISTER
    add("recurrence", [=](auto &s) { recurrence(s, kernels, false); });
    add("recurrence_delta", [=](auto &s) { recurrence(s, kernels, true); });
    add("quantize_row", [=](auto &s) { quantize(s, kernels); });
    add("sum_squares", [=](auto &s) { sum_squares(s, kernels); });
  }
}

} // namespace
} // namespace quern::native

int main(int argc, char **argv) {
  quern::native::register_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv))
    return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
