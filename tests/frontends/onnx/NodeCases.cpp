#include "tests/frontends/onnx/NodeCases.h"

#include "frontends/onnx/ElementType.h"
#include "runtime/cli/NpyTypes.h"

#include "llvm/ADT/APFloat.h"
#include "llvm/Support/Compression.h"
#include "llvm/Support/Error.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <random>
#include <span>

namespace quern::test {
namespace {

using artifact::ElementType;
using OnnxType = onnx::ElementType;

constexpr std::string_view kFirstLine = "quern node cases 1\n";

constexpr std::pair<OnnxType, ElementType> kTypes[] = {
    {OnnxType::Float32, ElementType::f32},
    {OnnxType::Float64, ElementType::f64},
    {OnnxType::Float16, ElementType::f16},
    {OnnxType::BFloat16, ElementType::bf16},
    {OnnxType::Int8, ElementType::i8},
    {OnnxType::Int16, ElementType::i16},
    {OnnxType::Int32, ElementType::i32},
    {OnnxType::Int64, ElementType::i64},
    {OnnxType::Uint8, ElementType::u8},
    {OnnxType::Uint16, ElementType::u16},
    {OnnxType::Uint32, ElementType::u32},
    {OnnxType::Uint64, ElementType::u64},
    {OnnxType::Bool, ElementType::boolean},
    {OnnxType::Int4, ElementType::i4},
    {OnnxType::Uint4, ElementType::u4},
    {OnnxType::Int2, ElementType::i2},
    {OnnxType::Uint2, ElementType::u2},
    {OnnxType::Float8E4M3FN, ElementType::f8e4m3fn},
    {OnnxType::Float8E4M3FNUZ, ElementType::f8e4m3fnuz},
    {OnnxType::Float8E5M2, ElementType::f8e5m2},
    {OnnxType::Float8E5M2FNUZ, ElementType::f8e5m2fnuz},
    {OnnxType::Float8E8M0, ElementType::f8e8m0},
    {OnnxType::Float4E2M1, ElementType::f4e2m1},
    {OnnxType::Float6E2M3, ElementType::f6e2m3},
    {OnnxType::Float6E3M2, ElementType::f6e3m2},
};

/// The numbers that NumPy's RandomState(0) begins with, which most of ONNX's cases are made of:
/// uniform in [0, 1), or normal by Marsaglia's polar method.
class Numbers {
public:
  explicit Numbers(bool normal) {
    std::mt19937 bits(0);
    const auto uniform = [&] {
      const uint32_t high = static_cast<uint32_t>(bits()) >> 5;
      const uint32_t low = static_cast<uint32_t>(bits()) >> 6;
      return (high * 67108864.0 + low) / 9007199254740992.0;
    };
    while (values_.size() < (1u << 17)) {
      if (!normal) {
        values_.push_back(static_cast<float>(uniform()));
        continue;
      }
      const double x = 2 * uniform() - 1, y = 2 * uniform() - 1, square = x * x + y * y;
      if (square >= 1 || square == 0)
        continue;
      const double factor = std::sqrt(-2 * std::log(square) / square);
      values_.push_back(static_cast<float>(factor * y));
      values_.push_back(static_cast<float>(factor * x));
    }
  }
  std::span<const uint8_t> bytes() const {
    return {reinterpret_cast<const uint8_t *>(values_.data()), values_.size() * sizeof(float)};
  }

private:
  std::vector<float> values_;
};

/// A file's sections, unpacked.
struct Sections {
  std::vector<uint8_t> text, models, floats, others;
};

absl::StatusOr<Sections> read_sections(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return absl::NotFoundError(absl::StrCat(path, ": there is no such file"));
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  const auto damaged = [&] {
    return absl::DataLossError(absl::StrCat(path, ": is no file of node cases, or a damaged one"));
  };
  if (!bytes.starts_with(kFirstLine))
    return damaged();
  size_t at = kFirstLine.size();
  Sections sections;
  for (auto *section : {&sections.text, &sections.models, &sections.floats, &sections.others}) {
    uint32_t sizes[2];
    if (bytes.size() - at < sizeof sizes)
      return damaged();
    std::memcpy(sizes, &bytes[at], sizeof sizes);
    at += sizeof sizes;
    if (bytes.size() - at < sizes[1])
      return damaged();
    llvm::SmallVector<uint8_t, 0> unpacked;
    if (llvm::Error error = llvm::compression::zlib::decompress(
            {reinterpret_cast<const uint8_t *>(&bytes[at]), sizes[1]}, unpacked, sizes[0])) {
      llvm::consumeError(std::move(error));
      return damaged();
    }
    section->assign(unpacked.begin(), unpacked.end());
    at += sizes[1];
  }
  if (at != bytes.size() || sections.floats.size() % 4 != 0)
    return damaged();
  std::vector<uint8_t> numbers(sections.floats.size());
  const size_t count = numbers.size() / 4;
  for (size_t i = 0; i < numbers.size(); ++i)
    numbers[i % count * 4 + i / count] = sections.floats[i];
  sections.floats = std::move(numbers);
  return sections;
}

/// Elements of a few bits, which lie next to each other, a byte each; with their signs.
std::vector<uint8_t> unpacked(std::span<const uint8_t> raw, OnnxType type, uint64_t count) {
  const auto bits = static_cast<unsigned>(onnx::element_bits(type));
  std::vector<uint8_t> bytes(count);
  for (uint64_t i = 0; i < count * bits; ++i)
    bytes[i / bits] |= static_cast<uint8_t>((raw[i / 8] >> (i % 8) & 1) << (i % bits));
  if (onnx::is_signed(type))
    for (uint8_t &byte : bytes)
      byte = static_cast<uint8_t>(static_cast<int8_t>(byte << (8 - bits)) >> (8 - bits));
  return bytes;
}

/// The tensor of a line "TYPE SHAPE PLACE BYTES NAME"; nothing if it is none.
std::optional<CaseTensor> tensor_of(const std::vector<std::string> &words, const Sections &sections,
                                    std::span<const uint8_t> normal,
                                    std::span<const uint8_t> uniform) {
  int64_t number;
  uint64_t place, size;
  if (words.size() != 6 || !absl::SimpleAtoi(words[1], &number) || words[3].empty() ||
      !absl::SimpleAtoi(words[3].substr(1), &place) || !absl::SimpleAtoi(words[4], &size))
    return std::nullopt;
  CaseTensor tensor;
  tensor.name = words[5];
  const auto type = static_cast<OnnxType>(number);
  const auto *known = std::ranges::find(kTypes, type, &std::pair<OnnxType, ElementType>::first);
  if (known == std::end(kTypes))
    return std::nullopt;
  tensor.type = known->second;
  uint64_t count = 1;
  if (words[2] != "-")
    for (const absl::string_view dim : absl::StrSplit(words[2], 'x')) {
      if (!absl::SimpleAtoi(dim, &tensor.shape.emplace_back()) || tensor.shape.back() < 0)
        return std::nullopt;
      count *= static_cast<uint64_t>(tensor.shape.back());
    }
  const std::span<const uint8_t> pool = words[3][0] == 'n'   ? normal
                                        : words[3][0] == 'u' ? uniform
                                        : tensor.type == ElementType::f32
                                            ? std::span<const uint8_t>(sections.floats)
                                            : std::span<const uint8_t>(sections.others);
  const auto bits = static_cast<unsigned>(onnx::element_bits(type));
  if (place > pool.size() || size > pool.size() - place || size != (count * bits + 7) / 8)
    return std::nullopt;
  const auto raw = pool.subspan(place, size);
  tensor.bytes = bits < 8 ? unpacked(raw, type, count) : std::vector(raw.begin(), raw.end());
  return tensor;
}

double float_at(ElementType type, const std::vector<uint8_t> &bytes, size_t i) {
  uint64_t code = 0;
  const uint64_t size = artifact::element_bytes(type);
  std::memcpy(&code, &bytes[i * size], size);
  if (type == ElementType::f32)
    return std::bit_cast<float>(static_cast<uint32_t>(code));
  if (type == ElementType::f64)
    return std::bit_cast<double>(code);
  llvm::APFloat value(llvm::APFloat::IEEEhalf(), llvm::APInt(16, code));
  bool inexact;
  value.convert(llvm::APFloat::IEEEdouble(), llvm::APFloat::rmNearestTiesToEven, &inexact);
  return value.convertToDouble();
}

std::string integer_at(ElementType type, const std::vector<uint8_t> &bytes, size_t i) {
  uint64_t code = 0;
  const uint64_t size = artifact::element_bytes(type);
  std::memcpy(&code, &bytes[i * size], size);
  const bool has_sign = type == ElementType::i8 || type == ElementType::i16 ||
                        type == ElementType::i32 || type == ElementType::i64;
  if (!has_sign)
    return absl::StrCat(code);
  const uint64_t rest = 64 - 8 * size;
  return absl::StrCat(static_cast<int64_t>(code << rest) >> rest);
}

} // namespace

absl::StatusOr<std::vector<NodeCase>> read_node_cases(const std::string &path) {
  const auto sections = read_sections(path);
  if (!sections.ok())
    return sections.status();
  const Numbers normal(true), uniform(false);
  std::vector<NodeCase> cases;
  const std::string text(sections->text.begin(), sections->text.end());
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const auto wrong = [&] {
      return absl::DataLossError(absl::StrCat(path, ": cannot be read: ", std::string(line)));
    };
    const std::vector<std::string> words = absl::StrSplit(line, absl::MaxSplits(' ', 5));
    if (words[0] == "case") {
      NodeCase &made = cases.emplace_back();
      uint64_t place, size;
      if (words.size() != 6 || !absl::SimpleAtod(words[1], &made.rtol) ||
          !absl::SimpleAtod(words[2], &made.atol) || !absl::SimpleAtoi(words[3], &place) ||
          !absl::SimpleAtoi(words[4], &size) || place > sections->models.size() ||
          size > sections->models.size() - place)
        return wrong();
      made.name = words[5];
      made.model.assign(sections->models.begin() + static_cast<ptrdiff_t>(place),
                        sections->models.begin() + static_cast<ptrdiff_t>(place + size));
      continue;
    }
    auto tensor = tensor_of(words, *sections, normal.bytes(), uniform.bytes());
    if (cases.empty() || !tensor || (words[0] != "input" && words[0] != "output"))
      return wrong();
    (words[0] == "input" ? cases.back().inputs : cases.back().outputs)
        .push_back(*std::move(tensor));
  }
  return cases;
}

std::string difference(const CaseTensor &got, const CaseTensor &want, double rtol, double atol) {
  if (got.type != want.type)
    return absl::StrCat("is ", EnumNameElementType(got.type), ", not ",
                        EnumNameElementType(want.type));
  if (got.shape != want.shape)
    return absl::StrCat("has the shape [", absl::StrJoin(got.shape, ", "), "], not [",
                        absl::StrJoin(want.shape, ", "), "]");
  // Types that few programs know become ones that all do.
  const ElementType type = cli::written_as(want.type);
  const auto have = cli::as_written(got.type, got.bytes);
  const auto due = cli::as_written(want.type, want.bytes);
  if (have.size() != due.size())
    return absl::StrCat("has ", have.size(), " bytes, not ", due.size());
  const bool floats =
      type == ElementType::f32 || type == ElementType::f64 || type == ElementType::f16;
  for (size_t i = 0; i < due.size() / artifact::element_bytes(type); ++i) {
    if (!floats) {
      const std::string a = integer_at(type, have, i), b = integer_at(type, due, i);
      if (a != b)
        return absl::StrCat("has ", a, " at ", i, ", not ", b);
      continue;
    }
    const double a = float_at(type, have, i), b = float_at(type, due, i);
    if ((std::isnan(a) && std::isnan(b)) || a == b)
      continue;
    if (!(std::fabs(a - b) <= atol + rtol * std::fabs(b)))
      return absl::StrCat("has ", a, " at ", i, ", not ", b);
  }
  return "";
}

} // namespace quern::test
