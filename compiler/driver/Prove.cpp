#include "compiler/driver/Prove.h"

#include "compiler/driver/ProveCalls.h"
#include "ir/formats/Packing.h"
#include "ir/reference/Interpreter.h"
#include "passes/analysis/Entries.h"
#include "runtime/text/Tokenizer.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace quern::driver {
namespace {

// What tokenizers most often get wrong: white space, numbers, contractions, scripts without spaces,
// combining marks, emoji sequences, special tokens' spellings, and long runs.
constexpr const char *kTexts[] = {
    "",
    "Hello, world!",
    "  two  spaces\tand\ttabs\n\n\nthree newlines ",
    "it's we'll I'D don'T",
    "1234567890 3.14159e-10 0x1F",
    "snake_case camelCase kebab-case; for (int i = 0; i < n; ++i) {",
    "na\xc3\xafve caf\xc3\xa9 d\xc3\xa9j\xc3\xa0-vu, e\xcc\x81 apart",
    "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe3\x81\xae\xe3\x83\x86\xe3\x82\xad\xe3\x82\xb9\xe3\x83"
    "\x88, "
    "\xed\x95\x9c\xea\xb5\xad\xec\x96\xb4\xeb\x8f\x84",
    "\xd7\xa2\xd7\x91\xd7\xa8\xd7\x99\xd7\xaa "
    "\xd8\xa7\xd9\x84\xd8\xb9\xd8\xb1\xd8\xa8\xd9\x8a\xd8\xa9",
    "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7 "
    "\xf0\x9f\x87\xab\xf0\x9f\x87\xb7 \xe2\x80\x8b\xef\xbb\xbf",
    "<|im_start|>user<|im_end|> <|endoftext|> <s>",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
};

// How far a row of logits may lie from the interpreter's (root mean square), in their standard
// deviations. Where activations are quantized, a difference in the last bit of a float moves codes
// by one, and layer by layer the two runs part by as much as quantizing itself parts them from
// float: 0.07 on SmolLM2 (30 layers, random tokens). Wrong code comes to about 1. Where they are
// not, only the order of float additions differs.
constexpr float kQuantizedTolerance = 0.25f;
constexpr float kFloatTolerance = 2e-3f;

// The interpreter takes about a second for 10^9 multiply-adds: a long proof must not dominate the
// time to compile a large model.
int64_t proof_tokens(int64_t parameters) {
  return std::clamp<int64_t>(4'000'000'000 / std::max<int64_t>(1, parameters), 2, 8);
}

int64_t parameters_of(mlir::ModuleOp planned) {
  int64_t sum = 0;
  for (auto packed : planned.getOps<PackedOp>()) {
    int64_t elements = 1;
    for (const int64_t dim : packed.getType().getShape())
      elements *= dim;
    sum += elements;
  }
  return sum;
}

bool quantizes_activations(mlir::ModuleOp planned) {
  return planned.walk([](QuantizeRowsOp) { return mlir::WalkResult::interrupt(); })
      .wasInterrupted();
}

// splitmix64: the tokens are spread over the vocabulary, and the same for every model of that size.
int32_t token(int64_t i, int64_t vocab) {
  uint64_t z = static_cast<uint64_t>(i + 1) * 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return static_cast<int32_t>((z ^ (z >> 31)) % static_cast<uint64_t>(vocab));
}

/// A bucket of the entry; null: it has none of that name.
mlir::func::FuncOp bucket_of(mlir::ModuleOp planned, llvm::StringRef name) {
  for (mlir::func::FuncOp bucket : bucketsOf(planned))
    if (auto entry = bucket->getAttrOfType<mlir::StringAttr>(attrs::kEntry);
        entry && entry.getValue() == name)
      return bucket;
  return {};
}

/// Columns of what an encoder gives for a sequence; 0: the model is none.
int64_t encoded_columns(mlir::ModuleOp planned) {
  mlir::func::FuncOp bucket = bucket_of(planned, "encode");
  return bucket ? colsOf(bucket.getResultTypes().front()) : 0;
}

int64_t model_number(mlir::ModuleOp planned, llvm::StringRef key) {
  auto model = planned->getAttrOfType<mlir::DictionaryAttr>(attrs::kModel);
  auto value = model ? model.getAs<mlir::IntegerAttr>(key) : mlir::IntegerAttr();
  return value ? value.getInt() : 0;
}

} // namespace

absl::StatusOr<artifact::ProofContents> draft_proof(mlir::ModuleOp planned,
                                                    const std::string &tokenizer) {
  artifact::ProofContents proof;
  if (!tokenizer.empty()) {
    auto spec = text::deserialize(tokenizer);
    if (!spec.ok())
      return spec.status();
    auto working = text::Tokenizer::create(*std::move(spec));
    if (!working.ok())
      return working.status();
    for (const char *text : kTexts) {
      auto tokens = (*working)->encode(text);
      if (!tokens.ok())
        return tokens.status();
      proof.tokenizer.push_back({text, *std::move(tokens)});
    }
  }
  const int64_t vocab = model_number(planned, attrs::kModelVocab);
  const int64_t encoded = encoded_columns(planned);
  if ((!bucket_of(planned, "step") && encoded == 0) || vocab <= 0)
    return proof;
  int64_t max_tokens = 1;
  for (mlir::func::FuncOp bucket : bucketsOf(planned))
    if (auto most = bucket->getAttrOfType<mlir::IntegerAttr>(attrs::kMaxTokens))
      max_tokens = std::max(max_tokens, most.getInt());
  artifact::ProofContents::Logits logits;
  const int64_t count =
      std::min({proof_tokens(parameters_of(planned)), max_tokens,
                std::max<int64_t>(1, model_number(planned, attrs::kModelContext))});
  for (int64_t i = 0; i < count; ++i)
    logits.tokens.push_back(token(i, vocab));
  for (const int64_t row : {int64_t{0}, count / 2, count - 1})
    if (logits.rows.empty() || (encoded == 0 && row > logits.rows.back()))
      logits.rows.push_back(static_cast<int32_t>(row));
  logits.vocab = static_cast<uint32_t>(encoded == 0 ? vocab : encoded);
  logits.logits.resize(logits.rows.size() * logits.vocab);
  logits.tolerance = quantizes_activations(planned) ? kQuantizedTolerance : kFloatTolerance;
  proof.logits.push_back(std::move(logits));
  return proof;
}

namespace {

// Weights that are no numbers were named before; what else makes logits that?
void note_logits(const reference::Output &output, artifact::ProofContents &proof) {
  int64_t rows = 0;
  for (int64_t row = 0; row < output.rows; ++row) {
    const auto at = output.values.begin() + row * output.cols;
    rows += !std::all_of(at, at + output.cols, [](double x) { return std::isfinite(x); });
  }
  if (rows == 0)
    return;
  proof.notes.push_back(absl::StrCat(
      "the reference logits are not finite at ", rows, " of ", output.rows,
      " positions: what the model computes is no number, on any machine",
      proof.notes.empty() ? "; its weights may be damaged, or its numbers beyond float32" : ""));
}

void note_saturations(const reference::ReferenceState &state, artifact::ProofContents &proof) {
  double largest = 0;
  for (const auto &[name, saturation] : state.saturations())
    largest = std::max(largest, saturation.largest);
  if (!state.saturations().empty())
    proof.notes.push_back(absl::StrFormat(
        "kv state: keys or values reach %g (in %d states), beyond what its format holds, and are "
        "stored as its largest number; --kv %s keeps them",
        largest, state.saturations().size(), largest < 3e38 ? "bf16" : "f32"));
}

// The share of a head's energy whose loss is worth a note: a tenth of its numbers (root mean
// square). A format's ordinary rounding takes 1e-7 of it in f16, 1e-5 in bf16, 1e-4 in int8.
constexpr double kNotableLoss = 0.01;

void note_roundings(const reference::ReferenceState &state, artifact::ProofContents &proof) {
  size_t lossy = 0, heads = 0;
  double most = 0;
  bool beyond_bf16 = false; // whose exponents are float32's
  for (const auto &[name, roundings] : state.roundings()) {
    heads += roundings.size();
    for (const auto &[given, lost] : roundings)
      if (lost > kNotableLoss * given) {
        ++lossy;
        most = std::max(most, lost / given);
        beyond_bf16 |= given < 1e-66;
      }
  }
  if (lossy > 0)
    proof.notes.push_back(absl::StrFormat(
        "kv state: the numbers of %d of %d key and value heads are so small that their format "
        "rounds up to %.0f %% of them away (root mean square); --kv %s keeps them",
        lossy, heads, 100 * std::min(1.0, std::sqrt(most)), beyond_bf16 ? "f32" : "bf16"));
}

// Rows whose numbers follow from some that float32 cannot hold have no reference: here they were
// doubles, so that what was computed is finite, and is not what generated code computes.
void note_overflow(const reference::ReferenceState &state, artifact::ProofContents::Logits &vector,
                   artifact::ProofContents &proof) {
  const reference::ReferenceState::Overflow &overflow = state.overflow();
  if (overflow.op.empty())
    return;
  size_t rows = 0;
  for (size_t row = 0; row < vector.rows.size(); ++row)
    if (vector.rows[row] >= overflow.first) {
      ++rows;
      std::fill_n(vector.logits.begin() + static_cast<std::ptrdiff_t>(row * vector.vocab),
                  vector.vocab, std::numeric_limits<float>::quiet_NaN());
    }
  proof.notes.push_back(absl::StrCat(
      overflow.op, ": what it computes goes beyond float32 (3.4e38) on the way, from token ",
      overflow.first, " on: the logits at ", rows, " of ", vector.rows.size(),
      " positions have no reference on any machine; the model's weights may be damaged"));
}

/// By an entry that takes sequences of one length as plain tensors, of which this is one.
absl::StatusOr<reference::Output> encode_alone(reference::Interpreter &interpreter,
                                               mlir::func::FuncOp bucket,
                                               const std::vector<int32_t> &tokens) {
  std::vector<reference::Tensor> inputs;
  for (const mlir::Type type : bucket.getArgumentTypes()) {
    auto input = reference::Tensor::zeros(mlir::cast<mlir::RankedTensorType>(type).getElementType(),
                                          {1, static_cast<int64_t>(tokens.size())});
    if (!input.ok())
      return input.status();
    if (inputs.empty()) // the second are types, which are all 0
      input->ints.assign(tokens.begin(), tokens.end());
    inputs.push_back(*std::move(input));
  }
  auto results = interpreter.call("encode", inputs);
  if (!results.ok())
    return results.status();
  return reference::Output{1, results->front().count(), std::move(results->front().floats)};
}

absl::StatusOr<reference::Output> encode(reference::Interpreter &interpreter,
                                         mlir::ModuleOp planned, const reference::Batch &batch,
                                         reference::ReferenceState &state) {
  mlir::func::FuncOp bucket = bucket_of(planned, "encode");
  if (bucket->hasAttr(attrs::kSized))
    return encode_alone(interpreter, bucket, batch.sequences.front().tokens);
  auto results = interpreter.run("encode", batch, state);
  if (!results.ok())
    return results.status();
  return std::move(results->front());
}

} // namespace

absl::Status fill_logits(artifact::ProofContents &proof, mlir::ModuleOp planned,
                         const artifact::PackedRows &weights, int threads) {
  for (auto &vector : proof.logits) {
    auto interpreter =
        reference::Interpreter::create(planned, {.threads = threads, .packed = weights});
    if (!interpreter.ok())
      return interpreter.status();
    reference::ReferenceState state;
    const reference::Batch batch{.sequences = {{.tokens = vector.tokens}}, .rows = vector.rows};
    const auto output = encoded_columns(planned) == 0
                            ? (*interpreter)->step(batch, state)
                            : encode(**interpreter, planned, batch, state);
    if (!output.ok())
      return output.status();
    if (output->values.size() != vector.logits.size())
      return absl::InternalError("the interpreter's logits have another shape than the model says");
    std::ranges::transform(output->values, vector.logits.begin(),
                           [](double x) { return static_cast<float>(x); });
    note_saturations(state, proof);
    note_roundings(state, proof);
    note_logits(*output, proof);
    note_overflow(state, vector, proof);
  }
  return prove_calls(proof, planned, weights,
                     quantizes_activations(planned) ? kQuantizedTolerance : kFloatTolerance,
                     threads);
}

} // namespace quern::driver
