// What a manifest must hold for the runtime to use its numbers without looking again.
#include "runtime/artifact/Artifact.h"
#include "runtime/artifact/MadeWeights.h"
#include "runtime/artifact/ValidateTensors.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <string>

namespace quern::artifact {
namespace {

// As kMaxBytes: generous, and small enough.
constexpr uint32_t kMaxTokens = 1u << 20; // of a step
constexpr uint32_t kMaxSeqs = 1u << 16;   // of a step
constexpr uint32_t kMaxEntries = 256;     // and buckets of an entry: what bounds the walks below
constexpr uint32_t kMaxKvGroups = 256;

std::string str(const flatbuffers::String *s) { return std::string(text(s)); }

// [offset, offset + bytes) inside [0, limit), without overflow.
bool inside(uint64_t offset, uint64_t bytes, uint64_t limit) {
  return bytes <= limit && offset <= limit - bytes;
}

bool is_identifier(std::string_view name) {
  if (name.empty())
    return false;
  for (char c : name)
    if (!(c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')))
      return false;
  return true;
}

constexpr std::string_view kTargets[] = {"cpu", "cuda"};

bool is_target(std::string_view name) {
  return std::ranges::find(kTargets, name) != std::end(kTargets);
}

absl::Status check_targets(const Manifest &manifest) {
  if (items(manifest.variants()).empty())
    return wrong("variants", "there is none");
  for (const Variant *variant : items(manifest.variants()))
    if (!is_target(text(variant->target())))
      return wrong(absl::StrCat("variant '", str(variant->name()), "'"), "of no known target");
  for (const Kernel *kernel : items(manifest.kernels()))
    if (!is_target(text(kernel->target())))
      return wrong(absl::StrCat("kernel '", str(kernel->name()), "'"), "of no known target");
  return absl::OkStatus();
}

// Whether any variant is the target's.
bool has_code(const Manifest &manifest, std::string_view target) {
  for (const Variant *variant : items(manifest.variants()))
    if (text(variant->target()) == target)
      return true;
  return false;
}

// The entry's buckets of each target that there is code for: the least first, as the session looks
// for one that admits a step.
absl::Status check_order(const Manifest &manifest, const Entry &entry, const std::string &where) {
  for (const std::string_view target : kTargets) {
    const Bucket *last = nullptr;
    for (const Bucket *bucket : items(entry.buckets())) {
      if (text(bucket->target()) != target)
        continue;
      if (last &&
          (bucket->max_tokens() < last->max_tokens() || bucket->max_seqs() < last->max_seqs()))
        return wrong(where, absl::StrCat("its buckets of the target ", std::string(target),
                                         " are not in order"));
      last = bucket;
    }
    if ((last != nullptr) != has_code(manifest, target))
      return wrong(where, absl::StrCat(last ? "it has buckets and no code of the target "
                                            : "it has no bucket of the target ",
                                       std::string(target)));
  }
  return absl::OkStatus();
}

absl::Status check_bucket(const Bucket &bucket, const Manifest &manifest,
                          const std::string &where) {
  const auto kernels = items(manifest.kernels());
  if (!is_target(text(bucket.target())))
    return wrong(where, "of no known target");
  if (!is_identifier(text(bucket.symbol())))
    return wrong(where, "its symbol is not a function's name");
  if (bucket.min_tokens() > bucket.max_tokens() || bucket.max_tokens() > kMaxTokens ||
      bucket.max_seqs() == 0 || bucket.max_seqs() > kMaxSeqs)
    return wrong(where, "impossible limits");
  if (bucket.arena() > kMaxBytes)
    return wrong(where, "impossible arena");
  const auto dispatches = items(bucket.dispatches());
  for (const Dispatch *dispatch : dispatches) {
    if (dispatch->kernel() >= kernels.size())
      return wrong(where, "a dispatch of a kernel that is not there");
    if (text(kernels[dispatch->kernel()]->target()) != text(bucket.target()))
      return wrong(where, "a dispatch of a kernel of another target");
    for (const FaultSite *fault : items(dispatch->faults()))
      if (fault->kind() < FaultKind::MIN || fault->kind() > FaultKind::MAX)
        return wrong(where, "a dispatch with an unknown kind of fault");
    for (uint32_t state : items(dispatch->states()))
      if (state >= items(manifest.states()).size())
        return wrong(where, "a dispatch on a state that is not there");
  }
  for (const Buffer *buffer : items(bucket.buffers())) {
    if (!inside(buffer->offset(), buffer->size(), bucket.arena()))
      return wrong(where,
                   absl::StrCat("buffer '", str(buffer->name()), "' lies outside the arena"));
    if (buffer->first() > buffer->last() || buffer->last() >= dispatches.size())
      return wrong(where,
                   absl::StrCat("buffer '", str(buffer->name()), "' lives outside the schedule"));
  }
  return absl::OkStatus();
}

// Every (T, B) that a step can have is admitted by some bucket of the target.
absl::Status check_step_covered(const Entry &entry, std::string_view target, uint32_t max_tokens,
                                uint32_t max_seqs, const std::string &where) {
  for (uint32_t tokens = 1; tokens <= max_tokens; ++tokens) {
    bool admitted = false;
    for (const Bucket *bucket : items(entry.buckets()))
      admitted |= text(bucket->target()) == target && bucket->min_tokens() <= tokens &&
                  tokens <= bucket->max_tokens() &&
                  bucket->max_seqs() >= std::min(tokens, max_seqs);
    if (!admitted)
      return wrong(where, absl::StrCat("no bucket of the target ", std::string(target), " admits ",
                                       tokens, " tokens"));
  }
  return absl::OkStatus();
}

bool is_tensor(const TensorDesc &tensor, ElementType type, std::string_view symbol, int64_t inner) {
  const auto shape = items(tensor.shape());
  const uint32_t rank = inner < 0 ? 1 : 2;
  return tensor.type() == type && shape.size() == rank && shape[0] == -1 &&
         text(items(tensor.symbols())[0]) == symbol && (inner < 0 || shape[1] == inner);
}

bool is_alike(const TensorDesc &tensor) {
  const auto shape = items(tensor.shape());
  return tensor.type() == ElementType::i64 && shape.size() == 2 && shape[1] == -1;
}

absl::Status check_numbers(const Manifest &manifest, const std::string &where) {
  if (manifest.vocab() == 0 || manifest.vocab() > (1u << 30) || manifest.context() == 0 ||
      manifest.context() > (1u << 30) || manifest.max_tokens() == 0 ||
      manifest.max_tokens() > kMaxTokens || manifest.max_seqs() == 0 ||
      manifest.max_seqs() > kMaxSeqs)
    return wrong(where, "impossible vocabulary, context, max_tokens or max_seqs");
  return absl::OkStatus();
}

absl::Status check_limits(const Manifest &manifest, const Entry &entry, const std::string &where) {
  if (absl::Status status = check_numbers(manifest, where); !status.ok())
    return status;
  for (const std::string_view target : kTargets)
    if (has_code(manifest, target))
      if (absl::Status status =
              check_step_covered(entry, target, manifest.max_tokens(), manifest.max_seqs(), where);
          !status.ok())
        return status;
  return absl::OkStatus();
}

// The step entry is called by the session, which knows its signature: tokens [T] -> logits [R,
// vocab].
absl::Status check_step(const Manifest &manifest, const Entry &entry) {
  const std::string where = "entry 'step'";
  const auto inputs = items(entry.inputs());
  const auto outputs = items(entry.outputs());
  if (!items(entry.sizes()).empty())
    return wrong(where, "its caller chooses no sizes");
  if (inputs.size() != 1 || !is_tensor(*inputs[0], ElementType::i32, "T", -1))
    return wrong(where, "its input must be int32 [T]");
  if (outputs.size() != 1 || !is_tensor(*outputs[0], ElementType::f32, "R", manifest.vocab()))
    return wrong(where, "its output must be float32 [R, vocab]");
  return check_limits(manifest, entry, where);
}

// So is an encoder's: tokens [T], perhaps their types [T] -> a row for each sequence [B, columns].
absl::Status check_encode(const Manifest &manifest, const Entry &entry) {
  const std::string where = "entry 'encode'";
  const auto inputs = items(entry.inputs());
  const auto outputs = items(entry.outputs());
  bool fits = inputs.size() == 1 || inputs.size() == 2;
  // A graph's takes sequences of one length, as plain tensors [b, s].
  const bool sized = !items(entry.sizes()).empty();
  for (uint32_t i = 0; fits && i < inputs.size(); ++i)
    fits = sized ? is_alike(*inputs[i]) : is_tensor(*inputs[i], ElementType::i32, "T", -1);
  if (!fits)
    return wrong(where, "its inputs must be int32 [T] or int64 [b, s], one or two");
  if (outputs.size() != 1)
    return wrong(where, "it must have one output");
  const auto shape = items(outputs[0]->shape());
  const int64_t columns = shape.size() == 2 ? shape[1] : 0;
  if (columns < 1 || columns > (1 << 30) || outputs[0]->type() != ElementType::f32 ||
      !(sized || is_tensor(*outputs[0], ElementType::f32, "B", columns)))
    return wrong(where, "its output must be float32 [B, columns]");
  const Encoder *encoder = manifest.encoder();
  if (!encoder || encoder->max_length() == 0 || encoder->max_length() > manifest.max_tokens())
    return wrong(where, "nothing is said of its texts, or they would not fit in a step");
  if (!items(encoder->labels()).empty() && items(encoder->labels()).size() != columns)
    return wrong(where, "it has not a label for each column");
  return sized ? check_numbers(manifest, where) : check_limits(manifest, entry, where);
}

absl::Status check_entries(const Manifest &manifest) {
  const auto entries = items(manifest.entries());
  if (entries.size() > kMaxEntries)
    return wrong("entries", "too many");
  for (uint32_t e = 0; e < entries.size(); ++e) {
    const Entry &entry = *entries[e];
    const std::string where = absl::StrCat("entry '", str(entry.name()), "'");
    if (text(entry.name()).empty())
      return wrong(where, "it has no name");
    for (uint32_t i = 0; i < e; ++i)
      if (text(entries[i]->name()) == text(entry.name()))
        return wrong(where, "it is there twice");
    if (absl::Status status = check_tensors(entry, where); !status.ok())
      return status;
    if (items(entry.buckets()).empty() || items(entry.buckets()).size() > kMaxEntries)
      return wrong(where, "it has no bucket, or too many");
    for (const Bucket *bucket : items(entry.buckets()))
      if (absl::Status status = check_bucket(
              *bucket, manifest, absl::StrCat(where, " bucket '", str(bucket->name()), "'"));
          !status.ok())
        return status;
    if (absl::Status status = check_order(manifest, entry, where); !status.ok())
      return status;
    if (absl::Status status = check_sizes(entry, where); !status.ok())
      return status;
    if (text(entry.name()) == "step")
      if (absl::Status status = check_step(manifest, entry); !status.ok())
        return status;
    if (text(entry.name()) == "encode")
      if (absl::Status status = check_encode(manifest, entry); !status.ok())
        return status;
  }
  return absl::OkStatus();
}

absl::Status check_states(const Manifest &manifest) {
  const auto groups = items(manifest.kv_groups());
  if (groups.size() > kMaxKvGroups)
    return wrong("kv groups", "too many");
  for (const KvGroup *group : groups)
    if (group->page_bytes() == 0 || group->page_bytes() % 64 != 0 ||
        group->page_bytes() > kMaxBytes)
      return wrong("kv group", "impossible page size");
  if (manifest.slot_bytes() % 64 != 0 || manifest.slot_bytes() > kMaxBytes)
    return wrong("slot_bytes", "not a multiple of 64, or impossible");
  for (const State *state : items(manifest.states())) {
    const std::string where = absl::StrCat("state '", str(state->name()), "'");
    if (state->kind() < StateKind::MIN || state->kind() > StateKind::MAX)
      return wrong(where, "unknown kind");
    uint64_t room = manifest.slot_bytes();
    if (state->kind() == StateKind::kv) {
      if (state->group() >= groups.size())
        return wrong(where, "it belongs to a kv group that is not there");
      room = groups[state->group()]->page_bytes();
    }
    if (!inside(state->offset(), state->bytes(), room) || !is_aligned(state->shape()))
      return wrong(where, "it lies outside its page or slot");
  }
  return absl::OkStatus();
}

// What MadeWeights.h relies on. Each byte is made or copied once, so that no more is done than the
// weights have bytes.
absl::Status check_made(const Manifest &manifest, uint64_t section_bytes) {
  const uint64_t all = manifest.weights_bytes();
  if (all > kMaxBytes)
    return wrong("weights", "impossible size");
  uint64_t end = 0;
  for (const MadeWeight &weight : made_weights(manifest)) {
    if (weight.offset() < end || !inside(weight.offset(), weight.bytes(), all) ||
        weight.offset() % 8 != 0 || weight.bytes() % 8 != 0)
      return wrong("made weights", "one lies outside the weights, or on another");
    if (weight.panel() == 0 || weight.run() == 0 || weight.record() == 0)
      return wrong("made weights", "one has panels of nothing");
    end = weight.offset() + weight.bytes();
  }
  end = 0;
  for (const KeptWeight &weight : kept_weights(manifest)) {
    if (weight.offset() < end || !inside(weight.offset(), weight.bytes(), all) ||
        !inside(weight.at(), weight.bytes(), section_bytes))
      return wrong("kept weights", "one lies outside the weights, or on another");
    end = weight.offset() + weight.bytes();
  }
  return absl::OkStatus();
}

} // namespace

absl::Status validate(const Manifest &manifest, uint64_t section_bytes) {
  if (absl::Status status = check_made(manifest, section_bytes); !status.ok())
    return status;
  const uint64_t weights_bytes =
      manifest.weights_bytes() != 0 ? manifest.weights_bytes() : section_bytes;
  for (const Weight *weight : items(manifest.weights()))
    if (!inside(weight->offset(), weight->bytes(), weights_bytes) || !is_aligned(weight->shape()))
      return wrong(absl::StrCat("weight '", str(weight->name()), "'"),
                   "it lies outside the weights section");
  if (absl::Status status = check_targets(manifest); !status.ok())
    return status;
  if (absl::Status status = check_states(manifest); !status.ok())
    return status;
  return check_entries(manifest);
}

} // namespace quern::artifact
