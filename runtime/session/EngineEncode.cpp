// An encoder's sequences: as many in a step as fit, each as a whole.
#include "runtime/session/Engine.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace quern::session {
namespace {

using artifact::items;
using artifact::text;

// Tokens that a step is filled to, where sequences are shorter: enough rows for the products to be
// at their best, and so few that what lies between them stays in the caches.
constexpr size_t kStepTokens = 512;

} // namespace

uint32_t Engine::longest_encoded() const {
  return std::min(manifest().context(), manifest().max_tokens());
}

absl::Status Engine::check_encoded(std::span<const EncodeSequence> batch,
                                   std::span<float> out) const {
  if (encoded_columns_ == 0)
    return absl::FailedPreconditionError(absl::StrCat(
        artifact_->path(),
        " is not an encoder: it has no entry 'encode'\n"
        "hint: ",
        vocab_ != 0 ? "quern-run run continues texts with it" : "quern-run call runs its entries"));
  for (const EncodeSequence &sequence : batch) {
    if (sequence.tokens.empty())
      return absl::InvalidArgumentError("a sequence to encode has no tokens");
    if (sequence.tokens.size() > longest_encoded())
      return absl::OutOfRangeError(
          absl::StrCat(sequence.tokens.size(), " tokens are more than ", artifact_->path(),
                       " takes at once, ", longest_encoded(),
                       "\nhint: give it less, or compile it again with a longer -c, if the "
                       "model was made for it"));
    for (const int32_t token : sequence.tokens)
      if (token < 0 || static_cast<uint32_t>(token) >= manifest().vocab())
        return absl::InvalidArgumentError(
            absl::StrCat("token ", token, " is not in the vocabulary, which has ids 0 to ",
                         manifest().vocab() - 1));
  }
  if (out.size() / encoded_columns_ < batch.size())
    return absl::InvalidArgumentError(absl::StrCat(batch.size(),
                                                   " sequences are encoded, and there is room for ",
                                                   out.size() / encoded_columns_));
  return absl::OkStatus();
}

absl::Status Engine::encode(std::span<const EncodeSequence> batch, std::span<float> out) {
  if (absl::Status status = check_encoded(batch, out); !status.ok())
    return status;
  const artifact::Entry &entry = *items(manifest().entries())[encode_entry_];
  if (!items(entry.sizes()).empty())
    return encode_alike(entry, batch, out.data());
  const size_t most = std::min<size_t>(max_tokens_, kStepTokens);
  for (size_t first = 0; first < batch.size();) {
    size_t end = first, tokens = 0;
    while (end < batch.size() && end - first < max_seqs_ &&
           (end == first || tokens + batch[end].tokens.size() <= most))
      tokens += batch[end++].tokens.size();
    if (absl::Status status =
            encode_step(batch.subspan(first, end - first), out.data() + first * encoded_columns_);
        !status.ok())
      return status;
    first = end;
  }
  return absl::OkStatus();
}

absl::Status Engine::encode_alike(const artifact::Entry &entry,
                                  std::span<const EncodeSequence> batch, float *out) {
  const auto inputs = items(entry.inputs());
  const uint64_t most = items(inputs[0]->shape())[0] < 0 ? items(inputs[0]->dims())[0]->most() : 1;
  std::vector<int64_t> numbers; // tokens, then their types
  std::vector<Tensor> given(inputs.size());
  for (size_t first = 0, end; first < batch.size(); first = end) {
    const size_t length = batch[first].tokens.size();
    const size_t limit = first + std::min<size_t>(most, std::max<size_t>(kStepTokens / length, 1));
    numbers.clear();
    for (end = first; end < std::min(limit, batch.size()) && batch[end].tokens.size() == length;
         ++end)
      numbers.insert(numbers.end(), batch[end].tokens.begin(), batch[end].tokens.end());
    for (size_t i = first; i < end; ++i)
      for (size_t t = 0; t < length; ++t)
        numbers.push_back(batch[i].second != 0 && t >= batch[i].second);
    const auto rows = static_cast<int64_t>(end - first);
    for (size_t i = 0; i < given.size(); ++i)
      given[i] = {artifact::ElementType::i64,
                  {rows, static_cast<int64_t>(length)},
                  numbers.data() + i * numbers.size() / 2,
                  numbers.size() * 4};
    Tensor result = {artifact::ElementType::f32,
                     {rows, encoded_columns_},
                     out + first * encoded_columns_,
                     (end - first) * encoded_columns_ * sizeof(float)};
    if (absl::Status status = call("encode", given, std::span(&result, 1)); !status.ok())
      return status;
  }
  return absl::OkStatus();
}

absl::Status Engine::encode_step(std::span<const EncodeSequence> batch, float *out) {
  size_t t = 0;
  for (size_t seq = 0; seq < batch.size(); ++seq) {
    cu_seqlens_[seq] = static_cast<int32_t>(t);
    for (size_t i = 0; i < batch[seq].tokens.size(); ++i, ++t) {
      tokens_[t] = batch[seq].tokens[i];
      types_[t] = batch[seq].second != 0 && i >= batch[seq].second ? 1 : 0;
      positions_[t] = static_cast<int32_t>(i);
      token_seq_[t] = static_cast<int32_t>(seq);
    }
  }
  cu_seqlens_[batch.size()] = static_cast<int32_t>(t);
  const void *inputs[] = {tokens_.data(), types_.data()};
  void *outputs[] = {out};
  QuernStepArgs args = step_args(inputs, outputs);
  args.num_tokens = static_cast<int64_t>(t);
  args.num_seqs = static_cast<int64_t>(batch.size());
  args.num_rows = 0;
  args.cu_seqlens = cu_seqlens_.data();
  args.positions = positions_.data();
  args.token_seq = token_seq_.data();
  args.rows = rows_.data();
  const auto buckets = items(items(manifest().entries())[encode_entry_]->buckets());
  uint32_t bucket = 0; // validation made sure that one of each target admits every step
  while (text(buckets[bucket]->target()) != device_->target() ||
         buckets[bucket]->max_tokens() < t || buckets[bucket]->max_seqs() < batch.size())
    ++bucket;
  return run(encode_entry_, bucket, args);
}

} // namespace quern::session
