// Entries of plain tensors: shapes checked, symbols bound, one step.
#include "runtime/session/CallShapes.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <numeric>

namespace quern::session {
namespace {

using artifact::items;
using artifact::text;

absl::Status not_callable(std::string_view entry, const artifact::Artifact &artifact) {
  const bool there = artifact.entry(entry) != nullptr;
  if (there && entry == "encode")
    return absl::UnimplementedError(
        "entry 'encode' takes sequences of tokens, which plain tensors do not tell apart\n"
        "hint: quern-run embed");
  if (there && entry == "step")
    return absl::UnimplementedError(
        "entry 'step' carries state between calls, so it is not called with plain tensors\n"
        "hint: quern-run logits, or quern_step of the C interface");
  std::vector<std::string> names;
  for (const artifact::Entry *e : items(artifact.manifest().entries()))
    names.emplace_back(text(e->name()));
  return absl::NotFoundError(absl::StrCat(artifact.path(), " has no entry '", std::string(entry),
                                          "'\nhint: it has ", absl::StrJoin(names, ", ")));
}

// What the caller is told of a fault.
absl::Status fault_status(const artifact::FaultSite &site, const QuernFault &fault) {
  using artifact::FaultKind;
  const std::string size(text(site.size()));
  std::string what;
  switch (site.kind()) {
  case FaultKind::index:
  case FaultKind::index_from_end: {
    const bool from_end = site.kind() == FaultKind::index_from_end;
    if (fault.limit <= 0) {
      what = "an index into what has no elements";
      break;
    }
    // Generated code has counted it from the front.
    what = absl::StrCat("index ", fault.value - (from_end && fault.value < 0 ? fault.limit : 0),
                        " is not within ", from_end ? -fault.limit : 0, " to ", fault.limit - 1);
    break;
  }
  case FaultKind::divisor:
    what = "an integer is divided by 0";
    break;
  case FaultKind::too_many:
    return absl::InvalidArgumentError(absl::StrCat(
        "'", std::string(text(site.node())), "': ", fault.value, " elements are more than the ",
        fault.limit, " that there is room for\nhint: other inputs, or compile with --dim ", size,
        "=", fault.value));
  case FaultKind::not_as_many:
    what = absl::StrCat(fault.value, " elements, where there have to be ", fault.limit);
    break;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("'", std::string(text(site.node())), "': ", what,
                   "\nhint: look at the inputs that it is computed from"));
}

} // namespace

absl::StatusOr<std::vector<Tensor>> Engine::output_shapes(std::string_view name,
                                                          std::span<const Tensor> inputs) const {
  const artifact::Entry *entry = artifact_->entry(name);
  if (!entry || !is_callable(*entry))
    return not_callable(name, *artifact_);
  auto shape = bind_inputs(*entry, inputs);
  if (!shape.ok())
    return shape.status();
  return shapes_of_outputs(*entry, *shape);
}

absl::Status Engine::call(std::string_view name, std::span<const Tensor> inputs,
                          std::span<Tensor> outputs) {
  auto expected = output_shapes(name, inputs);
  if (!expected.ok())
    return expected.status();
  if (expected->size() != outputs.size())
    return absl::InvalidArgumentError(absl::StrCat("entry '", std::string(name), "' gives ",
                                                   expected->size(), " outputs, not ",
                                                   outputs.size()));
  const artifact::Entry &entry = *artifact_->entry(name);
  const bool counts = counts_sizes(entry);
  std::vector<const void *> input_data;
  std::vector<void *> output_data;
  std::vector<std::vector<uint8_t>> unread;
  for (const Tensor &input : inputs) {
    input_data.push_back(input.data);
    // An index into an axis without elements is at fault, and read as the first all the same.
    if (std::ranges::find(input.shape, 0) == input.shape.end())
      continue;
    uint64_t bytes = artifact::element_bytes(input.type);
    for (const int64_t dim : input.shape)
      bytes *= static_cast<uint64_t>(std::max<int64_t>(dim, 1));
    input_data.back() = unread.emplace_back(bytes).data();
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Tensor &wanted = (*expected)[i];
    if (outputs[i].type != wanted.type || (!counts && outputs[i].shape != wanted.shape) ||
        outputs[i].bytes < wanted.bytes)
      return absl::InvalidArgumentError(
          absl::StrCat("output ", i, " must be ", EnumNameElementType(wanted.type), " ",
                       shape_text(wanted.shape), " of ", wanted.bytes, " bytes"));
    output_data.push_back(outputs[i].data);
  }

  CallShape shape = *bind_inputs(entry, inputs);
  const int64_t num_seqs = shape.seqs >= 0 ? shape.seqs : 1;
  const int64_t num_tokens = shape.tokens >= 0 ? shape.tokens : num_seqs;
  const int64_t num_rows = shape.rows >= 0 ? shape.rows : num_tokens;
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
  if (!shape.dims.empty())
    args.dims = shape.dims.data();
  for (uint32_t i = 0; i < shape.dims.size(); ++i)
    if (items(entry.sizes())[i]->bound())
      shape.dims[i] = 0; // until it is counted
  const auto entries = items(manifest().entries());
  uint32_t index = 0;
  while (entries[index] != &entry)
    ++index;
  if (absl::Status status = run(index, bucket, args); !status.ok())
    return status;
  if (!counts)
    return absl::OkStatus();
  auto counted = shapes_of_outputs(entry, shape, /*counted=*/true);
  if (!counted.ok())
    return counted.status();
  for (size_t i = 0; i < outputs.size(); ++i)
    outputs[i].shape = std::move((*counted)[i].shape);
  return absl::OkStatus();
}

absl::Status Engine::run(uint32_t entry, uint32_t bucket, QuernStepArgs args) {
  QuernFault fault = {};
  args.fault = &fault;
  if (absl::Status status = device_->run(entry, bucket, args); !status.ok())
    return status;
  if (fault.found == 0)
    return absl::OkStatus();
  const artifact::Bucket &of = *items(items(manifest().entries())[entry]->buckets())[bucket];
  const auto dispatches = items(of.dispatches());
  const auto dispatch = static_cast<uint32_t>(fault.dispatch);
  const auto site = static_cast<uint32_t>(fault.site);
  if (dispatch >= dispatches.size() || site >= items(dispatches[dispatch]->faults()).size())
    return absl::InternalError("the code reports a fault that the artifact does not know");
  return fault_status(*items(dispatches[dispatch]->faults())[site], fault);
}

} // namespace quern::session
