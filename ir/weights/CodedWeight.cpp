#include "ir/weights/CodedWeight.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <array>
#include <utility>

namespace quern::weights {
namespace {

struct ElementInfo {
  Element element;
  std::string_view name;
  int bytes;
};
constexpr ElementInfo kElements[] = {
    {Element::U8, "u8", 1},     {Element::I8, "i8", 1},     {Element::I32, "i32", 4},
    {Element::F16, "f16", 2},   {Element::BF16, "bf16", 2}, {Element::F32, "f32", 4},
    {Element::E4M3, "e4m3", 1}, {Element::E8M0, "e8m0", 1},
};

constexpr std::pair<Layout, std::string_view> kLayouts[] = {
    {Layout::Gptq, "gptq"},   {Layout::Awq, "awq"},         {Layout::Words, "words"},
    {Layout::Bytes, "bytes"}, {Layout::Nibbles, "nibbles"}, {Layout::Mxfp4, "mxfp4"},
};

const ElementInfo &info(Element element) { return kElements[static_cast<size_t>(element)]; }

int64_t ceil_div(int64_t a, int64_t b) { return a / b + (a % b != 0); }

absl::Status wrong(std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("a weight of codes ", std::string(what)));
}

bool one_of(Element element, std::initializer_list<Element> elements) {
  for (const Element other : elements)
    if (element == other)
      return true;
  return false;
}

absl::Status check_numbers(const Coded &coded, std::span<const int64_t> shape) {
  constexpr int64_t kMaxElements = int64_t{1} << 44; // times a code's bits, far from overflow
  if (shape.size() != 2 || shape[0] < 1 || shape[1] < 1 || shape[0] > kMaxElements / shape[1])
    return wrong("is a matrix of at most 2^44 elements");
  if (coded.bits < 1 || coded.bits > 8)
    return wrong("has 1 to 8 bits");
  if (coded.group < 1 || coded.group_rows < 1)
    return wrong("has groups of at least one");
  const bool bytes = coded.layout == Layout::Bytes, rows = bytes || coded.layout == Layout::Words;
  if (bytes && coded.bits != 8)
    return wrong("of bytes has 8 bits");
  const bool mxfp4 = coded.layout == Layout::Mxfp4;
  if (mxfp4 && (coded.group != 32 || shape[1] % 32))
    return wrong("in the layout mxfp4 has groups of 32 inputs, all of them whole");
  if ((mxfp4 || coded.layout == Layout::Awq || coded.layout == Layout::Nibbles) && coded.bits != 4)
    return wrong(absl::StrCat("of layout ", std::string(layout_name(coded.layout)), " has 4 bits"));
  if (!rows && coded.group_rows != 1)
    return wrong("shares scales among rows only in the layouts words and bytes");
  if (coded.zeros_less_one && coded.layout != Layout::Gptq)
    return wrong("has zeros less one only in the layout gptq");
  if (coded.layout == Layout::Gptq && (shape[1] * coded.bits % 32 || shape[0] * coded.bits % 32))
    return wrong("in the layout gptq fills whole words in both dimensions");
  if (coded.layout == Layout::Awq && shape[0] % 8)
    return wrong("in the layout awq has a multiple of 8 outputs");
  return absl::OkStatus();
}

absl::Status check_elements(const Coded &coded) {
  using enum Element;
  const bool words =
      coded.layout == Layout::Gptq || coded.layout == Layout::Awq || coded.layout == Layout::Words;
  const bool nibbles = coded.layout == Layout::Nibbles;
  if (coded.layout == Layout::Mxfp4) {
    if (coded.codes.element != U8 || coded.scales.element != E8M0 || coded.zeros || coded.groups ||
        coded.table || coded.scale_table || coded.scale_scales)
      return wrong("in the layout mxfp4 has u8 codes, e8m0 scales and nothing else");
    return absl::OkStatus();
  }
  if (words ? coded.codes.element != I32
            : !one_of(coded.codes.element, nibbles ? std::initializer_list<Element>{U8}
                                                   : std::initializer_list<Element>{I8, E4M3}))
    return wrong("has i32 codes, or i8 or e4m3 in the layout bytes, or u8 in nibbles");
  const bool nested = coded.scales.element == U8;
  if (!one_of(coded.scales.element, {F16, BF16, F32}) && !(nested && nibbles) &&
      !(coded.scales.element == E8M0 && coded.codes.element == E4M3))
    return wrong("has scales of f16, bf16 or f32, or u8 in the layout nibbles, or e8m0 of e4m3");
  if (coded.zeros && (!coded.is_integer() ||
                      !(coded.zeros->element == (coded.layout == Layout::Bytes ? I8 : I32) ||
                        (coded.layout == Layout::Words && coded.zeros->element == I8))))
    return wrong("of integers has zeros of i32, or of i8 in the layouts words and bytes");
  if (coded.groups && (!coded.is_integer() || coded.groups->element != I32))
    return wrong("of integers has groups of i32");
  if (nibbles != coded.table.has_value() || (nibbles && coded.table->element != F32))
    return wrong("has an f32 table in the layout nibbles, and else none");
  if (nested != coded.scale_table.has_value() || nested != coded.scale_scales.has_value() ||
      (nested && (coded.scale_table->element != F32 || coded.scale_scales->element != F32 ||
                  coded.scale_group < 1)))
    return wrong("with u8 scales has an f32 table and f32 scales of them, in groups of at least "
                 "one, and else none");
  return absl::OkStatus();
}

} // namespace

int element_bytes(Element element) { return info(element).bytes; }
std::string_view element_name(Element element) { return info(element).name; }
std::optional<Element> find_element(std::string_view name) {
  for (const ElementInfo &each : kElements)
    if (each.name == name)
      return each.element;
  return std::nullopt;
}

std::string_view layout_name(Layout layout) { return kLayouts[static_cast<size_t>(layout)].second; }
std::optional<Layout> find_layout(std::string_view name) {
  for (const auto &[layout, spelling] : kLayouts)
    if (spelling == name)
      return layout;
  return std::nullopt;
}

std::vector<int64_t> matrix_of(const Coded &coded, std::span<const int64_t> shape) {
  constexpr int64_t kMost = int64_t{1} << 44;
  if (coded.layout == Layout::Mxfp4 && shape.size() == 3 && shape[0] >= 1 && shape[1] >= 1 &&
      shape[0] <= kMost / shape[1])
    return {shape[0] * shape[1], shape[2]};
  return {shape.begin(), shape.end()};
}

absl::StatusOr<std::vector<SizedPart>> parts_of(const Coded &coded,
                                                std::span<const int64_t> given) {
  const std::vector<int64_t> shape = matrix_of(coded, given);
  if (absl::Status status = check_numbers(coded, shape); !status.ok())
    return status;
  if (absl::Status status = check_elements(coded); !status.ok())
    return status;
  const int64_t outputs = shape[0], inputs = shape[1], bits = coded.bits;
  const auto words = [&](int64_t codes) { return ceil_div(codes * bits, 32); };
  const int64_t groups = ceil_div(inputs, coded.group);
  const int64_t row_groups = ceil_div(outputs, coded.group_rows);
  int64_t codes = 0, scales = row_groups * groups, zeros = scales;
  switch (coded.layout) {
  case Layout::Gptq:
    codes = words(inputs) * outputs;
    zeros = groups * words(outputs);
    break;
  case Layout::Awq:
    codes = inputs * words(outputs);
    zeros = groups * words(outputs);
    break;
  case Layout::Words:
    codes = outputs * words(inputs);
    if (coded.zeros && coded.zeros->element == Element::I32)
      zeros = words(row_groups) * groups;
    break;
  case Layout::Bytes:
    codes = outputs * inputs;
    break;
  case Layout::Nibbles:
    codes = ceil_div(outputs * inputs, 2);
    scales = ceil_div(outputs * inputs, coded.group);
    break;
  case Layout::Mxfp4:
    codes = outputs * inputs / 2;
    break;
  }
  std::vector<SizedPart> parts;
  const auto add = [&](std::string_view name, const std::optional<Part> &part, int64_t elements) {
    if (part)
      parts.push_back({name, *part, elements * element_bytes(part->element)});
  };
  add("codes", coded.codes, codes);
  add("scales", coded.scales, scales);
  add("zeros", coded.zeros, zeros);
  add("groups", coded.groups, inputs);
  add("table", coded.table, 16);
  add("scale_table", coded.scale_table, 256);
  add("scale_scales", coded.scale_scales,
      coded.scale_scales ? ceil_div(scales, coded.scale_group) : 0);
  return parts;
}

bool can_hold(const Coded &coded, std::span<const int64_t> shape, std::string_view format) {
  if (format == "f32")
    return true;
  if (coded.layout == Layout::Mxfp4)
    return format == "mxfp4";
  if (!coded.is_integer())
    return format == "bf16" && coded.codes.element == Element::E4M3;
  const std::span<const std::string_view> formats = integer_formats();
  if (coded.groups || std::find(formats.begin(), formats.end(), format) == formats.end())
    return false;
  // A block, or a row, has one scale.
  const formats::Format &of = *formats::find_format(format);
  const formats::Packing &packing = of.packing();
  const bool whole = packing.super == formats::kWholeRow;
  if (coded.group < shape[1] && (whole || coded.group % of.block() != 0))
    return false;
  const bool f16 = coded.scales.element == Element::F16;
  if (packing.super == 0 && packing.scale == formats::ScaleType::F16)
    return f16;
  // With a min, products are exact where scales are narrow.
  return !packing.has_min ||
         (coded.bits <= packing.bits && (f16 || coded.scales.element == Element::BF16));
}

std::span<const std::string_view> integer_formats() {
  static constexpr std::string_view kFormats[] = {
      "int2:g128:sym:f32",
      "int2:g128:asym:f32",
      "int3:g128:sym:f32",
      "int3:g128:asym:f32",
      "int4:row:sym:f32",
      "int4:g128:sym:f32",
      "int4:g32:sym",
      "int4:g128:asym:f32",
      "int4:g32:sym:f32",
      "int4:g32:asym:f32",
      "int8:row:sym:f32",
      "int8:g128:sym:f32",
      "int8",
      "int8:sym:f32",
      "int8:asym:f32",
  };
  return kFormats;
}

} // namespace quern::weights
