// Entries described, and called with plain tensors.
#include "runtime/capi/Handles.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <vector>

using quern::artifact::ElementType;
using quern::artifact::items;
using quern::capi::guarded;
using quern::session::Tensor;

static_assert(static_cast<int>(ElementType::f64) == QUERN_F64 &&
              static_cast<int>(ElementType::MAX) == QUERN_F6E3M2 &&
              static_cast<int>(ElementType::bf16) == QUERN_BF16 &&
              static_cast<int>(ElementType::u64) == QUERN_U64 &&
              static_cast<int>(ElementType::u2) == QUERN_U2 &&
              static_cast<int>(ElementType::boolean) == QUERN_BOOL);

namespace {

const quern::artifact::Entry *find_entry(const QuernModel *model, size_t entry) {
  const auto entries = items(model->engine->manifest().entries());
  return entry < entries.size() ? entries[static_cast<uint32_t>(entry)] : nullptr;
}

using TensorDescs = flatbuffers::Vector<flatbuffers::Offset<quern::artifact::TensorDesc>>;

absl::Status describe(const TensorDescs *tensors, size_t index, QuernTensorInfo *info) {
  *info = {};
  if (index >= items(tensors).size())
    return absl::InvalidArgumentError(absl::StrCat("there is no tensor ", index));
  const quern::artifact::TensorDesc &tensor = *items(tensors)[static_cast<uint32_t>(index)];
  const auto shape = items(tensor.shape());
  const auto symbols = items(tensor.symbols());
  info->name = tensor.name() ? tensor.name()->c_str() : "";
  info->type = static_cast<int32_t>(tensor.type());
  info->rank = static_cast<int32_t>(shape.size()); // validated: at most QUERN_MAX_RANK
  for (uint32_t i = 0; i < shape.size(); ++i) {
    info->shape[i] = shape[i];
    info->symbols[i] = symbols.empty() ? "" : symbols[i]->c_str();
  }
  return absl::OkStatus();
}

absl::Status no_entry(size_t entry) {
  return absl::NotFoundError(absl::StrCat("the model has no entry ", entry));
}

absl::StatusOr<std::vector<Tensor>> from_c(const QuernTensor *tensors, size_t count) {
  std::vector<Tensor> result;
  for (size_t i = 0; i < count; ++i) {
    const QuernTensor &t = tensors[i];
    if (t.rank < 0 || t.rank > QUERN_MAX_RANK || t.type < 0 || t.type > QUERN_F6E3M2)
      return absl::InvalidArgumentError(
          absl::StrCat("tensor ", i, " has no possible type or rank"));
    result.push_back(
        {static_cast<ElementType>(t.type), {t.shape, t.shape + t.rank}, t.data, t.bytes});
  }
  return result;
}

absl::Status shapes(const QuernModel *model, size_t entry, const QuernTensor *inputs,
                    size_t num_inputs, QuernTensor *outputs) {
  const quern::artifact::Entry *described = find_entry(model, entry);
  if (!described)
    return no_entry(entry);
  auto tensors = from_c(inputs, num_inputs);
  if (!tensors.ok())
    return tensors.status();
  auto expected = model->engine->output_shapes(quern::artifact::text(described->name()), *tensors);
  if (!expected.ok())
    return expected.status();
  for (size_t i = 0; i < expected->size(); ++i) {
    const Tensor &tensor = (*expected)[i];
    outputs[i].type = static_cast<int32_t>(tensor.type);
    outputs[i].rank = static_cast<int32_t>(tensor.shape.size());
    std::copy(tensor.shape.begin(), tensor.shape.end(), outputs[i].shape);
    outputs[i].bytes = tensor.bytes;
  }
  return absl::OkStatus();
}

absl::Status call(QuernModel *model, size_t entry, const QuernTensor *inputs, size_t num_inputs,
                  QuernTensor *outputs, size_t num_outputs) {
  const quern::artifact::Entry *described = find_entry(model, entry);
  if (!described)
    return no_entry(entry);
  auto from = from_c(inputs, num_inputs), to = from_c(outputs, num_outputs);
  if (!from.ok())
    return from.status();
  if (!to.ok())
    return to.status();
  if (absl::Status status =
          model->engine->call(quern::artifact::text(described->name()), *from, *to);
      !status.ok())
    return status;
  for (size_t i = 0; i < to->size(); ++i)
    std::copy((*to)[i].shape.begin(), (*to)[i].shape.end(), outputs[i].shape);
  return absl::OkStatus();
}

} // namespace

extern "C" {

size_t quern_num_entries(const QuernModel *model) {
  return items(model->engine->manifest().entries()).size();
}

const char *quern_entry_name(const QuernModel *model, size_t entry) {
  const quern::artifact::Entry *described = find_entry(model, entry);
  return described ? described->name()->c_str() : nullptr;
}

size_t quern_num_inputs(const QuernModel *model, size_t entry) {
  const quern::artifact::Entry *described = find_entry(model, entry);
  return described ? items(described->inputs()).size() : 0;
}

size_t quern_num_outputs(const QuernModel *model, size_t entry) {
  const quern::artifact::Entry *described = find_entry(model, entry);
  return described ? items(described->outputs()).size() : 0;
}

QuernStatus quern_input_info(const QuernModel *model, size_t entry, size_t input,
                             QuernTensorInfo *info) {
  return guarded([&] {
    const quern::artifact::Entry *described = find_entry(model, entry);
    return described ? describe(described->inputs(), input, info) : no_entry(entry);
  });
}

QuernStatus quern_output_info(const QuernModel *model, size_t entry, size_t output,
                              QuernTensorInfo *info) {
  return guarded([&] {
    const quern::artifact::Entry *described = find_entry(model, entry);
    return described ? describe(described->outputs(), output, info) : no_entry(entry);
  });
}

QuernStatus quern_size_info(const QuernModel *model, size_t entry, size_t index, const char **name,
                            uint64_t *most) {
  return guarded([&]() -> absl::Status {
    const quern::artifact::Entry *described = find_entry(model, entry);
    if (!described)
      return no_entry(entry);
    const auto sizes = items(described->sizes());
    if (index >= sizes.size())
      return absl::NotFoundError(absl::StrCat("the entry has ", sizes.size(), " sizes"));
    const quern::artifact::Size &size = *sizes[static_cast<uint32_t>(index)];
    *name = size.name()->c_str(); // validated: it has one
    *most = size.most();
    return absl::OkStatus();
  });
}

QuernStatus quern_output_shapes(const QuernModel *model, size_t entry, const QuernTensor *inputs,
                                size_t num_inputs, QuernTensor *outputs) {
  return guarded([&] { return shapes(model, entry, inputs, num_inputs, outputs); });
}

QuernStatus quern_call(QuernModel *model, size_t entry, const QuernTensor *inputs,
                       size_t num_inputs, QuernTensor *outputs, size_t num_outputs) {
  return guarded([&] { return call(model, entry, inputs, num_inputs, outputs, num_outputs); });
}
}
