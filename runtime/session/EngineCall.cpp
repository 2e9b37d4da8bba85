// Entries of plain tensors: shapes checked, symbols bound, one step.
#include "runtime/session/Engine.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <numeric>

namespace quern::session {
namespace {

using artifact::items;
using artifact::text;

// The values of T, B and R, as the inputs' shapes give them; -1: not bound.
struct Symbols {
  int64_t tokens = -1, seqs = -1, rows = -1;
  int64_t &operator[](std::string_view name) {
    return name == "T" ? tokens : name == "B" ? seqs : rows;
  }
};

std::string shape_text(std::span<const int64_t> shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

std::string shape_text(const artifact::TensorDesc &tensor) {
  std::vector<std::string> dims;
  const auto shape = items(tensor.shape());
  for (uint32_t i = 0; i < shape.size(); ++i)
    dims.push_back(shape[i] < 0 ? std::string(text(items(tensor.symbols())[i]))
                                : absl::StrCat(shape[i]));
  return absl::StrCat("[", absl::StrJoin(dims, ", "), "]");
}

// Bytes of a dense tensor; UINT64_MAX if that does not fit in 64 bits.
uint64_t dense_bytes(artifact::ElementType type, std::span<const int64_t> shape) {
  uint64_t bytes = artifact::element_bytes(type);
  for (int64_t dim : shape)
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(dim), &bytes))
      return UINT64_MAX;
  return bytes;
}

absl::Status bind_input(const artifact::TensorDesc &wanted, const Tensor &given, Symbols &symbols) {
  const auto shape = items(wanted.shape());
  const std::string name(text(wanted.name()));
  if (given.type != wanted.type())
    return absl::InvalidArgumentError(absl::StrCat("input '", name, "' must be ",
                                                   EnumNameElementType(wanted.type()), ", not ",
                                                   EnumNameElementType(given.type)));
  bool fits = given.shape.size() == shape.size();
  for (uint32_t i = 0; fits && i < shape.size(); ++i) {
    const int64_t dim = given.shape[i];
    if (shape[i] >= 0) {
      fits = dim == shape[i];
      continue;
    }
    int64_t &value = symbols[text(items(wanted.symbols())[i])];
    fits = dim >= 0 && (value == -1 || value == dim);
    value = dim;
  }
  if (!fits)
    return absl::InvalidArgumentError(absl::StrCat("input '", name, "' must have shape ",
                                                   shape_text(wanted), ", not ",
                                                   shape_text(given.shape)));
  if (dense_bytes(given.type, given.shape) > given.bytes)
    return absl::InvalidArgumentError(absl::StrCat("input '", name, "' of shape ",
                                                   shape_text(given.shape), " does not fit in its ",
                                                   given.bytes, " bytes"));
  return absl::OkStatus();
}

absl::StatusOr<Symbols> bind_inputs(const artifact::Entry &entry, std::span<const Tensor> inputs) {
  const auto wanted = items(entry.inputs());
  if (wanted.size() != inputs.size())
    return absl::InvalidArgumentError(absl::StrCat("entry '", std::string(text(entry.name())),
                                                   "' takes ", wanted.size(), " inputs, not ",
                                                   inputs.size()));
  Symbols symbols;
  for (uint32_t i = 0; i < wanted.size(); ++i)
    if (absl::Status status = bind_input(*wanted[i], inputs[i], symbols); !status.ok())
      return status;
  return symbols;
}

absl::StatusOr<std::vector<Tensor>> shapes_of_outputs(const artifact::Entry &entry,
                                                      Symbols symbols) {
  std::vector<Tensor> outputs;
  for (const artifact::TensorDesc *desc : items(entry.outputs())) {
    Tensor &output = outputs.emplace_back();
    output.type = desc->type();
    const auto shape = items(desc->shape());
    for (uint32_t i = 0; i < shape.size(); ++i)
      output.shape.push_back(shape[i] >= 0 ? shape[i] : symbols[text(items(desc->symbols())[i])]);
    for (int64_t dim : output.shape)
      if (dim < 0)
        return absl::InvalidArgumentError(absl::StrCat("output '", std::string(text(desc->name())),
                                                       "' has shape ", shape_text(*desc),
                                                       ", which no input's shape determines"));
    output.bytes = dense_bytes(output.type, output.shape);
  }
  return outputs;
}

absl::Status not_callable(std::string_view entry, const artifact::Artifact &artifact) {
  if (entry == "encode")
    return absl::UnimplementedError(
        "entry 'encode' takes sequences of tokens, which plain tensors do not tell apart\n"
        "hint: quern-run embed");
  if (entry == "step")
    return absl::UnimplementedError(
        "entry 'step' carries state between calls, so it is not called with plain tensors\n"
        "hint: quern-run logits, or quern_step of the C interface");
  std::vector<std::string> names;
  for (const artifact::Entry *e : items(artifact.manifest().entries()))
    names.emplace_back(text(e->name()));
  return absl::NotFoundError(absl::StrCat(artifact.path(), " has no entry '", std::string(entry),
                                          "'\nhint: it has ", absl::StrJoin(names, ", ")));
}

} // namespace

absl::StatusOr<std::vector<Tensor>> Engine::output_shapes(std::string_view name,
                                                          std::span<const Tensor> inputs) const {
  const artifact::Entry *entry = artifact_->entry(name);
  if (!entry || name == "step" || name == "encode")
    return not_callable(name, *artifact_);
  auto symbols = bind_inputs(*entry, inputs);
  if (!symbols.ok())
    return symbols.status();
  return shapes_of_outputs(*entry, *symbols);
}

absl::Status Engine::call(std::string_view name, std::span<const Tensor> inputs,
                          std::span<const Tensor> outputs) {
  auto expected = output_shapes(name, inputs);
  if (!expected.ok())
    return expected.status();
  if (expected->size() != outputs.size())
    return absl::InvalidArgumentError(absl::StrCat("entry '", std::string(name), "' gives ",
                                                   expected->size(), " outputs, not ",
                                                   outputs.size()));
  std::vector<const void *> input_data;
  std::vector<void *> output_data;
  for (const Tensor &input : inputs)
    input_data.push_back(input.data);
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Tensor &wanted = (*expected)[i];
    if (outputs[i].type != wanted.type || outputs[i].shape != wanted.shape ||
        outputs[i].bytes < wanted.bytes)
      return absl::InvalidArgumentError(
          absl::StrCat("output ", i, " must be ", EnumNameElementType(wanted.type), " ",
                       shape_text(wanted.shape), " of ", wanted.bytes, " bytes"));
    output_data.push_back(outputs[i].data);
  }

  const artifact::Entry &entry = *artifact_->entry(name);
  const Symbols symbols = *bind_inputs(entry, inputs);
  const int64_t num_seqs = symbols.seqs >= 0 ? symbols.seqs : 1;
  const int64_t num_tokens = symbols.tokens >= 0 ? symbols.tokens : num_seqs;
  const int64_t num_rows = symbols.rows >= 0 ? symbols.rows : num_tokens;
  const auto buckets = items(entry.buckets());
  uint32_t bucket = 0;
  while (bucket < buckets.size() &&
         !(text(buckets[bucket]->target()) == device_->target() &&
           buckets[bucket]->min_tokens() <= num_tokens &&
           num_tokens <= buckets[bucket]->max_tokens() && num_seqs <= buckets[bucket]->max_seqs()))
    ++bucket;
  if (bucket == buckets.size() || num_rows > num_tokens)
    return absl::InvalidArgumentError(absl::StrCat(
        "entry '", std::string(name), "' was not compiled for ", num_tokens, " tokens of ",
        num_seqs,
        " sequences\nhint: smaller inputs, or compile with a larger --max-tokens or --max-seqs"));

  // A plain tensor entry has no history: its sequences share the tokens evenly, from position 0 on.
  std::vector<int32_t> cu_seqlens(num_seqs + 1), positions(num_tokens), token_seq(num_tokens),
      rows(num_rows);
  for (int64_t s = 0; s < num_seqs; ++s) {
    cu_seqlens[s + 1] = static_cast<int32_t>(num_tokens * (s + 1) / num_seqs);
    for (int32_t t = cu_seqlens[s]; t < cu_seqlens[s + 1]; ++t) {
      positions[t] = t - cu_seqlens[s];
      token_seq[t] = static_cast<int32_t>(s);
    }
  }
  std::iota(rows.begin(), rows.end(), 0);
  QuernStepArgs args = step_args(input_data.data(), output_data.data());
  args.num_tokens = num_tokens;
  args.num_seqs = num_seqs;
  args.num_rows = num_rows;
  args.cu_seqlens = cu_seqlens.data();
  args.positions = positions.data();
  args.token_seq = token_seq.data();
  args.rows = rows.data();
  const auto entries = items(manifest().entries());
  uint32_t index = 0;
  while (entries[index] != &entry)
    ++index;
  return device_->run(index, bucket, args);
}

} // namespace quern::session
