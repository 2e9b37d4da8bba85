#include "frontends/hf/quantized/Modules.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <utility>

namespace quern::hf::quantized {
namespace {

constexpr char kTakeAgain[] = "the files may be incomplete, or not belong to this config: take all "
                              "of the model's files again";

/// safetensors' names of elements.
constexpr std::pair<weights::Element, std::string_view> kTypes[] = {
    {weights::Element::U8, "U8"},        {weights::Element::I8, "I8"},
    {weights::Element::I32, "I32"},      {weights::Element::F16, "F16"},
    {weights::Element::BF16, "BF16"},    {weights::Element::F32, "F32"},
    {weights::Element::E4M3, "F8_E4M3"}, {weights::Element::E8M0, "F8_E8M0"},
};

std::string_view type_of(weights::Element element) {
  return std::find_if(std::begin(kTypes), std::end(kTypes),
                      [&](const auto &type) { return type.first == element; })
      ->second;
}

template <typename List, typename Text> std::string alternatives(const List &list, Text text) {
  return absl::StrJoin(list, " or ", [&](std::string *out, const auto &item) {
    absl::StrAppend(out, std::string(text(item)));
  });
}

} // namespace

std::vector<std::string> Modules::with(std::string_view suffix) const {
  const std::string end = absl::StrCat(".", std::string(suffix));
  std::vector<std::string> names;
  for (const auto &[name, tensor] : tensors_.list)
    if (absl::EndsWith(name, end) && !tensor.coded)
      names.push_back(name.substr(0, name.size() - end.size()));
  return names;
}

weights::Element scales_of(const std::string &dtype) {
  return dtype == "bfloat16"  ? weights::Element::BF16
         : dtype == "float32" ? weights::Element::F32
                              : weights::Element::F16;
}

std::string planned_format(IntegerPlan plan, int64_t outputs, int64_t inputs) {
  weights::Coded &coded = plan.coded;
  if (coded.group < 0 || coded.group > inputs)
    coded.group = inputs;
  if (plan.reordered && coded.group < inputs)
    coded.groups = weights::Part{.element = weights::Element::I32};
  const int codes = 1 << coded.bits;
  return std::string(weights::format_of_integers(coded, std::vector<int64_t>{outputs, inputs},
                                                 plan.symmetric ? codes / 2 : 0,
                                                 plan.symmetric ? codes / 2 : codes - 1));
}

bool is_listed(const std::vector<std::string> &list, const std::string &module) {
  return std::any_of(list.begin(), list.end(), [&](const std::string &name) {
    return !name.empty() && absl::StrContains(module, name);
  });
}

std::vector<std::string> names_in(ModelReader &reader, const std::string &key) {
  return reader.has(key) && reader.is_list(key) ? reader.texts(key) : std::vector<std::string>();
}

const StoredTensor *Module::find(std::string_view suffix) const {
  const auto &list = modules_.tensors().list;
  const auto it = list.find(full(suffix));
  return it == list.end() ? nullptr : &it->second;
}

const StoredTensor *Module::require(std::string_view suffix) {
  const StoredTensor *tensor = find(suffix);
  if (tensor)
    taken_.push_back(full(suffix));
  else
    problem(suffix, "this tensor is missing, without which the quantized weight has no values",
            kTakeAgain);
  return tensor;
}

void Modules::count(const weights::Coded &coded, const Shape &shape, const std::string &format) {
  Sizes &sizes = formats_[format];
  ++sizes.weights;
  if (const auto parts = weights::parts_of(coded, shape); parts.ok())
    for (const weights::SizedPart &part : *parts)
      sizes.in_files += part.bytes;
  const std::vector<int64_t> matrix = weights::matrix_of(coded, shape);
  sizes.packed += formats::find_format(format)->packing().bytes(matrix[0], matrix[1]);
}

Shape Module::shape(std::string_view suffix, size_t rank) {
  const StoredTensor *tensor = require(suffix);
  if (!tensor)
    return {};
  const bool some = std::all_of(tensor->shape.begin(), tensor->shape.end(),
                                [](int64_t n) { return n > 0 && n < int64_t{1} << 40; });
  if (tensor->shape.size() == rank && some)
    return tensor->shape;
  problem(suffix,
          absl::StrCat("its shape is ", shape_text(tensor->shape), ", and should have ", rank,
                       " dimensions, none of them 0"),
          kTakeAgain);
  return {};
}

weights::Part Module::part(std::string_view suffix,
                           std::initializer_list<weights::Element> elements,
                           std::initializer_list<Shape> shapes) {
  const StoredTensor *tensor = require(suffix);
  if (!tensor)
    return {};
  if (shapes.size() > 0 && std::find(shapes.begin(), shapes.end(), tensor->shape) == shapes.end())
    problem(suffix,
            absl::StrCat("its shape is ", shape_text(tensor->shape), ", and should be ",
                         alternatives(shapes, shape_text)),
            "the tensors of a quantized weight, or its settings in config.json, do not belong "
            "together");
  for (const weights::Element element : elements)
    if (type_of(element) == tensor->type)
      return {tensor->file, tensor->offset, element};
  problem(suffix,
          absl::StrCat("its type is ", tensor->type, ", and should be ",
                       alternatives(elements, type_of)),
          "take the model in another quantization");
  return {};
}

std::span<const std::byte> Module::bytes(std::string_view suffix, size_t most) {
  const StoredTensor *tensor = require(suffix);
  if (!tensor)
    return {};
  const bool wide = tensor->type == "I64";
  int64_t count = wide ? 8 : tensor->type == "I32" ? 4 : tensor->type == "U8" ? 1 : 0;
  for (const int64_t n : tensor->shape)
    count = n < 0 || n > static_cast<int64_t>(most) ? int64_t{1} << 62 : count * n;
  if (count <= 0 || count > static_cast<int64_t>(most)) {
    problem(suffix,
            absl::StrCat("it should be a few integers, not ", shape_text(tensor->shape), " of ",
                         tensor->type),
            kTakeAgain);
    return {};
  }
  const auto range = modules_.tensors()
                         .store.file(tensor->file)
                         .range(tensor->offset, static_cast<uint64_t>(count));
  if (range.ok())
    return *range;
  problem(suffix, std::string(range.status().message()));
  return {};
}

void Module::problem(std::string_view suffix, std::string what, std::string hint) {
  ok_ = false;
  modules_.problems().add(full(suffix), std::move(what), std::move(hint));
}

void Module::finish(weights::Coded coded, int64_t outputs, int64_t inputs, std::string_view type) {
  StoredTensors &tensors = modules_.tensors();
  const std::string weight = full("weight");
  StoredTensor made;
  made.shape = {outputs, inputs};
  made.type = type;
  if (ok_ && std::find(taken_.begin(), taken_.end(), weight) == taken_.end() &&
      tensors.list.contains(weight))
    problem("weight", "the weight is there twice, as floats and quantized",
            "the files are of two models: take all of the model's files again");
  if (ok_) {
    const auto parts = tensors.store.part_bytes(coded, made.shape);
    const absl::StatusOr<std::string_view> format =
        parts.ok() ? weights::choose_format(coded, made.shape, *parts) : parts.status();
    if (format.ok())
      made.format = std::string(*format);
    else
      problem("weight", std::string(format.status().message()), kTakeAgain);
  }
  for (const std::string &name : taken_)
    tensors.list.erase(name);
  if (!ok_) {
    tensors.reported.insert(weight);
    for (const std::string &name : taken_)
      tensors.reported.insert(name);
    return;
  }
  modules_.count(coded, made.shape, made.format);
  made.file = coded.codes.file;
  made.offset = coded.codes.offset;
  made.coded = std::make_shared<const weights::Coded>(std::move(coded));
  tensors.list[weight] = std::move(made);
}

} // namespace quern::hf::quantized
