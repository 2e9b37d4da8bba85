// Quern's own integer formats with scales and mins of two levels: int3 to int6.
#include "ir/formats/GroupRows.h"
#include "ir/formats/Planes.h"
#include "ir/formats/QuantFormat.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace quern::formats {
namespace {

/// A row: [d f32][dmin f32], and blocks of 32: [s u8][m u8][4 bytes a bit of the codes, in planes]
///
/// A scale and a min in a byte each, half a bit a weight together, lose less than one f16 scale
/// without a min, and less than six bits each beside an f16 pair for 256 weights, as Q4_K has them:
/// the eight bits are fine enough for a whole row (docs/decisions/0010-int4-of-two-levels.md).
/// Planes are as in a record of the packing (PackingLayout.h), of one channel.
class TwoLevelInt final : public QuantFormat {
public:
  TwoLevelInt(std::string name, Packing packing)
      : QuantFormat(std::move(name), 32, 2 + 4 * packing.bits, packing, 8),
        highest_(packing.max_code()) {}

  void unpack_block(const std::byte *src, uint8_t *codes, float *scales,
                    float *mins) const override {
    scales[0] = static_cast<float>(load_u8(src));
    mins[0] = static_cast<float>(load_u8(src + 1));
    with_planes(packing(), [&]<int Low, int High>() {
      load_planes<Low, High, kPlaneBytes>(src + 2, 0, codes);
    });
  }

  SuperScales super_scales(const std::byte *row, const std::byte *) const override {
    SuperScales super;
    std::memcpy(&super.scale, row, 4);
    std::memcpy(&super.min, row + 4, 4);
    return super;
  }

  bool can_encode() const override { return true; }
  absl::Status encode_row(const float *src, int64_t n, std::byte *dst) const override {
    const auto tiles = static_cast<size_t>((n + kTile - 1) / kTile);
    std::vector<Octet> values(32 * tiles);
    // The search squares what it is given, and a row's scales are float32: rows of any size are
    // searched as if they were of an ordinary one.
    const int exponent = unusual_exponent(src, n);
    std::vector<float> usual;
    if (exponent != 0) {
      usual.resize(static_cast<size_t>(n));
      std::transform(src, src + n, usual.begin(),
                     [&](float value) { return std::ldexp(value, -exponent); });
    }
    const float *from = exponent == 0 ? src : usual.data();
    for (size_t t = 0; t < tiles; ++t)
      if (absl::Status status =
              load_groups(from, static_cast<int64_t>(t) * kTile, n, 32, kMaxF16, &values[32 * t]);
          !status.ok())
        return status;
    std::vector<ByteFits> fits(tiles);
    SuperScales super = fit_row(values, fits);
    const SuperScales found = super;
    if (exponent != 0)
      super = {std::ldexp(super.scale, exponent), std::ldexp(super.min, exponent)};
    std::memcpy(dst, &super.scale, 4);
    std::memcpy(dst + 4, &super.min, 4);
    dst += header_bytes();
    for (size_t t = 0; t < tiles; ++t) {
      Octet codes[32];
      nearest_codes(&values[32 * t], 32, highest_, found, fits[t], codes);
      const int groups = groups_from(static_cast<int64_t>(t) * kTile, n, 32);
      for (int lane = 0; lane < groups; ++lane, dst += block_bytes()) {
        dst[0] = static_cast<std::byte>(fits[t].scale.of[lane]);
        dst[1] = static_cast<std::byte>(fits[t].min.of[lane]);
        uint8_t of_group[32];
        for (int i = 0; i < 32; ++i)
          of_group[i] = static_cast<uint8_t>(codes[i].of[lane]);
        with_planes(packing(), [&]<int Low, int High>() {
          store_planes<Low, High, kPlaneBytes>(of_group, 0, dst + 2);
        });
      }
    }
    return absl::OkStatus();
  }

protected:
  FloatScales float_scales() const override { return {0, 2, ScaleType::F32}; }

private:
  static constexpr int kTile = 32 * kLanes;
  /// Of a row of four codes, of one channel.
  static constexpr int kPlaneBytes = 4;

  /// The exponent of the row's largest magnitude where its square is no ordinary float, or nearly
  /// none; else 0. What is smaller than 2^-100 is nothing, and stays so.
  static int unusual_exponent(const float *row, int64_t n) {
    float largest = 0;
    for (int64_t i = 0; i < n; ++i)
      largest = std::max(largest, std::fabs(row[i])); // a NaN is refused later
    const bool usual = largest <= kMaxF16 && largest >= 0x1p-30f;
    return usual || largest < 0x1p-100f || std::isinf(largest) ? 0 : std::ilogb(largest);
  }

  /// Super-scales that the largest scale and min reach with 255, and bytes for each group; then the
  /// super-scales that are best for these bytes, and bytes again.
  SuperScales fit_row(const std::vector<Octet> &values, std::vector<ByteFits> &fits) const {
    std::vector<GroupRanges> ranges(fits.size());
    SuperScales super;
    for (size_t t = 0; t < fits.size(); ++t) {
      fit_ranges(&values[32 * t], 32, highest_, ranges[t]);
      super.scale = std::max(super.scale, *std::ranges::max_element(ranges[t].scale.of) / 255);
      super.min = std::max(super.min, -*std::ranges::min_element(ranges[t].min.of) / 255);
    }
    const double error = fit_groups(values, super, ranges, fits);
    const SuperScales better = best_for(fits, super);
    std::vector<ByteFits> again(fits.size());
    if (fit_groups(values, better, ranges, again) < error) {
      fits = std::move(again);
      super = better;
    }
    return super;
  }

  /// Returns the row's squared error.
  double fit_groups(const std::vector<Octet> &values, SuperScales super,
                    const std::vector<GroupRanges> &ranges, std::vector<ByteFits> &fits) const {
    double error = 0;
    for (size_t t = 0; t < fits.size(); ++t) {
      fit_bytes(&values[32 * t], 32, highest_, super, ranges[t], fits[t]);
      for (const float e : fits[t].error.of)
        error += e;
    }
    return error;
  }

  /// Least squares for x = super.scale*(scale*q) - super.min*min over all groups.
  static SuperScales best_for(const std::vector<ByteFits> &fits, SuperScales super) {
    double ss = 0, mm = 0, sm = 0, sx = 0, mx = 0;
    for (const ByteFits &fit : fits)
      for (int lane = 0; lane < kLanes; ++lane) {
        const double scale = fit.scale.of[lane], min = fit.min.of[lane];
        ss += scale * scale * fit.qq.of[lane];
        mm += min * min * 32;
        sm -= scale * min * fit.q.of[lane];
        sx += scale * fit.xq.of[lane];
        mx -= min * fit.x.of[lane];
      }
    const double determinant = ss * mm - sm * sm;
    if (!(determinant > 1e-9 * ss * mm))
      return super;
    const SuperScales best{static_cast<float>((sx * mm - mx * sm) / determinant),
                           static_cast<float>((mx * ss - sx * sm) / determinant)};
    return best.scale > 0 && best.min >= 0 ? best : super;
  }

  int highest_; ///< code
};

} // namespace

std::span<const Format *const> two_level_formats() {
  static const TwoLevelInt int3("int3", packings::q3_g32_z0_min_u8_row);
  static const TwoLevelInt int4("int4", packings::q4_g32_z0_min_u8_row);
  static const TwoLevelInt int5("int5", packings::q5_g32_z0_min_u8_row);
  static const TwoLevelInt int6("int6", packings::q6_g32_z0_min_u8_row);
  static const Format *const formats[] = {&int3, &int4, &int5, &int6};
  return formats;
}

} // namespace quern::formats
