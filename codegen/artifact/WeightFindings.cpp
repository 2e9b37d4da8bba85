#include "codegen/artifact/WeightFindings.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>

namespace quern::artifact {
namespace {

using formats::Format;

// Of a tensor's energy, what its format may lose. Least squares leave a twentieth of it even where
// four bits are shared by 128 elements, a quarter where outliers take their groups' whole range;
// beyond, what is left is another tensor.
constexpr double kMostLost = 0.25;
// One group in so many may be left with its outlier alone before it is worth a note.
constexpr int64_t kGroupsToOneWiped = 256;
// What is as small as this is no weight, but what training left where there was nothing to learn.
constexpr float kNothing = 1e-12f;
// Notes of one kind that name their tensors, before the rest are only counted.
constexpr size_t kNamed = 8;

// The share of an element (root mean square) whose loss is worth a note: several times what the
// format's bits cost where nothing is out of the ordinary.
double notable_error(const Format &format) {
  if (format.block() == 1)
    return 0.02;
  return format.packing().bits == 8 ? 0.05 : 0.3;
}

template <class Bits> struct FloatBits {
  Bits exponent, magnitude;
};
constexpr FloatBits<uint32_t> kF32{0x7f800000, 0x7fffffff};
constexpr FloatBits<uint16_t> kF16{0x7c00, 0x7fff}, kBF16{0x7f80, 0x7fff};

struct Scan {
  bool special = false; // something is NaN or infinite
  bool nonzero = false;
};

// By their bits, and without a branch: as fast as memory is read.
template <class Bits>
Scan scan_floats(const std::byte *at, int64_t elements, const FloatBits<Bits> &type) {
  Bits any = 0, special = 0;
  for (int64_t i = 0; i < elements; ++i) {
    Bits bits;
    std::memcpy(&bits, at + i * int64_t{sizeof bits}, sizeof bits);
    any |= bits & type.magnitude;
    special = static_cast<Bits>(special | ((bits & type.exponent) == type.exponent));
  }
  return {special != 0, any != 0};
}

Scan scan_stored(const Format &format, const std::byte *row, int64_t elements) {
  if (format.block_bytes() == 4)
    return scan_floats(row, elements, kF32);
  return scan_floats(row, elements, format.packing().kind == formats::Packing::F16 ? kF16 : kBF16);
}

std::string place(const std::vector<int64_t> &shape, int64_t index) {
  std::vector<int64_t> at(shape.size());
  for (size_t dim = shape.size(); dim-- > 0;) {
    at[dim] = index % std::max<int64_t>(1, shape[dim]);
    index /= std::max<int64_t>(1, shape[dim]);
  }
  return absl::StrCat("[", absl::StrJoin(at, ", "), "]");
}

std::string not_finite_note(const TensorFinding &tensor) {
  const int64_t count = std::min(tensor.not_finite, tensor.elements());
  return absl::StrFormat("%s: %d of its %d elements %s not finite, the first, %s, is %s: what "
                         "depends on %s is no number",
                         tensor.name, count, tensor.elements(), count == 1 ? "is" : "are",
                         place(tensor.shape, tensor.first),
                         std::isnan(tensor.first_value) ? "NaN"
                         : tensor.first_value > 0       ? "inf"
                                                        : "-inf",
                         count == 1 ? "it" : "them");
}

std::string why_lost(const ConversionFinding &found) {
  const formats::Packing &packing = found.format->packing();
  const bool f16_scales =
      !packing.is_float() && packing.super == 0 && packing.scale == formats::ScaleType::F16;
  if (f16_scales && found.largest < 1e-3f)
    return absl::StrFormat("its largest element is %g, and the format's scales are f16, which ends "
                           "at 6e-8",
                           found.largest);
  if (packing.kind == formats::Packing::F16 && found.largest < 1e-3f)
    return absl::StrFormat("its largest element is %g, and f16 ends at 6e-8", found.largest);
  return absl::StrFormat("its largest element is %g", found.largest);
}

std::string percent_lost(const ConversionFinding &found) {
  const double share = std::sqrt(found.error.relative_energy());
  return share > 1.005 ? "more than all" : absl::StrFormat("%.0f %%", 100 * share);
}

// A flag under which the tensor keeps what it is.
const char *wider(const ConversionFinding &found) {
  // bf16 ends a little before float32 does, and has next to no digits below its normal numbers.
  const bool fits_bf16 = found.largest < 0x1.ffp127f && found.largest >= 0x1p-120f;
  return found.format->name() == "bf16" || !fits_bf16 ? "--quant f32" : "--quant bf16";
}

// The first `kNamed` of notes about tensors, and how many more there are.
void append_some(std::vector<std::string> &notes, const std::vector<std::string> &of_a_kind,
                 const char *kind) {
  const size_t named = std::min(of_a_kind.size(), kNamed);
  notes.insert(notes.end(), of_a_kind.begin(),
               of_a_kind.begin() + static_cast<std::ptrdiff_t>(named));
  if (of_a_kind.size() > named)
    notes.push_back(absl::StrCat(of_a_kind.size() - named, " more tensors ", kind));
}

} // namespace

int64_t TensorFinding::elements() const {
  int64_t elements = 1;
  for (const int64_t dim : shape)
    elements *= dim;
  return elements;
}

void TensorFinding::add(const TensorFinding &other) {
  zero &= other.zero;
  not_finite += other.not_finite;
  if (other.first < first) {
    first = other.first;
    first_value = other.first_value;
  }
}

void TensorFinding::look(const Format &format, const std::byte *row, int64_t count, int64_t at) {
  // Of blocks, the scales say what is not finite; whether all are zeros is mostly clear with the
  // first row.
  const bool stored = format.is_float();
  const Scan scan =
      stored ? scan_stored(format, row, count) : Scan{!format.has_finite_scales(row, count), !zero};
  if (stored)
    zero &= !scan.nonzero;
  if (!scan.special && (stored || !zero))
    return;
  std::vector<float> values(static_cast<size_t>(count));
  format.decode_row(row, count, values.data());
  for (int64_t i = 0; i < count; ++i) {
    const float value = values[static_cast<size_t>(i)];
    zero &= value == 0;
    if (std::isfinite(value))
      continue;
    ++not_finite;
    if (at + i < first) {
      first = at + i;
      first_value = value;
    }
  }
}

void ConversionFinding::add(const ConversionFinding &other) {
  error.add(other.error);
  largest = std::max(largest, other.largest);
  groups += other.groups;
  wiped += other.wiped;
}

void ConversionFinding::compare(const float *row, const float *decoded, int64_t elements,
                                const formats::ErrorStats &of_row) {
  error.add(of_row);
  uint32_t most = 0; // magnitudes compare like their bits
  for (int64_t i = 0; i < elements; ++i)
    most = std::max(most, std::bit_cast<uint32_t>(row[i]) & kF32.magnitude);
  largest = std::max(largest, std::bit_cast<float>(most));
  const int64_t block = format->block();
  if (block == 1)
    return;
  for (int64_t first = 0; first < elements; first += block) {
    int there = 0, left = 0;
    for (int64_t i = first; i < std::min(elements, first + block); ++i) {
      there += std::fabs(row[i]) > kNothing;
      left += std::fabs(row[i]) > kNothing && decoded[i] != 0;
    }
    ++groups;
    wiped += there >= block / 2 && left * 8 <= there;
  }
}

template <class T> T &Findings::ByReader<T>::of(const void *reader, const T &fresh) {
  const auto found = std::ranges::find(readers, reader);
  if (found != readers.end())
    return values[static_cast<size_t>(found - readers.begin())];
  readers.push_back(reader);
  return values.emplace_back(fresh);
}

TensorFinding &Findings::tensor(const void *reader, const TensorFinding &fresh) {
  return tensors_.of(reader, fresh);
}

ConversionFinding &Findings::conversion(const void *reader, const ConversionFinding &fresh) {
  return conversions_.of(reader, fresh);
}

void Findings::add(const Findings &other) {
  const auto merge = [](auto &mine, const auto &theirs) {
    for (size_t i = 0; i < theirs.readers.size(); ++i) {
      const size_t known = mine.readers.size();
      auto &value = mine.of(theirs.readers[i], theirs.values[i]);
      if (mine.readers.size() == known)
        value.add(theirs.values[i]);
    }
  };
  error.add(other.error);
  error_beside.add(other.error_beside);
  merge(tensors_, other.tensors_);
  merge(conversions_, other.conversions_);
}

absl::Status check_conversions(const Findings &findings) {
  for (const ConversionFinding &found : findings.conversions())
    if (found.error.relative_energy() > kMostLost)
      return absl::OutOfRangeError(
          absl::StrCat(found.name, ": ", found.format->name(), " would lose ", percent_lost(found),
                       " of it (root mean square): ", why_lost(found), "\nhint: ", wider(found)));
  return absl::OkStatus();
}

std::vector<std::string> weight_notes(const std::vector<Findings> &findings) {
  // Weights may be made of the same tensor, or of parts of it.
  std::vector<TensorFinding> tensors;
  std::map<std::string, size_t> by_name;
  std::vector<std::string> not_finite, zeros, lossy;
  for (const Findings &of_weight : findings) {
    for (const TensorFinding &tensor : of_weight.tensors()) {
      const auto [at, is_new] = by_name.try_emplace(tensor.name, tensors.size());
      if (is_new)
        tensors.push_back(tensor);
      else if (tensors[at->second].first != tensor.first ||
               tensors[at->second].not_finite != tensor.not_finite)
        tensors[at->second].add(tensor);
      else
        tensors[at->second].zero &= tensor.zero;
    }
    for (const ConversionFinding &found : of_weight.conversions())
      if (std::sqrt(found.error.relative_energy()) > notable_error(*found.format))
        lossy.push_back(absl::StrCat(
            found.name, ": ", found.format->name(), " loses ", percent_lost(found),
            " of it (root mean square): ", why_lost(found), "; ", wider(found), " keeps it"));
      else if (found.wiped * kGroupsToOneWiped > found.groups)
        lossy.push_back(absl::StrCat(
            found.name, ": in ", found.format->name(), " ", found.wiped, " of its ", found.groups,
            " groups of ", found.format->block(), " are zeros but for an outlier (the largest is ",
            absl::StrFormat("%g", found.largest), "); ", wider(found), " keeps them"));
  }
  for (const TensorFinding &tensor : tensors)
    if (tensor.not_finite > 0)
      not_finite.push_back(not_finite_note(tensor));
    else if (tensor.zero && !tensor.zero_is_normal && tensor.elements() > 0)
      zeros.push_back(
          absl::StrCat(tensor.name, ": all of its ", tensor.elements(), " elements are zero"));
  std::vector<std::string> notes;
  append_some(notes, not_finite, "have elements that are not finite");
  append_some(notes, zeros, "are all zeros");
  append_some(notes, lossy, "are held as badly");
  return notes;
}

} // namespace quern::artifact
