// Formats: how a weight is quantized, that is, what its bytes mean.
//
// A weight is rows of n elements (n is K, the inputs of a matrix product). A row is stored as
// blocks of `block()` elements, `block_bytes()` bytes each; the last block of a row may be partly
// used. Formats say nothing of how a kernel wants the bytes: that is a packing (Packing.h).
//
//   name            block  bytes  bits/weight  value (float32)
//   f32             1      4      32
//   f16, bf16       1      2      16
//   q4_0            32     18     4.5          d*(q-8)
//   q4_1            32     20     5.0          d*q + m
//   q5_0            32     22     5.5          d*(q-16)
//   q5_1            32     24     6.0          d*q + m
//   q8_0            32     34     8.5          d*q
//   q2_k            256    84     2.625        (d*s)*q - dmin*m      s, m: 4 bits for each 16
//   q3_k            256    110    3.4375       (d*s)*(q-4)           s: 6 bits, -32, for each 16
//   q4_k            256    144    4.5          (d*s)*q - dmin*m      s, m: 6 bits for each 32
//   q5_k            256    176    5.5          (d*s)*q - dmin*m
//   q6_k            256    210    6.5625       (d*s)*(q-32)          s: int8 for each 16
//   iq4_nl          32     18     4.5          d*t[q]                t: 16 integers
//   iq4_xs          256    136    4.25         (d*s)*t[q]            s: 6 bits, -32, for each 32
//   mxfp4           32     17     4.25         2^(e-128)*t[q]        t: E2M1's values, doubled
//   nvfp4           64     36     4.5          (s/2)*t[q]            s: E4M3, for each 16
//   tq1_0           256    54     1.6875       d*(q-1)               q: 0, 1, 2
//   tq2_0           256    66     2.0625       d*(q-1)
//   iq1_s           256    50     1.5625       (d*(2s+1)/8)*(8p+-1)  s: 3 bits for each 32
//   iq1_m           256    56     1.75         (d*(2s+1)/8)*(8p+-1)  s: 3 bits for each 16
//   iq2_xxs         256    66     2.0625       (d*(2s+1)/8)*p        s: 4 bits for each 32
//   iq2_xs          256    74     2.3125       (d*(2s+1)/8)*p        s: 4 bits for each 16
//   iq2_s           256    82     2.5625       (d*(2s+1)/8)*p
//   iq3_xxs         256    98     3.0625       (d*(2s+1)/4)*p        s: 4 bits for each 32
//   iq3_s           256    110    3.4375       (d*(2s+1))*p          p: points of lattices
//   int8            32     34     8.5          s*q                   Quern's own, also below
//   int6            32     26     6.5          (d*s)*q - dmin*m      s, m: 8 bits for each 32;
//                                                                    d, dmin: float32 for a row
//   int5            32     22     5.5          likewise
//   int4            32     18     4.5          likewise
//   int3            32     14     3.5          likewise
//   int4:gG:sym     G      G/2+2  4 + 16/G     s*(q-8)               G is 32, 64 or 128
//   int4:gG:asym    G      G/2+4  4 + 32/G     s*q + min
//   int4:g32:sym:f32     32   20   5.0         s*(q-8)           s (and min) in float32
//   int4:g32:asym:f32    32   24   6.0         s*q + min
//   int8:sym:f32         32   36   9.0         s*q
//   int8:asym:f32        32   40   10.0        s*q + min
//   intB:g128:sym:f32    128  16*B+4  B + .25  s*(q-2^(B-1))     B is 2, 3, 4 or 8
//   intB:g128:asym:f32   128  16*B+8  B + .5   s*q + min         B is 2, 3 or 4
//   intB:row:sym:f32     32   4*B     B        s*(q-2^(B-1))     B is 4 or 8; s of a row
//
// All but the float, int3 to int6 and int8 formats are GGUF's blocks (source: the GGUF
// specification and the `gguf` Python package, to which decoding is bit-exact). int8 is stored as
// q8_0 and int4:g32 as q4_0/q4_1 are; longer groups continue the same way: f16 scale, f16 min if
// asymmetric, then G/2 bytes whose low nibbles are elements 0..G/2-1 and high nibbles the rest. A
// row of int3 to int6 begins with 8 bytes, its d and dmin; a block is s, m and planes of codes
// (TwoLevelInts.cpp). The last four hold what other quantizers made (ir/weights/CodedWeight.h);
// nothing is quantized to them.
#ifndef QUERN_IR_FORMATS_FORMAT_H
#define QUERN_IR_FORMATS_FORMAT_H

#include "ir/formats/LatticeBlock.h"
#include "ir/formats/PackingTable.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace quern::formats {

/// What the bytes of two-level scales are multiplied with.
struct SuperScales {
  float scale = 0, min = 0;
};

/// The floats that a block's values are multiples of, one behind the other: in each block or, of
/// formats with a header, in each row's.
struct FloatScales {
  int offset = 0; ///< in bytes
  int count = 0;  ///< scales and mins
  ScaleType type = ScaleType::F16;
};

class Format {
public:
  virtual ~Format() = default;
  Format(const Format &) = delete;
  Format &operator=(const Format &) = delete;

  /// The name by which flags, the IR and the artifact know it.
  const std::string &name() const { return name_; }
  /// Elements in a block.
  int block() const { return block_; }
  int block_bytes() const { return block_bytes_; }
  double bits_per_weight() const { return 8.0 * block_bytes_ / block_; }
  /// Bytes in front of a row's blocks.
  int header_bytes() const { return header_bytes_; }
  /// Bytes of a row of `n` elements: its header and whole blocks.
  int64_t row_bytes(int64_t n) const {
    return header_bytes_ + (n + block_ - 1) / block_ * block_bytes_;
  }

  /// Whether it is f32, f16 or bf16.
  bool is_float() const { return packing_.is_float(); }
  /// The one packing that holds this format's weights exactly.
  const Packing &packing() const { return packing_; }

  /// Decodes the first `n` elements of the row at `src` (any alignment, row_bytes(n) readable) into
  /// `dst`.
  virtual void decode_row(const std::byte *src, int64_t n, float *dst) const = 0;

  /// Whether encode_row works: Quern quantizes to its own formats and mxfp4, and only reads GGUF's
  /// others. What can be encoded is a choice of `--quant`.
  virtual bool can_encode() const { return false; }
  /// Encodes `n` elements into the row_bytes(n) bytes at `dst`. Deterministic, the same on every
  /// machine. Scales are searched for the least squared error over the group, as rounded to f16.
  /// Fails on what the format cannot hold: NaN or infinity in a quantized format, overflow of f16,
  /// bf16 or a scale; the message has the element's index in the row, and a hint. Nothing is
  /// promised of `dst` then. What is too small for the format becomes zero.
  virtual absl::Status encode_row(const float *src, int64_t n, std::byte *dst) const;

  /// Takes the block at `src` apart: block() codes as the packing stores them (unsigned; with
  /// packing().zero_point, or places in packing().codebook), and a scale and, if packing().has_min,
  /// a min for each packing().group elements, as the packing stores them, widened to float32. Only
  /// if not is_float().
  virtual void unpack_block(const std::byte *src, uint8_t *codes, float *scales, float *mins) const;
  /// The same of the places of a lattice. Only if packing().is_lattice().
  virtual void unpack_places(const std::byte *src, LatticeBlock &block) const;
  /// The super-scale and super-min of the block at `src` of the row at `row`. Only if
  /// packing().super.
  virtual SuperScales super_scales(const std::byte *row, const std::byte *src) const;

  /// Whether all float scales of the row of `n` elements at `src` are finite. If not, no element of
  /// their blocks is (of mxfp4, some are not); if so, all are, but for products that overflow
  /// float32. Always true of float formats, whose elements are their own scales, and of nvfp4.
  virtual bool has_finite_scales(const std::byte *src, int64_t n) const;

protected:
  /// Where the scales lie; none if they are always finite.
  virtual FloatScales float_scales() const { return {}; }

  Format(std::string name, int block, int block_bytes, Packing packing, int header_bytes = 0)
      : name_(std::move(name)), block_(block), block_bytes_(block_bytes),
        header_bytes_(header_bytes), packing_(packing) {}

private:
  std::string name_;
  int block_;
  int block_bytes_;
  int header_bytes_;
  Packing packing_;
};

/// The longest block of any format, in elements: the size of buffers for unpack_block.
inline constexpr int kMaxBlock = 256;

/// Every format.
std::span<const Format *const> all_formats();

/// The format of that name, or null.
const Format *find_format(std::string_view name);

/// The same, with an error that lists the names there are.
absl::StatusOr<const Format *> require_format(std::string_view name);

/// What `--quant` asks for: null means keep (the weights' own formats).
struct QuantChoice {
  const Format *format = nullptr;
  bool keep() const { return format == nullptr; }
};

/// What parse_quant_flag takes, as one line: `keep`, and the formats that can be encoded,
/// largest first.
std::string quant_choices();

/// Parses `keep`, a format that can be encoded, or `int4[:g32|g64|g128][,sym|asym]`. `int4` alone
/// is the format of that name; with one option the other is g32 or sym; `:` and `,` both separate,
/// so a format's name is a spelling of itself.
absl::StatusOr<QuantChoice> parse_quant_flag(std::string_view flag);

/// How far an encoding is from what it encodes. Sums are doubles in the order given: deterministic.
struct ErrorStats {
  int64_t count = 0;
  double sum_squared_error = 0;
  double sum_squares = 0; ///< of the original
  double max_error = 0;   ///< absolute

  void add(const float *original, const float *decoded, int64_t n);
  void add(const ErrorStats &other);
  /// Root mean squared error, in the weight's units.
  double rmse() const;
  /// Error energy over signal energy, sum (w-q)^2 / sum w^2; 0 for an exact encoding, also of an
  /// all-zero weight.
  double relative_energy() const;
};

} // namespace quern::formats

#endif // QUERN_IR_FORMATS_FORMAT_H
