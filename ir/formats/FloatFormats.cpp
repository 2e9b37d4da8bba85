// f32, f16 and bf16: elements one after another, little-endian.
#include "ir/formats/QuantFormat.h"

#include <absl/strings/str_cat.h>

#include <cmath>
#include <cstring>

namespace quern::formats {
namespace {

class F32 final : public Format {
public:
  F32() : Format("f32", 1, 4, {.kind = Packing::F32}) {}
  void decode_row(const std::byte *src, int64_t n, float *dst) const override {
    std::memcpy(dst, src, static_cast<size_t>(n) * 4);
  }
  bool can_encode() const override { return true; }
  absl::Status encode_row(const float *src, int64_t n, std::byte *dst) const override {
    std::memcpy(dst, src, static_cast<size_t>(n) * 4);
    return absl::OkStatus();
  }
};

class F16 final : public Format {
public:
  F16() : Format("f16", 1, 2, {.kind = Packing::F16}) {}
  void decode_row(const std::byte *src, int64_t n, float *dst) const override {
    for (int64_t i = 0; i < n; ++i)
      dst[i] = load_f16(src + 2 * i);
  }
  bool can_encode() const override { return true; }
  absl::Status encode_row(const float *src, int64_t n, std::byte *dst) const override {
    for (int64_t i = 0; i < n; ++i) {
      const uint16_t bits = f32_to_f16(src[i]);
      if ((bits & 0x7fff) == 0x7c00 && std::isfinite(src[i]))
        return absl::OutOfRangeError(absl::StrCat("element ", i, " is ", src[i],
                                                  ", beyond f16's 65504\nhint: --quant bf16"));
      store_u16(dst + 2 * i, bits);
    }
    return absl::OkStatus();
  }
};

class BF16 final : public Format {
public:
  BF16() : Format("bf16", 1, 2, {.kind = Packing::BF16}) {}
  void decode_row(const std::byte *src, int64_t n, float *dst) const override {
    for (int64_t i = 0; i < n; ++i)
      dst[i] = bf16_to_f32(load_u16(src + 2 * i));
  }
  bool can_encode() const override { return true; }
  absl::Status encode_row(const float *src, int64_t n, std::byte *dst) const override {
    for (int64_t i = 0; i < n; ++i) {
      const uint16_t bits = f32_to_bf16(src[i]);
      if ((bits & 0x7fff) == 0x7f80 && std::isfinite(src[i]))
        return absl::OutOfRangeError(absl::StrCat("element ", i, " is ", src[i],
                                                  ", beyond bf16's 3.39e38\nhint: --quant f32"));
      store_u16(dst + 2 * i, bits);
    }
    return absl::OkStatus();
  }
};

} // namespace

std::span<const Format *const> float_formats() {
  static const F32 f32;
  static const F16 f16;
  static const BF16 bf16;
  static const Format *const formats[] = {&f32, &f16, &bf16};
  return formats;
}

} // namespace quern::formats
