#include "ir/formats/Format.h"

#include "ir/formats/QuantFormat.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <vector>

namespace quern::formats {

absl::Status Format::encode_row(const float *, int64_t, std::byte *) const {
  return absl::UnimplementedError(
      absl::StrCat("Quern reads ", name_, " but does not quantize to it; use int8 or int4"));
}

void Format::unpack_block(const std::byte *, uint8_t *, float *, float *) const {
  // A float format has no codes; Packing.cpp asks is_float() first.
}

void Format::unpack_places(const std::byte *, LatticeBlock &) const {
  // Likewise, where codes are no lattice's.
}

SuperScales Format::super_scales(const std::byte *, const std::byte *) const {
  return {}; // of formats whose packing has none
}

bool Format::has_finite_scales(const std::byte *src, int64_t n) const {
  const FloatScales scales = float_scales();
  const int64_t blocks = header_bytes_ > 0 ? 1 : (n + block_ - 1) / block_;
  bool finite = true;
  for (int64_t i = 0; i < blocks; ++i, src += block_bytes_)
    for (int k = 0; k < scales.count; ++k) {
      const std::byte *at = src + scales.offset + k * scale_bytes(scales.type);
      if (scales.type == ScaleType::F16) {
        finite &= (load_u16(at) & 0x7c00u) != 0x7c00u;
      } else {
        uint32_t bits;
        std::memcpy(&bits, at, sizeof bits);
        finite &= (bits & 0x7f800000u) != 0x7f800000u;
      }
    }
  return finite;
}

std::span<const Format *const> all_formats() {
  static const std::vector<const Format *> table = [] {
    std::vector<const Format *> formats;
    for (const auto family : {float_formats(), legacy_block_formats(), k_quant_formats(),
                              codebook_formats(), ternary_formats(), lattice_formats(),
                              int_formats(), two_level_formats(), checkpoint_formats()})
      formats.insert(formats.end(), family.begin(), family.end());
    return formats;
  }();
  return table;
}

const Format *find_format(std::string_view name) {
  for (const Format *format : all_formats())
    if (format->name() == name)
      return format;
  return nullptr;
}

absl::StatusOr<const Format *> require_format(std::string_view name) {
  if (const Format *format = find_format(name))
    return format;
  return absl::NotFoundError(
      absl::StrCat("no weight format is named '", std::string(name), "'; there are ",
                   absl::StrJoin(all_formats(), ", ", [](std::string *out, const Format *format) {
                     *out += format->name();
                   })));
}

std::string quant_choices() {
  std::vector<const Format *> plain; // `int4` has options, which are formats' names too
  for (const Format *format : all_formats())
    if (format->can_encode() && !absl::StrContains(format->name(), ':'))
      plain.insert(std::ranges::upper_bound(plain, format->bits_per_weight(), std::greater<>(),
                                            &Format::bits_per_weight),
                   format);
  std::string choices = "keep";
  for (const Format *format : plain)
    absl::StrAppend(&choices, ", ", format->name(),
                    format->name() == "int4" ? "[:g32|g64|g128][,sym|asym]" : "");
  return choices;
}

absl::StatusOr<QuantChoice> parse_quant_flag(std::string_view flag) {
  const auto wrong = [&](const std::string &what) {
    return absl::InvalidArgumentError(
        absl::StrCat("--quant ", std::string(flag), ": ", what, "; one of ", quant_choices()));
  };
  const std::vector<std::string> words = absl::StrSplit(std::string(flag), absl::ByAnyChar(":,"));
  const std::string &base = words[0];
  const Format *plain = find_format(base);
  if (base != "keep" && !(plain && plain->can_encode()))
    return wrong(absl::StrCat("'", base, "' is not a format to quantize to"));
  if (words.size() == 1)
    return QuantChoice{plain};
  if (base != "int4")
    return wrong(absl::StrCat("'", base, "' takes no options"));
  std::string group, symmetry;
  for (size_t i = 1; i < words.size(); ++i) {
    const std::string &word = words[i];
    const bool is_group = word == "g32" || word == "g64" || word == "g128";
    if (!is_group && word != "sym" && word != "asym")
      return wrong(absl::StrCat("'", word, "' is not an option of int4"));
    std::string &option = is_group ? group : symmetry;
    if (!option.empty())
      return wrong(absl::StrCat("'", option, "' and '", word, "' are both given"));
    option = word;
  }
  if (group.empty())
    group = "g32";
  if (symmetry.empty())
    symmetry = "sym";
  return QuantChoice{find_format(absl::StrCat("int4:", group, ":", symmetry))};
}

void ErrorStats::add(const float *original, const float *decoded, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const double error = static_cast<double>(original[i]) - static_cast<double>(decoded[i]);
    sum_squared_error += error * error;
    sum_squares += static_cast<double>(original[i]) * static_cast<double>(original[i]);
    max_error = std::max(max_error, std::fabs(error));
  }
  count += n;
}

void ErrorStats::add(const ErrorStats &other) {
  count += other.count;
  sum_squared_error += other.sum_squared_error;
  sum_squares += other.sum_squares;
  max_error = std::max(max_error, other.max_error);
}

double ErrorStats::rmse() const {
  return count == 0 ? 0 : std::sqrt(sum_squared_error / static_cast<double>(count));
}

double ErrorStats::relative_energy() const {
  if (sum_squared_error == 0)
    return 0;
  return sum_squared_error / sum_squares;
}

} // namespace quern::formats
