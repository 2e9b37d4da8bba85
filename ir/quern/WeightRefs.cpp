#include "ir/quern/WeightRefs.h"

#include "mlir/IR/Builders.h"

#include <absl/strings/str_cat.h>

#include <limits>

using namespace mlir;

namespace quern {
namespace {

absl::StatusOr<weights::Part> part_of(int32_t file, int64_t offset, StringRef element) {
  const auto known = weights::find_element({element.data(), element.size()});
  if (!known)
    return absl::InvalidArgumentError(
        absl::StrCat("there are no tensors with elements of '", element.str(), "'"));
  return weights::Part{file, static_cast<uint64_t>(offset), *known};
}

absl::Status set(std::optional<weights::Part> &part, PartAttr attr) {
  if (!attr)
    return absl::OkStatus();
  auto read = part_of(attr.getFile(), attr.getOffset(), attr.getElement());
  if (read.ok())
    part = *read;
  return read.status();
}

absl::StatusOr<weights::Coded> coded_of(CodedAttr attr, int32_t file, int64_t offset) {
  weights::Coded coded;
  const auto layout = weights::find_layout({attr.getLayout().data(), attr.getLayout().size()});
  if (!layout)
    return absl::InvalidArgumentError(
        absl::StrCat("there is no layout '", attr.getLayout().str(), "' of codes"));
  coded.layout = *layout;
  coded.bits = attr.getBits() < 0 || attr.getBits() > 8 ? 0 : static_cast<int>(attr.getBits());
  coded.group = attr.getGroup();
  coded.group_rows = attr.getGroupRows();
  coded.zeros_less_one = attr.getZerosLessOne();
  if (FloatAttr scale_offset = attr.getScaleOffset())
    coded.scale_offset = static_cast<float>(scale_offset.getValueAsDouble());
  coded.scale_group = attr.getScaleGroup();
  const auto codes = part_of(file, offset, attr.getCodes());
  const auto scales = part_of(attr.getScales().getFile(), attr.getScales().getOffset(),
                              attr.getScales().getElement());
  for (const absl::Status &status :
       {codes.status(), scales.status(), set(coded.zeros, attr.getZeros()),
        set(coded.groups, attr.getGroups()), set(coded.table, attr.getTable()),
        set(coded.scale_table, attr.getScaleTable()),
        set(coded.scale_scales, attr.getScaleScales())})
    if (!status.ok())
      return status;
  coded.codes = *codes;
  coded.scales = *scales;
  return coded;
}

} // namespace

absl::StatusOr<weights::WeightRef> weightRef(WeightOp declaration) {
  weights::WeightRef ref;
  ref.file = static_cast<int32_t>(declaration.getFile());
  ref.offset = declaration.getOffset();
  ref.format = declaration.getType().getFormat().str();
  ref.shape = declaration.getType().getShape().vec();
  if (CodedAttr attr = declaration.getCodedAttr()) {
    auto coded = coded_of(attr, ref.file, static_cast<int64_t>(ref.offset));
    if (!coded.ok())
      return coded.status();
    ref.coded = std::make_shared<weights::Coded>(*std::move(coded));
  }
  if (const auto places = declaration.getPlaces())
    for (size_t i = 0; i + 1 < places->size(); i += 2)
      ref.places.push_back(
          {static_cast<int>((*places)[i]), static_cast<uint64_t>((*places)[i + 1])});
  if (ref.file == weights::WeightRef::kSynthetic) {
    ref.synthetic.name = declaration.getSymName().str();
    ref.synthetic.seed = static_cast<uint64_t>(declaration.getSeed().value_or(0));
    if (const auto spread = declaration.getSpread())
      ref.synthetic.scale = spread->convertToFloat();
    if (const auto mean = declaration.getMean())
      ref.synthetic.offset = mean->convertToFloat();
  }
  return ref;
}

CodedAttr codedAttr(MLIRContext *context, const weights::Coded &coded) {
  const auto text = [](std::string_view name) { return StringRef(name.data(), name.size()); };
  const auto part = [&](const std::optional<weights::Part> &p) {
    return p ? PartAttr::get(context, p->file, static_cast<int64_t>(p->offset),
                             text(weights::element_name(p->element)))
             : PartAttr();
  };
  FloatAttr scale_offset;
  if (coded.scale_offset != 0)
    scale_offset = Builder(context).getF32FloatAttr(coded.scale_offset);
  return CodedAttr::get(context, text(weights::layout_name(coded.layout)), coded.bits, coded.group,
                        coded.group_rows, coded.zeros_less_one, scale_offset, coded.scale_group,
                        text(weights::element_name(coded.codes.element)), part(coded.scales),
                        part(coded.zeros), part(coded.groups), part(coded.table),
                        part(coded.scale_table), part(coded.scale_scales));
}

} // namespace quern
