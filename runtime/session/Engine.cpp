#include "runtime/session/Engine.h"

#include "runtime/abi/Variants.h"
#include "runtime/session/Sampler.h"
#include "runtime/session/StateFile.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

namespace quern::session {
namespace {

using artifact::items;
using artifact::text;

// The name that a spelling of --variant stands for; "" for the best that runs here.
std::string variant_called(const std::string &wanted) {
  if (wanted == kNativeVariant)
    return "";
  for (const VariantSpelling &known : kVariantSpellings)
    if (known.spelling == wanted)
      return std::string(known.name);
  return wanted;
}

// The variant asked for, or the best that runs here. Whether one asked for runs is for load to say.
absl::StatusOr<std::string> choose_variant(const device::Device &device,
                                           const artifact::Artifact &artifact,
                                           const std::string &called) {
  const std::string wanted = variant_called(called);
  for (const artifact::Variant *variant : items(artifact.manifest().variants()))
    if (text(variant->name()) == wanted && text(variant->target()) != device.target())
      return absl::InvalidArgumentError(absl::StrCat(
          "variant ", called, " is code for ", std::string(text(variant->target())),
          ", which device ", std::string(device.name()), " does not run\nhint: --device ",
          std::string(text(variant->target())), ", or leave --variant out"));
  if (!wanted.empty())
    return wanted;
  std::string reasons;
  for (const device::VariantStatus &variant : device.variants(artifact)) {
    if (variant.usable)
      return variant.name;
    reasons += absl::StrCat(reasons.empty() ? "" : "; ", variant.name, " ", variant.why);
  }
  return absl::FailedPreconditionError(
      absl::StrCat("no variant of ", artifact.path(), " runs on device ",
                   std::string(device.name()), ": ", reasons, "\nhint: ", device.when_none_runs()));
}

bool has_code_for(const artifact::Artifact &artifact, std::string_view target) {
  for (const artifact::Variant *variant : items(artifact.manifest().variants()))
    if (text(variant->target()) == target)
      return true;
  return false;
}

// Whether the artifact has any code for the device, which need not be there to know that.
absl::Status check_target(const artifact::Artifact &artifact, const std::string &device) {
  const std::string target(device::target_of_device(device));
  if (has_code_for(artifact, target))
    return absl::OkStatus();
  std::string others, held;
  for (const artifact::Variant *variant : items(artifact.manifest().variants())) {
    absl::StrAppend(&others, others.empty() ? "" : ", ", std::string(text(variant->name())));
    if (held.empty())
      held = std::string(text(variant->target()));
  }
  // Targets in the order in which the compiler names them.
  const std::string both =
      held < target ? absl::StrCat(held, ",", target) : absl::StrCat(target, ",", held);
  return absl::FailedPreconditionError(absl::StrCat(
      artifact.path(), " has no code for ", target, ", which device ", device,
      " runs; it has code for ", others, "\nhint: ",
      held.empty()
          ? "compile it again"
          : absl::StrCat("--device ", held, ", or compile the model with --target ", both)));
}

// Why the device is none that can be had, and that the CPU would do where the artifact has code for
// it.
absl::Status or_the_cpu(const artifact::Artifact &artifact, const std::string &device,
                        const absl::Status &status) {
  constexpr std::string_view kCpu = "cpu";
  if (!absl::IsFailedPrecondition(status) || device::target_of_device(device) == kCpu ||
      !has_code_for(artifact, kCpu))
    return status;
  const std::string message(status.message());
  return absl::Status(status.code(),
                      absl::StrCat(message,
                                   message.find("\nhint: ") == message.npos ? "\nhint: " : "; ",
                                   "--device cpu runs it without"));
}

absl::Status not_alive(SlotId slot) {
  return absl::InvalidArgumentError(absl::StrCat("slot ", slot, " is not alive"));
}

} // namespace

uint64_t shared_prefix(std::span<const int32_t> a, std::span<const int32_t> b) {
  return static_cast<uint64_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

absl::StatusOr<std::unique_ptr<Engine>> Engine::open(const std::string &path,
                                                     const EngineOptions &options) {
  auto artifact = artifact::Artifact::open(path);
  if (!artifact.ok())
    return artifact.status();
  auto engine = std::unique_ptr<Engine>(new Engine());
  engine->artifact_ = *std::move(artifact);
  if (engine->artifact_->entry("step"))
    if (absl::Status status = engine->set_limits(options); !status.ok())
      return status;
  if (engine->artifact_->entry("encode")) {
    engine->max_tokens_ = engine->manifest().max_tokens();
    engine->max_seqs_ = engine->manifest().max_seqs();
  }

  if (absl::Status status = device::check_device(options.device); !status.ok())
    return status;
  if (absl::Status status = check_target(*engine->artifact_, options.device); !status.ok())
    return status;
  auto device = device::open_device(options.device, {.threads = options.threads});
  if (!device.ok())
    return or_the_cpu(*engine->artifact_, options.device, device.status());
  engine->device_ = *std::move(device);
  auto variant = choose_variant(*engine->device_, *engine->artifact_, options.variant);
  if (!variant.ok())
    return or_the_cpu(*engine->artifact_, options.device, variant.status());
  engine->variant_ = *std::move(variant);

  const auto checkpoints = engine->plan_memory(options);
  if (!checkpoints.ok())
    return checkpoints.status();

  if (absl::Status status = engine->device_->load(*engine->artifact_, engine->variant_);
      !status.ok())
    return status;
  auto arena = engine->device_->allocate(engine->memory_.arena);
  if (!arena.ok())
    return arena.status();
  engine->arena_ = *std::move(arena);
  auto pool = StatePool::create(*engine->device_, engine->manifest(), engine->ctx_, engine->slots_,
                                *checkpoints);
  if (!pool.ok())
    return pool.status();
  engine->pool_ = *std::move(pool);
  if (absl::Status status = engine->device_->prepare(engine->arena_->data(), engine->ctx_);
      !status.ok())
    return status;
  engine->prepare_step();
  return engine;
}

Engine::~Engine() = default;

absl::StatusOr<CheckpointSizes> Engine::plan_memory(const EngineOptions &options) {
  const ModelSizes sizes = model_sizes(*artifact_, variant_);
  const std::optional<uint64_t> of_device = device_->memory_available();
  const bool limited = options.memory != 0;
  const uint64_t ceiling = limited ? options.memory : of_device.value_or(available_memory());
  uint64_t budget = options.checkpoints;
  if (!options.checkpoints_needed && memory_use(sizes, ctx_, slots_, budget).total > ceiling)
    budget = 0;
  if (options.checkpoints_needed)
    if (absl::Status status = check_checkpoints(sizes, ctx_, slots_, budget); !status.ok())
      return status;
  if (absl::Status status = check_fits(sizes, ctx_, slots_, ceiling,
                                       limited     ? "and --memory allows"
                                       : of_device ? "and the device has available"
                                                   : "and the machine has available",
                                       {options.needed_ctx, options.needed_slots}, budget);
      !status.ok())
    return status;
  memory_ = memory_use(sizes, ctx_, slots_, budget);
  return checkpoint_sizes(sizes, ctx_, slots_, budget);
}

absl::Status Engine::set_limits(const EngineOptions &options) {
  const artifact::Manifest &m = manifest();
  ctx_ = options.ctx != 0 ? options.ctx : m.context();
  slots_ = options.slots;
  if (ctx_ > m.context() && options.needed_ctx > m.context())
    return absl::InvalidArgumentError(absl::StrCat(
        options.needed_ctx, " positions are needed, and ", artifact_->path(), " was compiled for ",
        m.context(), "\nhint: compile it again with a longer -c, or ask for less"));
  if (ctx_ > m.context())
    return absl::InvalidArgumentError(
        absl::StrCat("a context of ", ctx_, " is longer than the ", m.context(), " positions that ",
                     artifact_->path(), " was compiled for\nhint: -c ", m.context(),
                     " fits; or compile again with a longer -c"));
  if (slots_ == 0 || slots_ > kMaxSlots)
    return absl::InvalidArgumentError(
        absl::StrCat(slots_, " slots are not possible\nhint: --slots takes 1 to ", kMaxSlots));
  vocab_ = m.vocab();
  max_tokens_ = m.max_tokens();
  max_seqs_ = m.max_seqs();
  return absl::OkStatus();
}

void Engine::prepare_step() {
  const auto entries = items(manifest().entries());
  for (uint32_t i = 0; i < entries.size(); ++i) {
    if (text(entries[i]->name()) == "step")
      step_entry_ = i;
    if (text(entries[i]->name()) != "encode")
      continue;
    encode_entry_ = i;
    encoded_columns_ = static_cast<uint32_t>(items(items(entries[i]->outputs())[0]->shape())[1]);
    types_.resize(max_tokens_);
  }
  tokens_.resize(max_tokens_);
  positions_.resize(max_tokens_);
  token_seq_.resize(max_tokens_);
  rows_.resize(max_tokens_);
  cu_seqlens_.resize(max_seqs_ + 1);
  block_tables_.resize(pool_->num_groups() * max_seqs_);
  fixed_state_.resize(max_seqs_);
  in_batch_.resize(slots_);
  argmax_.resize(device_->threads());
  packed_.reserve(max_seqs_);
  for (size_t g = 0; g < pool_->num_groups(); ++g) {
    const PagePool &pages = pool_->pages(g);
    kv_.push_back({pages.base(), static_cast<int64_t>(pages.page_bytes()),
                   block_tables_.data() + g * max_seqs_});
  }
}

absl::Status Engine::check_language_model() const {
  if (vocab_ != 0)
    return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(artifact_->path(), " is not a language model: it has no entry 'step'\nhint: ",
                   encoded_columns_ != 0 ? "quern-run embed gives an encoder's vectors"
                                         : "quern-run call runs its entries"));
}

absl::StatusOr<SlotId> Engine::create_slot() {
  if (vocab_ == 0)
    return check_language_model();
  return pool_->create_slot();
}
absl::Status Engine::free_slot(SlotId slot) { return pool_->free_slot(slot); }
absl::StatusOr<SlotId> Engine::fork(SlotId slot) { return pool_->fork(slot); }
absl::Status Engine::truncate(SlotId slot, uint64_t length) {
  absl::Status status = pool_->truncate(slot, length);
  if (!absl::IsFailedPrecondition(status) || pool_->checkpoint_sizes().per_slot == 0)
    return status;
  const auto fed = pool_->tokens(slot);
  const std::vector<int32_t> tokens(fed.begin(), fed.begin() + static_cast<int64_t>(length));
  const uint64_t kept = pool_->rewind(slot, length);
  const SequenceStep rest{slot, std::span(tokens).subspan(kept), Rows::none};
  return step(std::span(&rest, 1), {});
}
absl::StatusOr<uint64_t> Engine::rewind(SlotId slot, uint64_t length) {
  if (!pool_->alive(slot))
    return not_alive(slot);
  return pool_->rewind(slot, length);
}
absl::StatusOr<uint64_t> Engine::rewind_to_shared(SlotId slot, std::span<const int32_t> tokens) {
  if (tokens.empty())
    return absl::InvalidArgumentError("there are no tokens to go on with");
  return rewind(slot, shared_prefix(this->tokens(slot), tokens.first(tokens.size() - 1)));
}
absl::Status Engine::checkpoint(SlotId slot) {
  if (!pool_->alive(slot))
    return not_alive(slot);
  pool_->checkpoint(slot, /*mark=*/true);
  return absl::OkStatus();
}
uint64_t Engine::length(SlotId slot) const { return pool_->alive(slot) ? pool_->length(slot) : 0; }
std::span<const int32_t> Engine::tokens(SlotId slot) const {
  return pool_->alive(slot) ? pool_->tokens(slot) : std::span<const int32_t>();
}

absl::Status Engine::save_state(SlotId slot, const std::string &path) const {
  if (!pool_->alive(slot))
    return not_alive(slot);
  return session::save_state(*pool_, slot, artifact_->identity(), path);
}

absl::StatusOr<SlotId> Engine::load_state(const std::string &path) {
  return session::load_state(*pool_, artifact_->identity(), vocab_, path);
}

absl::Status Engine::check_room(SlotId slot, uint64_t tokens) const {
  const uint64_t length = this->length(slot);
  if (tokens <= ctx_ - length)
    return absl::OkStatus();
  const std::string what =
      length == 0 ? absl::StrCat(tokens, " tokens are more than the context, which has ", ctx_,
                                 " positions")
                  : absl::StrCat("the context is full: ", length, " positions and ", tokens,
                                 " more tokens exceed ", ctx_);
  const uint64_t wanted = length + tokens;
  return absl::OutOfRangeError(
      wanted <= manifest().context()
          ? absl::StrCat(what, "\nhint: -c ", wanted, " or more; ", artifact_->path(),
                         " was compiled for up to ", manifest().context())
          : absl::StrCat(what, "\nhint: ", artifact_->path(), " was compiled for up to ",
                         manifest().context(), ": compile it again with -c ", wanted,
                         " or more, or feed it less"));
}

absl::Status Engine::check_batch(std::span<const SequenceStep> batch,
                                 std::span<float> logits) const {
  if (vocab_ == 0)
    return check_language_model();
  uint64_t rows = 0;
  for (const SequenceStep &sequence : batch) {
    if (!pool_->alive(sequence.slot))
      return not_alive(sequence.slot);
    if (sequence.tokens.empty())
      return absl::InvalidArgumentError("a sequence of the step has no tokens");
    if (absl::Status status = check_room(sequence.slot, sequence.tokens.size()); !status.ok())
      return status;
    for (int32_t token : sequence.tokens)
      if (token < 0 || static_cast<uint32_t>(token) >= vocab_)
        return absl::InvalidArgumentError(absl::StrCat(
            "token ", token, " is not in the vocabulary, which has ids 0 to ", vocab_ - 1));
    rows += sequence.num_rows();
  }
  if (logits.size() / vocab_ < rows)
    return absl::InvalidArgumentError(absl::StrCat(
        "the step has ", rows, " rows of logits, and there is room for ", logits.size() / vocab_));
  return absl::OkStatus();
}

absl::Status Engine::check_distinct(std::span<const SequenceStep> batch) {
  bool distinct = true;
  for (const SequenceStep &sequence : batch)
    distinct &= !std::exchange(in_batch_[sequence.slot], true);
  for (const SequenceStep &sequence : batch)
    in_batch_[sequence.slot] = false;
  return distinct ? absl::OkStatus()
                  : absl::InvalidArgumentError("a slot is there twice in one step");
}

absl::Status Engine::step(std::span<const SequenceStep> batch, std::span<float> logits) {
  if (times_)
    began_ = device_->ticks();
  if (absl::Status status = check_batch(batch, logits); !status.ok())
    return status;
  if (absl::Status status = check_distinct(batch); !status.ok())
    return status;
  float *out = logits.data();
  size_t sequence = 0, done = 0; // tokens of batch[sequence] that earlier device steps took
  while (sequence < batch.size()) {
    uint32_t num_seqs = 0, num_tokens = 0, num_rows = 0;
    while (sequence < batch.size() && num_seqs < max_seqs_ && num_tokens < max_tokens_) {
      const SequenceStep &s = batch[sequence];
      const size_t room = std::min<size_t>(s.tokens.size() - done, max_tokens_ - num_tokens);
      const size_t take = std::min<uint64_t>(room, pool_->until_checkpoint(s.slot));
      pack(s, done, take, num_seqs, num_tokens, num_rows);
      num_seqs += 1;
      num_tokens += static_cast<uint32_t>(take);
      done += take;
      if (done == s.tokens.size()) {
        ++sequence;
        done = 0;
      } else if (take < room) {
        break; // a checkpoint comes first
      }
    }
    if (absl::Status status = run_packed(num_seqs, num_tokens, num_rows, out, nullptr);
        !status.ok())
      return status;
    out += uint64_t{num_rows} * vocab_;
  }
  return absl::OkStatus();
}

absl::StatusOr<int32_t> Engine::step_greedy(SlotId slot, int32_t token, std::span<float> logits) {
  if (times_)
    began_ = device_->ticks();
  const SequenceStep s{slot, std::span(&token, 1)};
  if (absl::Status status = check_batch(std::span(&s, 1), logits); !status.ok())
    return status;
  std::ranges::fill(argmax_, Argmax{{-std::numeric_limits<float>::infinity(), -1, {}}});
  uint32_t num_rows = 0;
  pack(s, 0, 1, 0, 0, num_rows);
  const bool chooses = bucket(1, 1).max_tokens() == 1;
  if (absl::Status status = run_packed(1, 1, 1, logits.data(), chooses ? argmax_.data() : nullptr);
      !status.ok())
    return status;
  if (!chooses)
    for (uint32_t id = 0; id < vocab_; ++id)
      if (logits[id] > argmax_[0].value)
        argmax_[0] = {{logits[id], static_cast<int32_t>(id), {}}};
  const QuernArgmax &argmax = *std::ranges::max_element(argmax_, [](const auto &a, const auto &b) {
    return a.value != b.value ? a.value < b.value : a.column > b.column;
  });
  if (argmax.column < 0)
    return not_numbers();
  return argmax.column;
}

void Engine::pack(const SequenceStep &s, size_t begin, size_t take, uint32_t seq,
                  uint32_t first_token, uint32_t &num_rows) {
  const uint64_t position = pool_->length(s.slot);
  pool_->append(s.slot, s.tokens.subspan(begin, take));
  if (pool_->checkpoint_sizes().per_slot != 0)
    packed_.push_back(s.slot);
  cu_seqlens_[seq] = static_cast<int32_t>(first_token);
  cu_seqlens_[seq + 1] = static_cast<int32_t>(first_token + take);
  for (size_t g = 0; g < pool_->num_groups(); ++g)
    block_tables_[g * max_seqs_ + seq] = pool_->block_table(g, s.slot);
  fixed_state_[seq] = pool_->fixed_state(s.slot);
  for (size_t i = 0; i < take; ++i) {
    const size_t t = first_token + i;
    tokens_[t] = s.tokens[begin + i];
    positions_[t] = static_cast<int32_t>(position + i);
    token_seq_[t] = static_cast<int32_t>(seq);
    const bool last = begin + i + 1 == s.tokens.size();
    if (s.rows == Rows::all || (s.rows == Rows::last && last))
      rows_[num_rows++] = static_cast<int32_t>(t);
  }
}

uint32_t Engine::bucket_index(uint32_t num_tokens, uint32_t num_seqs) const {
  const auto buckets = items(items(manifest().entries())[step_entry_]->buckets());
  uint32_t i = 0; // validation made sure that one of each target admits every (T, B)
  while (!(text(buckets[i]->target()) == device_->target() &&
           buckets[i]->min_tokens() <= num_tokens && num_tokens <= buckets[i]->max_tokens() &&
           num_seqs <= buckets[i]->max_seqs()))
    ++i;
  return i;
}

const artifact::Bucket &Engine::bucket(uint32_t num_tokens, uint32_t num_seqs) const {
  const auto buckets = items(items(manifest().entries())[step_entry_]->buckets());
  return *buckets[bucket_index(num_tokens, num_seqs)];
}

QuernStepArgs Engine::step_args(const void *const *inputs, void *const *outputs) const {
  QuernStepArgs args = {};
  args.weights = device_->weights();
  args.arena = arena_->data();
  args.inputs = inputs;
  args.outputs = outputs;
  return args;
}

absl::Status Engine::run_packed(uint32_t num_seqs, uint32_t num_tokens, uint32_t num_rows,
                                float *logits, QuernArgmax *argmax) {
  const void *inputs[] = {tokens_.data()};
  void *outputs[] = {logits};
  QuernStepArgs args = step_args(inputs, outputs);
  args.num_tokens = num_tokens;
  args.num_seqs = num_seqs;
  args.num_rows = num_rows;
  args.cu_seqlens = cu_seqlens_.data();
  args.positions = positions_.data();
  args.token_seq = token_seq_.data();
  args.rows = rows_.data();
  args.kv = kv_.data();
  args.fixed_state = fixed_state_.data();
  args.argmax = argmax;
  const uint32_t bucket = bucket_index(num_tokens, num_seqs);
  args.ticks = times_ ? ticks_.data() : nullptr;
  absl::Status status = run(step_entry_, bucket, args);
  if (times_ && status.ok())
    add_times(times_->buckets[bucket]);
  if (status.ok())
    for (const SlotId slot : packed_)
      pool_->checkpoint(slot, /*mark=*/false);
  packed_.clear();
  return status;
}

void Engine::record(StepTimes *times) {
  times_ = times;
  if (!times)
    return;
  times->buckets.clear();
  for (const artifact::Bucket *bucket :
       items(items(manifest().entries())[step_entry_]->buckets())) {
    times->buckets.push_back({.ticks = std::vector<uint64_t>(items(bucket->dispatches()).size())});
    ticks_.resize(std::max(ticks_.size(), times->buckets.back().ticks.size()));
  }
}

void Engine::add_times(StepTimes::Bucket &bucket) {
  const uint64_t end = device_->ticks();
  const size_t count = bucket.ticks.size();
  for (size_t i = 0; i < count; ++i)
    bucket.ticks[i] += (i + 1 < count ? ticks_[i + 1] : end) - ticks_[i];
  bucket.ticks_before += (count != 0 ? ticks_[0] : end) - began_;
  began_ = end;
  ++bucket.steps;
}

} // namespace quern::session
