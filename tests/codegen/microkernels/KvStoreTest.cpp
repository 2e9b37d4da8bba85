// Tests that keys and values are stored where a page has them (StepArgs.h), rounded as defined, and
// that nothing else of the page is written.
#include "ir/formats/Half.h"
#include "tests/codegen/microkernels/Support.h"

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

namespace quern::native {
namespace {

constexpr int kPage = QUERN_KV_PAGE, kGroup = QUERN_KV_GROUP;
using StoreKey = decltype(Kernels::qk_store_key_f32);
using StoreValue = decltype(Kernels::qk_store_value_f32);

/// Where number i of `dim` lies, of a key and of a value.
int key_at(int i, int place, int dim) { return (place / 16 * dim + i) * 16 + place % 16; }
int value_at(int i, int place, int dim) {
  const int width = std::min(16, dim - i / 16 * 16);
  return i / 16 * 16 * kPage + place * width + i % 16;
}

struct Stored {
  std::vector<uint8_t> numbers; // of `size` bytes each
  std::vector<float> scales;    // of groups
};

Stored as_floats(const std::vector<float> &x, const std::function<uint16_t(float)> &round) {
  Stored stored;
  for (const float number : x) {
    const uint16_t bits = round(number);
    stored.numbers.push_back(static_cast<uint8_t>(bits & 255));
    stored.numbers.push_back(static_cast<uint8_t>(bits >> 8));
  }
  return stored;
}

Stored as_int8(const std::vector<float> &x) {
  Stored stored;
  for (size_t first = 0; first < x.size(); first += kGroup) {
    const size_t end = std::min(first + kGroup, x.size());
    float amax = 0;
    for (size_t i = first; i < end; ++i)
      amax = std::max(amax, std::abs(x[i]));
    stored.scales.push_back(amax / 127.0f);
    for (size_t i = first; i < end; ++i)
      stored.numbers.push_back(static_cast<uint8_t>(
          static_cast<int8_t>(amax > 0 ? std::nearbyint(x[i] * (127.0f / amax)) : 0.0f)));
  }
  return stored;
}

/// A page's part as it is after `stored` has been put at `place` of it.
std::vector<uint8_t> page_with(std::vector<uint8_t> page, const Stored &stored, int dim, int place,
                               int (*at)(int, int, int)) {
  for (size_t group = 0; group < stored.scales.size(); ++group)
    std::memcpy(&page[4 * (group * kPage + place)], &stored.scales[group], 4);
  const size_t size = stored.numbers.size() / dim;
  for (int i = 0; i < dim; ++i)
    std::memcpy(&page[4 * stored.scales.size() * kPage + size * at(i, place, dim)],
                &stored.numbers[size * i], size);
  return page;
}

TEST(KvStore, PutsKeysAndValuesInTheirPlaces) {
  Random random(6);
  for (const int dim : {1, 16, 31, 32, 64, 80, 100})
    for (const int place : {0, 5, 16, 63}) {
      std::vector<float> x = random.units(dim, 3);
      if (dim == 64)
        std::fill(x.begin(), x.begin() + 32, 0.0f); // a group without a scale
      Stored f32;
      f32.numbers.resize(4 * dim);
      std::memcpy(f32.numbers.data(), x.data(), 4 * dim);
      const Stored f16 = as_floats(x, formats::f32_to_f16),
                   bf16 = as_floats(x, formats::f32_to_bf16), int8 = as_int8(x);
      for (const Build &build : usable_builds()) {
        const Kernels &k = *build.kernels;
        const std::tuple<const Stored &, StoreKey, StoreValue> formats[] = {
            {f32, k.qk_store_key_f32, k.qk_store_value_f32},
            {f16, k.qk_store_key_f16, k.qk_store_value_f16},
            {bf16, k.qk_store_key_bf16, k.qk_store_value_bf16},
            {int8, k.qk_store_key_int8, k.qk_store_value_int8}};
        for (const auto &[stored, key, value] : formats) {
          const size_t bytes = kPage * (stored.numbers.size() + 4 * stored.scales.size());
          const std::vector<uint8_t> before(bytes, 0xee);
          std::vector<uint8_t> keys = before, values = before;
          key(x.data(), dim, as<QkKeys>(keys.data()), place);
          value(x.data(), dim, as<QkValues>(values.data()), place);
          const std::string what = std::string(build.name) + " dim=" + std::to_string(dim) +
                                   " place=" + std::to_string(place) + " bytes a number: " +
                                   std::to_string(stored.numbers.size() / dim);
          EXPECT_EQ(keys, page_with(before, stored, dim, place, key_at)) << what;
          EXPECT_EQ(values, page_with(before, stored, dim, place, value_at)) << what;
        }
      }
    }
}

// Tests that what is finite stays so, and what is not stays that: one infinite number of a key
// makes every score infinite, and their differences NaN.
TEST(KvStore, NumbersBeyondAFormatBecomeItsLargest) {
  constexpr float kMost = std::numeric_limits<float>::max(), kInf = INFINITY, kNaN = NAN;
  const std::vector<float> x = {65504, -65519, 65520, -70000, 1e6f, -kMost, kInf, -kInf, kNaN, 1};
  std::vector<float> f16 = {65504, -65504, 65504, -65504, 65504, -65504, kInf, -kInf, kNaN, 1};
  std::vector<float> bf16;
  for (const float number : x)
    bf16.push_back(formats::bf16_to_f32(formats::f32_to_bf16(number)));
  bf16[5] = formats::bf16_to_f32(0xff7f);
  const auto dim = static_cast<int>(x.size());
  for (const Build &build : usable_builds()) {
    const Kernels &k = *build.kernels;
    const std::tuple<StoreKey, StoreValue, float (*)(uint16_t), const std::vector<float> &>
        formats[] = {{k.qk_store_key_f16, k.qk_store_value_f16, formats::f16_to_f32, f16},
                     {k.qk_store_key_bf16, k.qk_store_value_bf16, formats::bf16_to_f32, bf16}};
    for (const auto &[key, value, widen, want] : formats) {
      std::vector<uint16_t> keys(static_cast<size_t>(kPage * dim)), values = keys;
      key(x.data(), dim, as<QkKeys>(keys.data()), 5);
      value(x.data(), dim, as<QkValues>(values.data()), 5);
      for (int i = 0; i < dim; ++i) {
        const float wanted = want[static_cast<size_t>(i)];
        for (const float got : {widen(keys[static_cast<size_t>(key_at(i, 5, dim))]),
                                widen(values[static_cast<size_t>(value_at(i, 5, dim))])})
          EXPECT_TRUE(std::isnan(wanted) ? std::isnan(got) : got == wanted)
              << build.name << ": " << x[static_cast<size_t>(i)] << " became " << got;
      }
    }
  }
}

// Tests that rows become the first positions of a page, that what fills the last sixteen keys is 0,
// and that nothing else is written: what lies there belongs to the rows before.
TEST(KvStore, PacksRowsAsAPagesFirst) {
  Random random(7);
  constexpr float kBefore = 1e9f;
  for (const int dim : {1, 16, 24, 48, 100})
    for (const int count : {1, 15, 16, 17, kPage}) {
      const int stride = dim + 5;
      const std::vector<float> rows = random.units(count * stride, 3);
      std::vector<float> keys(kPage * dim, kBefore), values = keys;
      for (int place = 0; place < (count + 15) / 16 * 16; ++place)
        for (int i = 0; i < dim; ++i)
          keys[key_at(i, place, dim)] = place < count ? rows[place * stride + i] : 0.0f;
      for (int place = 0; place < count; ++place)
        for (int i = 0; i < dim; ++i)
          values[value_at(i, place, dim)] = rows[place * stride + i];
      for (const Build &build : usable_builds()) {
        SCOPED_TRACE(std::string(build.name) + " dim " + std::to_string(dim) + " count " +
                     std::to_string(count));
        std::vector<float> packed(kPage * dim, kBefore);
        build.kernels->qk_pack_keys(rows.data(), stride, count, dim,
                                    reinterpret_cast<QkKeys *>(packed.data()));
        EXPECT_EQ(packed, keys);
        packed.assign(kPage * dim, kBefore);
        build.kernels->qk_pack_values(rows.data(), stride, count, dim,
                                      reinterpret_cast<QkValues *>(packed.data()));
        EXPECT_EQ(packed, values);
      }
    }
}

} // namespace
} // namespace quern::native
