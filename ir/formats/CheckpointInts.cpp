// What other quantizers made: integers of 2 to 8 bits with float32 scales (and mins) of groups of
// 32 or 128, or of whole rows. Nothing is quantized to these: they hold what comes in a checkpoint
// (ir/weights/CodedWeight.h), whose scales may be of any float type, and whose zero points, times a
// scale, are mins of more than f16's 11 bits.
#include "ir/formats/Planes.h"
#include "ir/formats/QuantFormat.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <string>
#include <utility>

namespace quern::formats {
namespace {

/// [scale f32][min f32, if asymmetric][for each 32 codes: 32 int8, or 4 bytes a bit, in planes]
///
/// Of whole rows the scale lies in front of the row instead. Planes are as in a record of the
/// packing (PackingLayout.h), of one channel.
class CheckpointInt final : public QuantFormat {
public:
  CheckpointInt(std::string name, int block, Packing packing)
      : QuantFormat(std::move(name), block,
                    (packing.super == kWholeRow ? 0 : float_bytes(packing)) +
                        packing.bits * block / 8,
                    packing, packing.super == kWholeRow ? float_bytes(packing) : 0) {}

  void unpack_block(const std::byte *src, uint8_t *codes, float *scales,
                    float *mins) const override {
    if (packing().super == 0) {
      scales[0] = load_f32(src);
      if (packing().has_min)
        mins[0] = load_f32(src + 4);
    } else { // the super-scale is the scale
      std::fill(scales, scales + block() / packing().group, 1.0f);
      std::fill(mins, mins + block() / packing().group, 1.0f);
    }
    if (packing().super != kWholeRow)
      src += float_bytes(packing());
    if (packing().bits == 8) {
      for (int i = 0; i < block(); ++i)
        codes[i] = static_cast<uint8_t>(load_u8(src + i) ^ 128);
      return;
    }
    with_planes(packing(), [&]<int Low, int High>() {
      for (int i = 0; i < block(); i += 32, src += 4 * (Low + High))
        load_planes<Low, High, 4>(src, 0, codes + i);
    });
  }

  SuperScales super_scales(const std::byte *row, const std::byte *src) const override {
    const std::byte *at = packing().super == kWholeRow ? row : src;
    return {.scale = load_f32(at), .min = packing().has_min ? -load_f32(at + 4) : 0};
  }

protected:
  FloatScales float_scales() const override {
    return {0, packing().has_min ? 2 : 1, ScaleType::F32};
  }

private:
  static int float_bytes(const Packing &packing) { return packing.has_min ? 8 : 4; }
  static float load_f32(const std::byte *at) {
    float value;
    std::memcpy(&value, at, sizeof value);
    return value;
  }
};

} // namespace

std::span<const Format *const> checkpoint_formats() {
  static const CheckpointInt formats[] = {
      {"int8:sym:f32", 32, packings::q8_g32_z128_f32},
      {"int8:asym:f32", 32, packings::q8_g32_z128_min_f32},
      {"int4:g32:sym:f32", 32, packings::q4_g32_z8_f32},
      {"int4:g32:asym:f32", 32, packings::q4_g32_z0_min_f32},
      {"int2:g128:sym:f32", 128, packings::q2_g32_z2_s128},
      {"int2:g128:asym:f32", 128, packings::q2_g32_z0_min_s128},
      {"int3:g128:sym:f32", 128, packings::q3_g32_z4_s128},
      {"int3:g128:asym:f32", 128, packings::q3_g32_z0_min_s128},
      {"int4:g128:sym:f32", 128, packings::q4_g32_z8_s128},
      {"int4:g128:asym:f32", 128, packings::q4_g32_z0_min_s128},
      {"int8:g128:sym:f32", 128, packings::q8_g32_z128_s128},
      {"int4:row:sym:f32", 32, packings::q4_g32_z8_row},
      {"int8:row:sym:f32", 32, packings::q8_g32_z128_row},
  };
  static const std::array<const Format *, std::size(formats)> all = [] {
    std::array<const Format *, std::size(formats)> list;
    std::ranges::transform(formats, list.begin(), [](const CheckpointInt &of) { return &of; });
    return list;
  }();
  return all;
}

} // namespace quern::formats
