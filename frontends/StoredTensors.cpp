#include "frontends/StoredTensors.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <xxhash.h>

#include <algorithm>
#include <utility>

namespace quern {

namespace {

constexpr char kIncomplete[] = "the files may be incomplete, or not belong to this config: take "
                               "all of the model's files again";
constexpr char kDoubles[] = "save the model as float32: load it in transformers with "
                            "dtype=torch.float32, and save_pretrained";
constexpr int64_t kMaxSmall = int64_t{1} << 20;

weights::WeightRef ref_of(const std::string &name, const StoredTensor &tensor) {
  weights::WeightRef ref;
  ref.file = tensor.file;
  ref.offset = tensor.offset;
  ref.format = tensor.format;
  ref.shape = tensor.shape;
  ref.synthetic.name = name;
  ref.coded = tensor.coded;
  return ref;
}

std::vector<int64_t> without_ones(std::vector<int64_t> shape) {
  std::erase(shape, 1);
  return shape;
}

/// Buffers that checkpoints carry though they are computed, not learned.
bool is_computed(std::string_view name, const StoredTensor &tensor) {
  if (name.ends_with("rotary_emb.inv_freq"))
    return true;
  // The causal masks [1, 1, n, n] of GPT-2, GPT-J and GPT-NeoX, and the score of what is masked.
  const bool attention = name.find(".attn.") != name.npos || name.find(".attention.") != name.npos;
  return attention && ((name.ends_with(".bias") && tensor.shape.size() == 4) ||
                       (name.ends_with(".masked_bias") && tensor.shape.size() <= 1));
}

constexpr int64_t kMostElements = int64_t{1} << 48;

/// The product of a shape's numbers; 0 where it is beyond what any tensor has.
int64_t elements_of(const std::vector<int64_t> &shape) {
  int64_t elements = 1;
  for (const int64_t n : shape) {
    if (n < 1 || elements > kMostElements / n)
      return 0;
    elements *= n;
  }
  return elements;
}

} // namespace

std::string shape_text(const std::vector<int64_t> &shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

absl::Status
StoredTensors::cut(const std::string &name,
                   const std::vector<std::pair<std::string, std::vector<int64_t>>> &parts) {
  auto it = list.find(name);
  if (it == list.end())
    return absl::NotFoundError("there is no such tensor");
  const StoredTensor whole = it->second;
  // Of types that Quern does not read as they are, codes of one byte are cut too: scales may make
  // weights of them.
  uint64_t element = 1;
  if (whole.coded)
    return absl::UnimplementedError("it is quantized, and Quern reads it only in its parts");
  if (!whole.format.empty()) {
    weights::WeightRef one = ref_of(name, whole);
    one.shape = {1};
    const absl::StatusOr<int64_t> bytes = store.bytes(one);
    if (!bytes.ok())
      return bytes.status();
    element = static_cast<uint64_t>(*bytes);
  } else if (!whole.type.starts_with("F8_")) {
    return absl::UnimplementedError(
        absl::StrCat("its type, ", whole.type, ", is not one that Quern reads"));
  }
  int64_t elements = 0;
  for (const auto &[part, shape] : parts) {
    const int64_t more = elements_of(shape);
    if (more == 0 || more > kMostElements - elements)
      return absl::InvalidArgumentError(absl::StrCat("its part ", part, " has no sound shape"));
    elements += more;
  }
  if (elements != elements_of(whole.shape))
    return absl::InvalidArgumentError(absl::StrCat("its shape is ", shape_text(whole.shape),
                                                   ", and its parts have ", elements,
                                                   " numbers together"));
  list.erase(it);
  uint64_t offset = whole.offset;
  for (const auto &[part, shape] : parts) {
    StoredTensor tensor = whole;
    tensor.shape = shape;
    tensor.offset = offset;
    offset += static_cast<uint64_t>(elements_of(shape)) * element;
    list.insert_or_assign(part, std::move(tensor));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<float>> StoredTensors::values(const std::string &name) const {
  auto it = list.find(name);
  if (it == list.end())
    return absl::NotFoundError(absl::StrCat("there is no tensor ", name));
  if (it->second.format.empty())
    return absl::UnimplementedError(
        absl::StrCat("its type, ", it->second.type, ", is not one that Quern reads"));
  weights::WeightRef ref = ref_of(name, it->second);
  if (absl::Status status = store.check(ref); !status.ok())
    return status;
  if (ref.rows() > kMaxSmall || ref.row_elements() > kMaxSmall ||
      ref.rows() * ref.row_elements() > kMaxSmall)
    return absl::InvalidArgumentError(absl::StrCat(shape_text(ref.shape), " is too large"));
  std::vector<float> values(static_cast<size_t>(ref.rows() * ref.row_elements()));
  if (absl::Status status = store.read_rows(ref, 0, ref.rows(), values.data()); !status.ok())
    return status;
  return values;
}

std::optional<recipe::Place> StoredTensors::find(const recipe::Tensor &tensor,
                                                 const std::string &name,
                                                 Problems &problems) const {
  auto it = list.find(name);
  if (reported.contains(name))
    return std::nullopt;
  std::vector<int64_t> shape = tensor.shape;
  if (!tensor.parts.empty())
    shape.erase(shape.begin());
  if (it == list.end()) {
    problems.add(name, absl::StrCat("this tensor is missing; it should be ", shape_text(shape)),
                 kIncomplete);
    return std::nullopt;
  }
  const StoredTensor &stored = it->second;
  if (stored.coded && tensor.transposed)
    std::swap(shape[shape.size() - 2], shape.back());
  if (stored.shape != shape && (stored.coded || stored.shape != tensor.stored) &&
      !(ones_mean_nothing && without_ones(stored.shape) == without_ones(shape))) {
    problems.add(name,
                 absl::StrCat("its shape is ", shape_text(stored.shape), ", and should be ",
                              shape_text(tensor.stored.empty() ? shape : tensor.stored)),
                 "the files may not belong to this config");
    return std::nullopt;
  }
  if (stored.format.empty()) {
    problems.add(name, absl::StrCat("its type, ", stored.type, ", is not one that Quern reads"),
                 stored.type == "F64" ? kDoubles : "take the model in another quantization");
    return std::nullopt;
  }
  weights::WeightRef ref = ref_of(name, stored);
  ref.shape = shape;
  if (absl::Status status = store.check(ref); !status.ok()) {
    problems.add(name, status);
    return std::nullopt;
  }
  return recipe::Place{stored.file, static_cast<int64_t>(stored.offset), stored.format,
                       stored.coded};
}

std::vector<recipe::Place> StoredTensors::place(const std::vector<recipe::Tensor> &wanted,
                                                const std::set<std::string> &known,
                                                Problems &problems) const {
  std::vector<recipe::Place> places;
  std::set<std::string_view> used(known.begin(), known.end());
  for (const recipe::Tensor &tensor : wanted) {
    recipe::Place &place = places.emplace_back();
    if (tensor.parts.empty()) {
      used.insert(tensor.name);
      if (auto found = find(tensor, tensor.name, problems))
        place = *std::move(found);
      continue;
    }
    std::vector<recipe::Place> parts;
    for (const std::string &name : tensor.parts) {
      used.insert(name);
      auto found = find(tensor, name, problems);
      if (!found)
        continue;
      if (!parts.empty() && found->format != parts.front().format)
        problems.add(name,
                     absl::StrCat("it is stored as ", found->format, ", and ", tensor.parts.front(),
                                  " as ", parts.front().format),
                     "experts of a layer have one format: take the model in another quantization");
      parts.push_back(*std::move(found));
    }
    if (parts.size() == tensor.parts.size()) {
      place = parts.front();
      place.parts = std::move(parts);
    }
  }
  for (const auto &[name, stored] : list)
    if (!used.contains(name) && !reported.contains(name) && !harmless.contains(name) &&
        !is_computed(name, stored))
      problems.add(name, "this model should have no such tensor",
                   "the config may not belong to these files, or the family has a part that Quern "
                   "does not know");
  return places;
}

void StoredTensors::report_missing(const recipe::Decoder &decoder, Problems &problems) const {
  if (list.empty())
    return;
  for (const recipe::Tensor &tensor : recipe::tensors(decoder))
    for (const std::string &name : tensor.file_names())
      if (!list.contains(name) && !reported.contains(name))
        problems.add(name, "this tensor is missing", kIncomplete);
}

recipe::StoredFormats StoredTensors::formats() const {
  recipe::StoredFormats formats;
  for (const auto &[name, tensor] : list)
    if (!tensor.format.empty())
      formats[name] = {tensor.format, tensor.shape, tensor.coded != nullptr};
  return formats;
}

std::vector<std::string> StoredTensors::paths() const {
  std::vector<std::string> paths;
  for (int i = 0; i < store.files(); ++i)
    paths.push_back(store.file(i).path());
  return paths;
}

absl::StatusOr<uint64_t> StoredTensors::hash() const {
  uint64_t hash = 0;
  auto mix = [&](const void *data, size_t size) { hash = XXH3_64bits_withSeed(data, size, hash); };
  for (const auto &[name, tensor] : list) {
    mix(name.data(), name.size());
    mix(tensor.type.data(), tensor.type.size());
    mix(tensor.shape.data(), tensor.shape.size() * sizeof(int64_t));
    if (tensor.format.empty())
      continue;
    std::vector<weights::SizedPart> parts;
    if (tensor.coded) {
      absl::StatusOr<std::vector<weights::SizedPart>> coded =
          weights::parts_of(*tensor.coded, tensor.shape);
      if (!coded.ok())
        return coded.status();
      parts = *std::move(coded);
    } else {
      absl::StatusOr<int64_t> bytes = store.bytes(ref_of(name, tensor));
      if (!bytes.ok())
        return bytes.status();
      parts = {{"", {tensor.file, tensor.offset, {}}, *bytes}};
    }
    for (const auto &[part_name, part, bytes] : parts) {
      uint64_t size = static_cast<uint64_t>(bytes), piece = std::min<uint64_t>(size, 4096);
      for (uint64_t at : {part.offset, part.offset + size - piece}) {
        absl::StatusOr<std::span<const std::byte>> range = store.file(part.file).range(at, piece);
        if (!range.ok())
          return range.status();
        mix(range->data(), range->size());
      }
    }
  }
  return hash;
}

} // namespace quern
