// Tests of the products that decoding runs, through NVRTC and the interpreter of PTX: their error,
// that a row's bits depend on nothing else, and what they read.
#include "codegen/cpu/microkernels/Microkernels.h"
#include "codegen/cpu/microkernels/Native.h"
#include "codegen/cuda/Nvrtc.h"
#include "codegen/cuda/device/StreamedShape.h"
#include "ir/formats/PackedRow.h"
#include "ir/formats/PackingTable.h"
#include "tests/codegen/cuda/NeedsNvrtc.h"
#include "tests/ir/formats/RandomPanel.h"
#include "tests/ptx/Interpreter.h"
#include "tests/ptx/Memory.h"
#include "tests/ptx/Watch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

namespace quern::cuda {
namespace {

using formats::Packing;

struct NamedPacking {
  const char *name;
  Packing packing;
};
#define QUERN_NAMED(NAME, FIELDS) {#NAME, formats::packings::NAME},
const NamedPacking kPackings[] = {
    QUERN_FOR_EACH_PACKING(QUERN_NAMED){"f32", {.kind = Packing::F32}},
    {"f16", {.kind = Packing::F16}},
    {"bf16", {.kind = Packing::BF16}}};

const NamedPacking &named(std::string_view name) {
  return *std::ranges::find(kPackings, name, &NamedPacking::name);
}

std::string text_of(const NamedPacking &of) {
  const Packing &p = of.packing;
  if (p.is_float())
    return p.kind == Packing::F32 ? "kF32" : p.kind == Packing::F16 ? "kF16" : "kBf16";
  return std::string("packings::") + of.name;
}

/// A kernel that is the product and nothing else: y[row][channel], for up to 1 row or 8.
std::string source(const NamedPacking &of, int channels, int inputs, int rows) {
  const std::string type = of.packing.is_float() ? "StreamedFloatProduct" : "StreamedQ8Product";
  const auto number = [](int64_t value) { return std::to_string(value); };
  const std::string n = number(channels), panels = number(Packing::panels(channels));
  return "#include \"codegen/cuda/device/" + type +
         ".cuh\"\n"
         "using namespace quern;\n"
         "extern \"C\" __global__ void __launch_bounds__(256, 2)\n"
         "product(const u8 *weights, const u8 *x, float *y, int rows) {\n"
         "  extern __shared__ __align__(128) u8 shared[];\n"
         "  constexpr StreamedShape kShape = streamed_shape(" +
         text_of(of) + ", " + panels + ", " + number(inputs) + ", " + number(rows) +
         ");\n"
         "  constexpr int kWidth = kShape.panels * 16, kItems = " +
         panels +
         " / kShape.panels;\n"
         "  const int worker = blockIdx.x, workers = gridDim.x;\n"
         "  const auto panel_of = [=](int n) { return (worker + n * workers) * kShape.panels; };\n"
         "  using Product = " +
         type + "<kShape, " + n +
         ", decltype(panel_of)>;\n"
         "  float *tile = reinterpret_cast<float *>(shared);\n"
         "  Product product(weights, shared + Product::kRows * kWidth * 4, panel_of,\n"
         "                  ceil_div(kItems - worker, workers));\n"
         "  for (int item = worker; item < kItems; item += workers) {\n"
         "    product.multiply<kWidth>(x, rows, tile);\n"
         "    for (int i = thread(); i < rows * kWidth; i += kThreads)\n"
         "      if (const int channel = item * kWidth + i % kWidth; channel < " +
         n +
         ")\n"
         "        y[i / kWidth * " +
         n +
         " + channel] = tile[i];\n"
         "    __syncthreads();\n"
         "  }\n"
         "}\n";
}

/// Weights of random codes and scales; what they mean.
struct Weights {
  std::vector<uint8_t> bytes;
  std::vector<float> values; // [channels][inputs]
};

Weights random_weights(const NamedPacking &named, int channels, int inputs, std::mt19937 &random) {
  const Packing &p = named.packing;
  Weights weights;
  weights.bytes.resize(p.bytes(channels, inputs));
  std::normal_distribution<float> normal;
  for (int64_t panel = 0; panel < Packing::panels(channels); ++panel) {
    uint8_t *at = weights.bytes.data() + panel * p.panel_bytes(inputs);
    for (int64_t i = 0; p.is_float() && i < int64_t{inputs} * 16; ++i) {
      const float value = panel * 16 + i % 16 < channels ? normal(random) : 0;
      const uint16_t half =
          p.kind == Packing::F16 ? formats::f32_to_f16(value) : formats::f32_to_bf16(value);
      p.kind == Packing::F32 ? memcpy(at + 4 * i, &value, 4) : memcpy(at + 2 * i, &half, 2);
    }
    if (!p.is_float()) {
      const std::vector<uint8_t> made =
          formats::random_panel(p, inputs, [&] { return static_cast<uint32_t>(random()); }, false,
                                {.scale = 1, .min = 1, .super = 0.05f});
      std::ranges::copy(made, at);
    }
  }
  weights.values.resize(size_t(channels) * inputs);
  for (int n = 0; n < channels; ++n)
    decode_packed_row(p, weights.bytes.data() + n / 16 * p.panel_bytes(inputs), n % 16, inputs,
                      weights.values.data() + size_t(n) * inputs);
  return weights;
}

/// Rows as the product takes them; what they mean.
struct Rows {
  std::vector<uint8_t> bytes;
  std::vector<double> values; // [rows][inputs]
  int64_t stride;
};

Rows random_rows(bool quantized, int rows, int inputs, std::mt19937 &random) {
  std::normal_distribution<float> normal;
  Rows made{{}, {}, quantized ? quern_q8_row_bytes(inputs) : inputs * int64_t{4}};
  made.bytes.resize(rows * made.stride);
  for (int m = 0; m < rows; ++m) {
    std::vector<float> row(inputs);
    for (float &value : row)
      value = normal(random);
    uint8_t *at = made.bytes.data() + m * made.stride;
    if (!quantized) {
      memcpy(at, row.data(), 4 * row.size());
      made.values.insert(made.values.end(), row.begin(), row.end());
      continue;
    }
    native::builds().front().kernels->qk_quantize_row(row.data(), inputs,
                                                      reinterpret_cast<QkQ8Row *>(at));
    const auto *pairs = reinterpret_cast<const QuernQ8Pair *>(at + (inputs + 31) / 32 * 32);
    for (int k = 0; k < inputs; ++k)
      made.values.push_back(double(pairs[k / 32].scale) * (k % 32 < 16 ? 1 : pairs[k / 32].ratio) *
                            static_cast<int8_t>(at[k]));
  }
  return made;
}

/// Detectors, counters, and the bytes that lanes ask of the weights.
class Traffic : public ptx::Watch {
public:
  explicit Traffic(ptx::Device &device) : Watch(ptx::kDeviceBase, device.memory().reserve()) {}
  void of(uint64_t first, uint64_t bytes) {
    first_ = first;
    end_ = first + bytes;
    asked = 0;
  }
  void access(const ptx::Warp &warp, const ptx::Instr &instr, const ptx::Access &access) override {
    for (int lane = 0; lane < 32; ++lane)
      if (access.space == ptx::Space::Global && access.mask >> lane & 1 &&
          access.address[lane] >= first_ && access.address[lane] < end_)
        asked += access.bytes;
    Watch::access(warp, instr, access);
  }

  uint64_t asked = 0;

private:
  uint64_t first_ = 0, end_ = 0;
};

class Product {
public:
  Product(const NamedPacking &named, int channels, int inputs, int rows, const Compiled &compiled)
      : traffic(device_), channels_(channels),
        shape_(streamed_shape(named.packing, Packing::panels(channels), inputs, rows)) {
    auto module = device_.load(compiled.ptx);
    EXPECT_TRUE(module.ok()) << module.status();
    if (module.ok())
      module_ = *module;
    device_.set_observer(&traffic);
  }

  /// The rows' products with `grid` blocks; empty where something was wrong.
  std::vector<float> run(const Weights &weights, const Rows &x, int rows, int grid,
                         bool count = false) {
    if (!module_)
      return {};
    const ptx::u64 w = device_.put(weights.bytes);
    const ptx::u64 of_x = device_.allocate(rows * x.stride);
    device_.write(of_x, x.bytes.data(), rows * x.stride);
    const ptx::u64 y = device_.allocate(4 * size_t(rows) * channels_);
    traffic.of(w, weights.bytes.size());
    traffic.count(count);
    const auto report =
        device_.launch(*module_, "product",
                       {.grid = {static_cast<ptx::u32>(grid), 1, 1},
                        .block = {256, 1, 1},
                        .dynamic_shared = static_cast<ptx::u32>(shape_.shared_bytes() +
                                                                shape_.rows * shape_.panels * 64)},
                       ptx::Arguments().add(w).add(of_x).add(y).add(rows));
    EXPECT_TRUE(report.ok()) << report.status();
    if (!report.ok())
      return {};
    EXPECT_FALSE(*report) << (*report)->text();
    std::vector<float> made = device_.get<float>(y, size_t(rows) * channels_);
    for (const ptx::u64 at : {w, of_x, y})
      device_.free(at);
    return made;
  }

  const StreamedShape &shape() const { return shape_; }

private:
  ptx::Device device_;

public:
  Traffic traffic;

private:
  int channels_;
  StreamedShape shape_;
  const ptx::Module *module_ = nullptr;
};

/// Largest difference from the exact sums, of their root mean square.
double error(const std::vector<float> &y, const Weights &weights, const Rows &x, int channels,
             int inputs) {
  double worst = 0, squares = 0;
  for (size_t i = 0; i < y.size(); ++i) {
    const double *row = x.values.data() + i / channels * inputs;
    const float *w = weights.values.data() + i % channels * inputs;
    double sum = 0;
    for (int k = 0; k < inputs; ++k)
      sum += row[k] * w[k];
    const double off = std::abs(sum - y[i]);
    worst = off <= worst ? worst : off;
    squares += sum * sum;
  }
  return worst / std::sqrt(squares / y.size());
}

struct Case {
  int channels, inputs;
};

/// Compiles for up to one row and for up to eight.
std::vector<Compiled> compiled(std::span<const NamedPacking *const> packings, const Case &c) {
  std::vector<std::string> sources;
  for (const NamedPacking *named : packings)
    for (const int rows : {1, 8})
      sources.push_back(source(*named, c.channels, c.inputs, rows));
  std::vector<CompileJob> jobs;
  for (const std::string &text : sources)
    jobs.push_back({.name = "product", .source = text, .arch = "sm_80"});
  // A program that has not changed compiles the same again.
  auto all = compile_all(jobs, {.threads = 2, .cache = QUERN_BINARY_DIR "/Testing/nvrtc"});
  EXPECT_TRUE(all.ok()) << all.status();
  return all.ok() ? *std::move(all) : std::vector<Compiled>();
}

/// Runs 1 to 8 rows on several grids: errors, bits, reports, spills, what is read.
void check(const NamedPacking &named, const Case &c, std::span<const Compiled> made) {
  SCOPED_TRACE(std::string(named.name) + " " + std::to_string(c.channels) + " x " +
               std::to_string(c.inputs));
  std::mt19937 random(7);
  const Weights weights = random_weights(named, c.channels, c.inputs, random);
  const Rows x = random_rows(!named.packing.is_float(), 8, c.inputs, random);
  const int panels = static_cast<int>(Packing::panels(c.channels));
  std::vector<float> all;
  for (const int most : {8, 1}) {
    const Compiled &code = made[most == 1 ? 0 : 1];
    EXPECT_EQ(code.functions[0].spilled, 0);
    EXPECT_EQ(code.local, 0);
    Product product(named, c.channels, c.inputs, most, code);
    for (int rows = most; rows >= 1; --rows) {
      const bool counted = (rows & (rows - 1)) == 0; // for others the same code runs
      const std::vector<float> y = product.run(weights, x, rows, rows % 2 ? 3 : panels, counted);
      ASSERT_EQ(y.size(), size_t(rows) * c.channels);
      if (all.empty()) {
        all = y;
        EXPECT_LT(error(y, weights, x, c.channels, c.inputs), 2e-6);
      }
      EXPECT_EQ(memcmp(y.data(), all.data(), 4 * y.size()), 0) << rows << " of up to " << most;
      if (!counted)
        continue;
      // Each byte of the weights once, but for what stands in front of a panel, which every warp
      // reads that has a part of it.
      const StreamedShape &shape = product.shape();
      const int64_t again =
          panels * (std::min<int64_t>(shape.parts(), shape.units()) - 1) * shape.head_bytes();
      EXPECT_EQ(product.traffic.asked, weights.bytes.size() + again);
      // Rows of trits that follow one another are not all neighbours; a lattice's scale may be in
      // its record, of 128 bytes, and four pairs' are read at once.
      EXPECT_LE(product.traffic.counting()->kernels().front().worst_conflict,
                named.packing.layout == formats::CodeLayout::Planes  ? 2u
                : named.packing.layout == formats::CodeLayout::Trits ? 3u
                                                                     : 4u);
    }
  }
}

TEST(StreamedProducts, OfEveryPackingAreExactUpToRounding) {
  QUERN_NEEDS_NVRTC();
  // Panels that no block has as many of; pairs that fill no unit.
  const Case c{72, 1056};
  std::vector<const NamedPacking *> packings;
  for (const NamedPacking &named : kPackings)
    packings.push_back(&named);
  const std::vector<Compiled> made = compiled(packings, c);
  ASSERT_EQ(made.size(), 2 * packings.size());
  for (size_t i = 0; i < packings.size(); ++i)
    check(*packings[i], c, std::span(made).subspan(2 * i, 2));
}

TEST(StreamedProducts, OfOddShapes) {
  QUERN_NEEDS_NVRTC();
  const NamedPacking *some[] = {&named("q4_g32_z8_f16"), &named("q4_g32_z0_min_u8_s256"),
                                &named("q6_g16_z32_i8_s256"), &named("bf16")};
  for (const Case &c : {Case{1, 1}, Case{16, 32}, Case{33, 97}, Case{8192, 40}}) {
    const std::vector<Compiled> made = compiled(some, c);
    ASSERT_EQ(made.size(), 2 * std::size(some));
    for (size_t i = 0; i < std::size(some); ++i)
      check(*some[i], c, std::span(made).subspan(2 * i, 2));
  }
}

/// Tests that no GPU since the A100 has too little shared memory for a product of common shapes,
/// and that a row alone is held and memory kept busy all the same.
TEST(StreamedProducts, FitIntoTheSharedMemoryOfEveryGpu) {
  for (const NamedPacking &named : kPackings)
    for (const int inputs : {1, 576, 1536, 2048, 4096, 5120, 8192, 14336, 28672})
      for (const int panels : {1, 36, 256, 1024, 8016})
        for (const int rows : {1, 8}) {
          SCOPED_TRACE(std::string(named.name) + " " + std::to_string(inputs) + " of " +
                       std::to_string(rows));
          const StreamedShape shape = streamed_shape(named.packing, panels, inputs, rows);
          EXPECT_LE(shape.shared_bytes() + 3 * rows * std::max(shape.panels, 2) * 64, 99 << 10);
          EXPECT_GE(shape.ring_bytes() + shape.stage_bytes() * StreamedShape::kWarps, 24 << 10);
          if (rows == 1 && inputs <= 14336 && shape.stage_bytes() < 5000)
            EXPECT_TRUE(shape.holds_rows(1));
          if (rows == 8 && inputs <= 4096 && shape.stage_bytes() <= 2560 && shape.is_integer() &&
              panels < 8000)
            EXPECT_TRUE(shape.holds_rows(8));
        }
}

TEST(StreamedProducts, OfRowsThatSharedMemoryDoesNotHold) {
  QUERN_NEEDS_NVRTC();
  const NamedPacking *some[] = {&named("q4_g32_z0_min_f16"), &named("f16")};
  const Case c{32, 11008};
  const std::vector<Compiled> made = compiled(some, c);
  ASSERT_EQ(made.size(), 2 * std::size(some));
  for (size_t i = 0; i < std::size(some); ++i) {
    const StreamedShape shape = streamed_shape(some[i]->packing, 2, c.inputs, 8);
    EXPECT_FALSE(shape.holds_rows(8));
    check(*some[i], c, std::span(made).subspan(2 * i, 2));
  }
}

TEST(StreamedProducts, ANanStaysInItsRow) {
  QUERN_NEEDS_NVRTC();
  const NamedPacking &of = named("q4_g32_z0_min_f16");
  const NamedPacking *some[] = {&of};
  const Case c{32, 128};
  const std::vector<Compiled> made = compiled(some, c);
  ASSERT_EQ(made.size(), 2u);
  std::mt19937 random(7);
  const Weights weights = random_weights(of, c.channels, c.inputs, random);
  Rows x = random_rows(true, 3, c.inputs, random);
  Product product(of, c.channels, c.inputs, 8, made[1]);
  const std::vector<float> before = product.run(weights, x, 3, 2);
  const float nan = std::nanf("");
  memcpy(x.bytes.data() + x.stride + c.inputs, &nan, 4); // the scale of row 1's first pair
  memset(x.bytes.data() + x.stride, 0, 32);
  const std::vector<float> after = product.run(weights, x, 3, 2);
  ASSERT_EQ(after.size(), before.size());
  for (size_t i = 0; i < after.size(); ++i)
    if (i / c.channels == 1)
      EXPECT_TRUE(std::isnan(after[i])) << i;
    else
      EXPECT_EQ(after[i], before[i]) << i;
}

} // namespace
} // namespace quern::cuda
