// A model ready to run: an opened artifact on a device, with its memory, and the sequences it
// advances.
//
// All memory is taken when the engine opens; steps allocate nothing. An engine is driven by one
// thread at a time (the device's workers are its own).
#ifndef QUERN_RUNTIME_SESSION_ENGINE_H
#define QUERN_RUNTIME_SESSION_ENGINE_H

#include "runtime/artifact/Artifact.h"
#include "runtime/device/Device.h"
#include "runtime/session/Memory.h"
#include "runtime/session/PrefixCache.h"
#include "runtime/session/StatePool.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace quern::session {

inline constexpr uint64_t kMaxSlots = 1u << 16; ///< sequences that an engine can be asked for

struct EngineOptions {
  std::string device = "cpu";
  std::string variant = ""; ///< empty: the best that runs here
  uint64_t ctx = 0;         ///< positions a slot can hold; 0: the artifact's context
  uint64_t slots = 1;       ///< sequences that can be alive at once
  /// What the request itself needs of both, where it is known: errors suggest no less. 0: not
  /// known.
  uint64_t needed_ctx = 0;
  uint64_t needed_slots = 0;
  /// Bytes that may go to checkpoints of states that cannot go back without (Memory.h says what
  /// becomes of them); 0: none.
  uint64_t checkpoints = 0;
  /// Refuse a budget in which there is no room for one, or that memory has no room for; else go
  /// without.
  bool checkpoints_needed = true;
  int threads = 0;     ///< 0: the physical cores this process may use
  uint64_t memory = 0; ///< ceiling on MemoryUse::total in bytes; 0: what the machine has available
};

/// Of which of a sequence's new tokens the logits are wanted.
enum class Rows { none, last, all };

/// One sequence's part of a step.
struct SequenceStep {
  SlotId slot = 0;
  std::span<const int32_t> tokens; ///< at least one, each in [0, vocab)
  Rows rows = Rows::last;

  uint64_t num_rows() const {
    return rows == Rows::all ? tokens.size() : rows == Rows::last ? 1 : 0;
  }
};

/// A sequence that an encoder is given as a whole.
struct EncodeSequence {
  std::span<const int32_t> tokens; ///< at least one, each in the vocabulary
  size_t second =
      0; ///< from this token on they are of type 1, where the model knows types; 0: none
};

/// Tokens that both begin with.
uint64_t shared_prefix(std::span<const int32_t> a, std::span<const int32_t> b);

/// A plain tensor of an entry: dense, row-major, aligned to its element.
struct Tensor {
  artifact::ElementType type = artifact::ElementType::f32;
  std::vector<int64_t> shape;
  void *data = nullptr; ///< only read where it is an input
  uint64_t bytes = 0;   ///< that `data` holds
};

/// What device steps took, added up: each dispatch until the next one began, waiting for other
/// workers included, and before the first what the host does (checks, pages, waking the workers).
struct StepTimes {
  struct Bucket {
    uint64_t steps = 0;
    std::vector<uint64_t> ticks; ///< a dispatch; Device::ticks_per_s says how long one is
    uint64_t ticks_before = 0;   ///< the first dispatch
  };
  std::vector<Bucket> buckets; ///< the step entry's, in the manifest's order
};

class Engine {
public:
  /// Opens the artifact and takes all memory, after checking that it fits.
  /// Errors: Artifact::open's; InvalidArgument (a context beyond the artifact's, unknown device);
  /// FailedPrecondition (no variant runs here, saying why for each); ResourceExhausted (numbers,
  /// and a context that would fit).
  static absl::StatusOr<std::unique_ptr<Engine>> open(const std::string &path,
                                                      const EngineOptions &options);
  ~Engine();

  const artifact::Artifact &artifact() const { return *artifact_; }
  const artifact::Manifest &manifest() const { return artifact_->manifest(); }
  device::Device &device() { return *device_; }
  const std::string &variant() const { return variant_; }
  const MemoryUse &memory() const { return memory_; }
  const CheckpointSizes &checkpoints() const { return pool_->checkpoint_sizes(); }
  uint64_t ctx() const { return ctx_; }
  uint64_t slots() const { return slots_; }
  /// Ids are in [0, vocab); 0 if the artifact has no `step` entry.
  uint32_t vocab() const { return vocab_; }
  /// FailedPrecondition, with what to run instead, if there is no entry `step`.
  absl::Status check_language_model() const;
  /// The largest T and B that one step of the device takes; Engine::step cuts larger requests.
  uint32_t max_tokens() const { return max_tokens_; }
  uint32_t max_seqs() const { return max_seqs_; }

  // --- Slots: runtime/session/StatePool.h says what each of these does and when it fails.
  absl::StatusOr<SlotId> create_slot();
  absl::Status free_slot(SlotId slot);
  absl::StatusOr<SlotId> fork(SlotId slot);
  /// Where there are checkpoints, StatePool::truncate's FailedPrecondition does not come: the slot
  /// goes back to the one before `length`, and the tokens from there on are computed again, fewer
  /// than checkpoints().spacing.
  absl::Status truncate(SlotId slot, uint64_t length);
  /// Goes back as far as the state has to, to hold no more than the first `length` positions, and
  /// returns how many it then holds. Computes nothing.
  absl::StatusOr<uint64_t> rewind(SlotId slot, uint64_t length);
  /// rewind to what the slot has in common with `tokens`, but for the last of them, so that there
  /// is one to feed: what comes of feeding the rest is what feeding them all to an empty slot would
  /// give. InvalidArgument if there are none.
  absl::StatusOr<uint64_t> rewind_to_shared(SlotId slot, std::span<const int32_t> tokens);
  /// Takes a checkpoint where the slot is, to come back to; the last two so taken are kept, beside
  /// those that steps take at multiples of the spacing. Nothing where there are none.
  absl::Status checkpoint(SlotId slot);
  /// Positions fed so far; 0 for a slot that is not alive.
  uint64_t length(SlotId slot) const;
  /// The tokens fed so far, in order.
  std::span<const int32_t> tokens(SlotId slot) const;

  /// Writes the slot's state to `path` (by a temporary name, then renamed).
  absl::Status save_state(SlotId slot, const std::string &path) const;
  /// A new slot with the state in `path`. Refuses (InvalidArgument, DataLoss) what is damaged, or
  /// was saved with another model or other formats, or is longer than this engine's context.
  absl::StatusOr<SlotId> load_state(const std::string &path);

  /// States of prompts in a folder, of at most that many bytes; runtime/session/PrefixCache.h.
  PrefixCache prefix_cache(const std::string &folder, uint64_t bytes) {
    return {*pool_, artifact_->identity(), folder, bytes};
  }

  /// Whether `tokens` more fit into the slot's context: OutOfRange with the numbers if not. What
  /// feeds a prompt in several steps asks before the first.
  absl::Status check_room(SlotId slot, uint64_t tokens) const;

  /// Advances each sequence by its tokens, in as few device steps as max_tokens, max_seqs and the
  /// places of checkpoints allow.
  /// `logits` receives float32 [sum of num_rows, vocab], in the order of `batch`, and must hold at
  /// least that. Everything is checked before anything changes.
  /// Errors: InvalidArgument (token, slot, size), OutOfRange (check_room's).
  absl::Status step(std::span<const SequenceStep> batch, std::span<float> logits);

  /// Numbers that encode() gives for a sequence; 0 if the artifact has no `encode` entry.
  uint32_t encoded_columns() const { return encoded_columns_; }
  /// The longest sequence that encode() takes: the context, which fits in a step.
  uint32_t longest_encoded() const;
  /// Encodes each sequence, in as few device steps as they fit in, in the order given; of an entry
  /// that takes sequences of one length at a time (a graph's) neighbours of one length. `out`
  /// receives float32 [sequences, encoded_columns]. What a sequence gives does not depend on the
  /// others. Errors: FailedPrecondition (no encoder), InvalidArgument (token, size), OutOfRange
  /// (too long).
  absl::Status encode(std::span<const EncodeSequence> batch, std::span<float> out);

  /// Advances the slot by a token and returns the likeliest next one, the lowest id among equals:
  /// what step() and a greedy choice give, without writing logits where the model's code can do
  /// without; they go to `logits` (vocab of them) where it cannot.
  /// Errors: step's; Internal, where no logit is a number above -infinity.
  absl::StatusOr<int32_t> step_greedy(SlotId slot, int32_t token, std::span<float> logits);

  /// From now on device steps add their times to `times`, which must outlive that; null ends it.
  void record(StepTimes *times);

  /// The bucket that a device step of T tokens of B sequences runs.
  /// Requires 1 <= B <= min(T, max_seqs()) and T <= max_tokens().
  const artifact::Bucket &bucket(uint32_t num_tokens, uint32_t num_seqs) const;
  /// Its place in the step entry's list.
  uint32_t bucket_index(uint32_t num_tokens, uint32_t num_seqs) const;

  /// Calls an entry of plain tensors. `inputs` are in the entry's order; shapes must match, and
  /// bind the symbols of symbolic dimensions. Outputs: see output_shapes; `outputs` must be of that
  /// type and shape, in order, and where the model counts sizes get the shapes that they have then.
  /// Errors: NotFound (entry), InvalidArgument (naming the tensor, or the node that found the
  /// inputs' values to be at fault: the outputs are nothing to look at then), Unimplemented
  /// (`step`: use step()).
  absl::Status call(std::string_view entry, std::span<const Tensor> inputs,
                    std::span<Tensor> outputs);

  /// The outputs of `entry` for inputs of these shapes: type, shape and bytes, without data. Where
  /// the model counts sizes, the greatest that they can have.
  absl::StatusOr<std::vector<Tensor>> output_shapes(std::string_view entry,
                                                    std::span<const Tensor> inputs) const;

private:
  Engine() = default;
  absl::Status set_limits(const EngineOptions &options);
  /// Decides how much of memory goes to checkpoints, and that all fits.
  absl::StatusOr<CheckpointSizes> plan_memory(const EngineOptions &options);
  void prepare_step();
  absl::Status check_batch(std::span<const SequenceStep> batch, std::span<float> logits) const;
  /// What is said where there is no entry `step`.
  absl::Status check_encoded(std::span<const EncodeSequence> batch, std::span<float> out) const;
  /// Encodes sequences that fit in a step.
  absl::Status encode_step(std::span<const EncodeSequence> batch, float *out);
  /// The same by an entry whose caller chooses sizes: sequences of one length together.
  absl::Status encode_alike(const artifact::Entry &entry, std::span<const EncodeSequence> batch,
                            float *out);
  absl::Status check_distinct(std::span<const SequenceStep> batch);
  /// Appends tokens [begin, begin + take) of `s` to its slot, as sequence `seq` of the device step
  /// that is being packed, and its wanted rows after the first `num_rows`.
  void pack(const SequenceStep &s, size_t begin, size_t take, uint32_t seq, uint32_t first_token,
            uint32_t &num_rows);
  /// With the model's weights and arena; the batch is still to be filled in.
  QuernStepArgs step_args(const void *const *inputs, void *const *outputs) const;
  /// A step on the device. Errors: the device's; InvalidArgument, naming the node, where an index
  /// or a divisor that it computed was at fault.
  absl::Status run(uint32_t entry, uint32_t bucket, QuernStepArgs args);
  void add_times(StepTimes::Bucket &bucket);
  /// `argmax`: null, or where the bucket leaves what it finds instead of logits.
  absl::Status run_packed(uint32_t num_seqs, uint32_t num_tokens, uint32_t num_rows, float *logits,
                          QuernArgmax *argmax);

  std::unique_ptr<artifact::Artifact> artifact_;
  std::unique_ptr<device::Device> device_;
  std::unique_ptr<device::Allocation> arena_;
  std::unique_ptr<StatePool> pool_;
  std::string variant_;
  MemoryUse memory_;
  uint64_t ctx_ = 0, slots_ = 0;
  uint32_t vocab_ = 0, max_tokens_ = 0, max_seqs_ = 0;
  uint32_t step_entry_ = 0;
  uint32_t encode_entry_ = 0, encoded_columns_ = 0;

  /// One device step's index arrays, sized by max_tokens and max_seqs when the engine opens.
  std::vector<int32_t> tokens_, positions_, token_seq_, rows_, cu_seqlens_;
  std::vector<int32_t> types_;                ///< of an encoder's tokens
  std::vector<const int32_t *> block_tables_; ///< max_seqs of each kv group
  std::vector<uint8_t *> fixed_state_;
  std::vector<QuernKvGroup> kv_;
  struct alignas(64) Argmax : QuernArgmax {}; // on its own cache line
  static_assert(sizeof(Argmax) == sizeof(QuernArgmax));
  std::vector<Argmax> argmax_; ///< a worker
  std::vector<SlotId> packed_; ///< the sequences of the device step
  StepTimes *times_ = nullptr;
  uint64_t began_ = 0;            ///< the device step that is timed, in the device's ticks
  std::vector<uint64_t> ticks_;   ///< one device step's
  std::vector<uint8_t> in_batch_; ///< a slot: seen in the batch that is being checked
};

} // namespace quern::session

#endif // QUERN_RUNTIME_SESSION_ENGINE_H
