/* Quern's runtime for any language: open a compiled model, feed it tokens or tensors, read the
 * results.
 *
 * The library is libquern.so. Everything is plain C: opaque
 * handles, fixed-width integers, caller-owned memory. Nothing throws and nothing prints; a function
 * that can fail returns a QuernStatus, and quern_last_error says what, where and what to do.
 *
 * A model is used by one thread at a time; different models are independent. Strings that a
 * function returns live as long as its model. A complete example is tests/runtime/capi/example.c.
 */
#ifndef QUERN_RUNTIME_QUERN_H
#define QUERN_RUNTIME_QUERN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define QUERN_API __attribute__((visibility("default")))
#else
#define QUERN_API
#endif

/* Bumped when something here changes its meaning; new functions and new fields at the end of a
 * struct that carries its size do not bump it. */
#define QUERN_API_VERSION 1

typedef enum QuernStatus {
  QUERN_OK = 0,
  QUERN_INVALID_ARGUMENT = 3, /* a wrong token, slot, shape, name, file kind ... */
  QUERN_NOT_FOUND = 5,        /* no such file or entry */
  QUERN_PERMISSION_DENIED = 7,
  QUERN_RESOURCE_EXHAUSTED = 8,  /* memory, slots, room in an output buffer */
  QUERN_FAILED_PRECONDITION = 9, /* this model or machine cannot do that */
  QUERN_OUT_OF_RANGE = 11,       /* more tokens than the context has room for */
  QUERN_UNIMPLEMENTED = 12,
  QUERN_INTERNAL = 13,
  QUERN_DATA_LOSS = 15 /* a damaged file */
} QuernStatus;

/* The message of the calling thread's last failure; "" if there was none. A line that begins with
 * "hint: " says what to do. Valid until the thread's next failure. */
QUERN_API const char *quern_last_error(void);

QUERN_API uint32_t quern_api_version(void);
QUERN_API const char *quern_version(void); /* "0.1.0 (commit 0123456789ab)" */

/* --- Models
 * --------------------------------------------------------------------------------------- */

typedef struct QuernModel QuernModel;

typedef struct QuernOptions {
  size_t size; /* sizeof(QuernOptions) */
  const char
      *device; /* NULL: "cpu"; "cuda" (the first GPU), "cuda:1" ..., "ptx" (an interpreter) */
  const char *variant;  /* NULL: the best that runs here */
  uint64_t ctx;         /* positions a slot holds; 0: the artifact's */
  uint64_t slots;       /* sequences alive at once; 0: 1 */
  uint64_t memory;      /* ceiling in bytes; 0: what the device has available */
  int32_t threads;      /* 0: the physical cores this process may use */
  uint64_t checkpoints; /* bytes for checkpoints of states that cannot go back without; 0: none */
} QuernOptions;

/* Opens an artifact and takes all memory it will need. `options` may be NULL. */
QUERN_API QuernStatus quern_open(const char *path, const QuernOptions *options, QuernModel **model);
/* Frees everything; NULL is allowed. */
QUERN_API void quern_close(QuernModel *model);

typedef struct QuernMemory {
  uint64_t weights, arena, state, code, total; /* bytes */
  uint64_t staging; /* part of total: what a device with memory of its own takes for steps */
} QuernMemory;
QUERN_API void quern_memory(const QuernModel *model, QuernMemory *memory);

QUERN_API uint32_t quern_vocab(const QuernModel *model); /* 0: not a language model */
QUERN_API uint64_t quern_ctx(const QuernModel *model);
QUERN_API const char *quern_variant(const QuernModel *model);

/* --- Sequences (models with a `step` entry)
 * ------------------------------------------------------- */

typedef int32_t QuernSlot;

QUERN_API QuernStatus quern_slot_create(QuernModel *model, QuernSlot *slot);
QUERN_API QuernStatus quern_slot_free(QuernModel *model, QuernSlot slot);
/* A new slot that goes on from where `slot` is; both then live apart. */
QUERN_API QuernStatus quern_slot_fork(QuernModel *model, QuernSlot slot, QuernSlot *fork);
/* Forgets all but the first `length` positions. Without checkpoints recurrent state can only go
 * back to 0, and layers with a sliding window as far as they still hold what the next token sees:
 * by the artifact's max_tokens always; FAILED_PRECONDITION where it cannot. With them it goes to
 * the last one before `length` and computes the tokens from there on again, fewer than the spacing.
 */
QUERN_API QuernStatus quern_slot_truncate(QuernModel *model, QuernSlot slot, uint64_t length);
/* Goes back only as far as that takes no computing: to `length` or the last position before it that
 * the state can go back to, which is *reached; feed the tokens from there on. */
QUERN_API QuernStatus quern_slot_rewind(QuernModel *model, QuernSlot slot, uint64_t length,
                                        uint64_t *reached);
/* The same, to what the slot has in common with `tokens`, but for the last of them: feeding those
 * from *reached on gives what feeding all to an empty slot would. How a history is edited. */
QUERN_API QuernStatus quern_slot_rewind_to_shared(QuernModel *model, QuernSlot slot,
                                                  const int32_t *tokens, size_t num_tokens,
                                                  uint64_t *reached);
/* Takes a checkpoint where the slot is, to come back to; the last two so taken are kept, beside
 * those at multiples of the spacing. A prompt's end is worth one. Nothing where there are none. */
QUERN_API QuernStatus quern_slot_checkpoint(QuernModel *model, QuernSlot slot);
/* At most this number less one of the tokens before an edit are computed again. 1: this model's
 * state goes back anywhere; 0: there are no checkpoints, and it may be all of them. */
QUERN_API uint64_t quern_checkpoint_spacing(const QuernModel *model);
/* What they take: a part of QuernMemory's total. */
QUERN_API uint64_t quern_checkpoint_bytes(const QuernModel *model);
/* Positions fed; 0 for a slot that is not alive. */
QUERN_API uint64_t quern_slot_length(const QuernModel *model, QuernSlot slot);
QUERN_API QuernStatus quern_slot_save(const QuernModel *model, QuernSlot slot, const char *path);
QUERN_API QuernStatus quern_slot_load(QuernModel *model, const char *path, QuernSlot *slot);

typedef enum QuernRows {
  QUERN_ROWS_NONE = 0, /* no logits: a part of a prompt */
  QUERN_ROWS_LAST = 1, /* of the last token */
  QUERN_ROWS_ALL = 2   /* of every token */
} QuernRows;

typedef struct QuernSequence {
  QuernSlot slot;
  int32_t rows; /* QuernRows */
  const int32_t *tokens;
  size_t num_tokens; /* at least 1 */
} QuernSequence;

/* Advances every sequence by its tokens. `logits` is float32 [rows, vocab], rows in the batch's
 * order, and has room for `max_rows` rows. Nothing changes where an argument is refused. */
QUERN_API QuernStatus quern_step(QuernModel *model, const QuernSequence *batch, size_t batch_size,
                                 float *logits, size_t max_rows);
/* Advances a slot by a token and gives the likeliest next one, the lowest id among equals: what a
 * step and a greedy choice give, in less time. `logits` has room for one row; what it holds
 * afterwards is not defined. INTERNAL where no logit is a number above -infinity. */
QUERN_API QuernStatus quern_step_greedy(QuernModel *model, QuernSlot slot, int32_t token,
                                        float *logits, int32_t *next);

typedef struct QuernSampling {
  size_t size;          /* sizeof(QuernSampling) */
  float temperature;    /* 0: greedy */
  int32_t top_k;        /* 0: all */
  float top_p;          /* 1: all */
  float min_p;          /* 0: all */
  float repeat_penalty; /* 1: off */
  int32_t repeat_last;
  uint64_t seed;
} QuernSampling;
/* The defaults of `quern-run run`. */
QUERN_API void quern_sampling_defaults(QuernSampling *sampling);

typedef struct QuernSampler QuernSampler;
QUERN_API QuernStatus quern_sampler_create(const QuernModel *model, const QuernSampling *sampling,
                                           QuernSampler **sampler);
QUERN_API void quern_sampler_free(QuernSampler *sampler);
/* Picks from one row of logits (vocab floats); the slot's tokens are the history to penalize. */
QUERN_API QuernStatus quern_sample(QuernSampler *sampler, const QuernModel *model, QuernSlot slot,
                                   const float *logits, int32_t *token);

/* --- Text (models with a tokenizer)
 * --------------------------------------------------------------- */

/* The ids of UTF-8 text. `special` not 0: with BOS and EOS as the model has them, and special
 * tokens' spellings read as tokens. *count is always the number there is; RESOURCE_EXHAUSTED if
 * more than `capacity`, and nothing is written. */
QUERN_API QuernStatus quern_encode(const QuernModel *model, const char *text, size_t bytes,
                                   int32_t special, int32_t *ids, size_t capacity, size_t *count);
/* The same, special tokens read, for text that goes on with what the slot holds: nothing is put
 * before it, no BOS either, unless the slot is empty. */
QUERN_API QuernStatus quern_encode_next(const QuernModel *model, QuernSlot slot, const char *text,
                                        size_t bytes, int32_t *ids, size_t capacity, size_t *count);
/* The text of ids, not NUL-terminated; *count as above, in bytes. */
QUERN_API QuernStatus quern_decode(const QuernModel *model, const int32_t *ids, size_t num_ids,
                                   char *text, size_t capacity, size_t *count);
/* Whether a token ends an answer; 0 without a tokenizer. */
QUERN_API int32_t quern_is_end(const QuernModel *model, int32_t token);

/* --- Tensors (any other entry)
 * -------------------------------------------------------------------- */

#define QUERN_MAX_RANK 16

typedef enum QuernType {
  QUERN_F32 = 0,
  QUERN_I32 = 1,
  QUERN_I64 = 2,
  QUERN_F16 = 3,
  QUERN_BF16 = 4,
  QUERN_I8 = 5,
  QUERN_U8 = 6,
  QUERN_BOOL = 7,
  QUERN_F64 = 8,
  QUERN_I16 = 9,
  QUERN_U16 = 10,
  QUERN_U32 = 11,
  QUERN_U64 = 12,
  /* From here on a byte an element. An input's is the number as an int8_t or uint8_t has it; of a
   * result's only the low bits count. */
  QUERN_I4 = 13,
  QUERN_U4 = 14,
  QUERN_I2 = 15,
  QUERN_U2 = 16,
  QUERN_F8E4M3FN = 17,
  QUERN_F8E4M3FNUZ = 18,
  QUERN_F8E5M2 = 19,
  QUERN_F8E5M2FNUZ = 20,
  QUERN_F8E8M0 = 21,
  QUERN_F4E2M1 = 22,
  QUERN_F6E2M3 = 23,
  QUERN_F6E3M2 = 24
} QuernType;

/* What an entry takes or gives. A dimension of -1 is symbolic: `symbols` says what it is, "" for
 * the others. In an entry whose caller chooses sizes that is an expression over their names ("b",
 * "past + s"): an input's dimension that is a name alone gives that size its value, others have to
 * be what their expression gives. Elsewhere it is T, B or R. */
typedef struct QuernTensorInfo {
  const char *name;
  int32_t type; /* QuernType */
  int32_t rank;
  int64_t shape[QUERN_MAX_RANK];
  const char *symbols[QUERN_MAX_RANK];
} QuernTensorInfo;

/* A dense row-major tensor in the caller's memory, aligned to its element. */
typedef struct QuernTensor {
  int32_t type; /* QuernType */
  int32_t rank;
  int64_t shape[QUERN_MAX_RANK];
  void *data;
  uint64_t bytes;
} QuernTensor;

QUERN_API size_t quern_num_entries(const QuernModel *model);
QUERN_API const char *quern_entry_name(const QuernModel *model, size_t entry); /* NULL: no such */
QUERN_API size_t quern_num_inputs(const QuernModel *model, size_t entry);
QUERN_API size_t quern_num_outputs(const QuernModel *model, size_t entry);
QUERN_API QuernStatus quern_input_info(const QuernModel *model, size_t entry, size_t input,
                                       QuernTensorInfo *info);
QUERN_API QuernStatus quern_output_info(const QuernModel *model, size_t entry, size_t output,
                                        QuernTensorInfo *info);

/* A size of an entry, which its caller chooses or the model counts (it is then in no input's
 * shape), and the greatest that the model was compiled for. QUERN_NOT_FOUND behind the last one, of
 * which `index` 0 is the first. */
QUERN_API QuernStatus quern_size_info(const QuernModel *model, size_t entry, size_t index,
                                      const char **name, uint64_t *most);

/* Fills type, rank, shape and bytes of the entry's outputs for inputs of these shapes; `outputs`
 * has room for quern_num_outputs. Where the model counts a size, shape and bytes are the greatest
 * that they can be. Data is left alone. QUERN_INVALID_ARGUMENT names the input that has another
 * type or shape than it must, or a size beyond the greatest. */
QUERN_API QuernStatus quern_output_shapes(const QuernModel *model, size_t entry,
                                          const QuernTensor *inputs, size_t num_inputs,
                                          QuernTensor *outputs);
/* Runs the entry: inputs and outputs in its order, outputs shaped as quern_output_shapes says;
 * where the model counts a size, their shapes become what they are, dense in that shape, and
 * `bytes` stays. All that it computes in was taken when the model was opened.
 * QUERN_INVALID_ARGUMENT also names the node of the model that finds an index out of range or a
 * division by 0 in what the inputs hold; the outputs are nothing to look at then. */
QUERN_API QuernStatus quern_call(QuernModel *model, size_t entry, const QuernTensor *inputs,
                                 size_t num_inputs, QuernTensor *outputs, size_t num_outputs);

#ifdef __cplusplus
}
#endif

#endif // QUERN_RUNTIME_QUERN_H
