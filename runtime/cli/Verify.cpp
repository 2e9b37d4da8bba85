// quern-run verify: the artifact's proof, replayed where it runs.
#include "runtime/cli/Model.h"
#include "runtime/cli/Report.h"
#include "runtime/cli/Verbs.h"
#include "runtime/cli/VerifyCalls.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace quern::cli {
namespace {

using artifact::items;

// What was found to hold, for the report.
struct Verified {
  uint64_t bytes = 0;
  std::vector<std::string> notes; // of the compiler, on the model itself
  uint32_t texts = 0;
  uint32_t rows = 0;
  uint32_t not_finite = 0; // rows whose reference is, which nothing can be compared with
  double largest = 0;      // difference of a logit, in standard deviations
  CallsVerified calls;
};

absl::Status differs(std::string what) {
  return absl::DataLossError(
      absl::StrCat(what, "\nhint: this build or machine computes something else than the compiler "
                         "promised; do not trust its answers"));
}

absl::Status check_texts(const artifact::Artifact &artifact, Verified &verified) {
  const auto vectors = items(artifact.proof()->tokenizer());
  if (vectors.empty())
    return absl::OkStatus();
  auto tokenizer = load_tokenizer(artifact);
  if (!tokenizer.ok())
    return tokenizer.status();
  for (const artifact::TokenizerVector *vector : vectors) {
    const std::string text(artifact::text(vector->text()));
    const auto wanted = items(vector->tokens());
    auto ids = (*tokenizer)->encode(text);
    if (!ids.ok())
      return ids.status();
    const bool same = ids->size() == wanted.size() &&
                      std::equal(ids->begin(), ids->end(), vector->tokens()->begin());
    if (!same)
      return differs(absl::StrCat("tokenizer vector ", verified.texts, " (",
                                  nlohmann::ordered_json(text).dump(), ") gives ",
                                  format_ids(*ids)));
    ++verified.texts;
  }
  return absl::OkStatus();
}

absl::Status step(session::Engine &engine, std::span<const int32_t> ids, std::span<float> logits) {
  auto slot = engine.create_slot();
  if (!slot.ok())
    return slot.status();
  const session::SequenceStep step{*slot, ids, session::Rows::all};
  if (absl::Status status = engine.step(std::span(&step, 1), logits); !status.ok())
    return status;
  return engine.free_slot(*slot);
}

absl::Status encode(session::Engine &engine, std::span<const int32_t> ids, std::span<float> out) {
  const session::EncodeSequence sequence{ids};
  return engine.encode(std::span(&sequence, 1), out);
}

// One vector: feeds its tokens, and compares the rows it has logits for.
absl::Status check_vector(session::Engine &engine, const artifact::LogitsVector &vector,
                          uint32_t index, Verified &verified) {
  const auto tokens = items(vector.tokens()), rows = items(vector.rows());
  const auto wanted = items(vector.logits());
  const bool encodes = engine.encoded_columns() != 0;
  const uint64_t vocab = encodes ? engine.encoded_columns() : engine.vocab();
  if (vector.vocab() != vocab || wanted.size() != uint64_t{rows.size()} * vocab || tokens.empty())
    return absl::DataLossError(
        absl::StrCat("logits vector ", index, " contradicts the model's shape"));
  std::vector<int32_t> ids(vector.tokens()->begin(), vector.tokens()->end());
  std::vector<float> logits(ids.size() * vocab);
  if (absl::Status status = encodes ? encode(engine, ids, logits) : step(engine, ids, logits);
      !status.ok())
    return status;

  double sum = 0, squares = 0, count = 1;
  for (float logit : wanted)
    if (std::isfinite(logit)) {
      sum += logit;
      squares += static_cast<double>(logit) * logit;
      ++count;
    }
  count = std::max(1.0, count - 1);
  const double deviation = std::sqrt(std::max(0.0, squares / count - sum / count * (sum / count)));
  for (uint32_t r = 0; r < rows.size(); ++r) {
    if (rows[r] < 0 || static_cast<size_t>(rows[r]) >= ids.size())
      return absl::DataLossError(
          absl::StrCat("logits vector ", index, " names row ", rows[r], " of ", ids.size()));
    // Root mean square over the row: one logit may differ by many times what they differ by
    // together.
    double error = 0;
    bool finite = true;
    for (uint64_t v = 0; v < vocab; ++v) {
      finite &= std::isfinite(wanted[static_cast<uint32_t>(r * vocab + v)]);
      const double got = logits[static_cast<uint64_t>(rows[r]) * vocab + v];
      const double difference = got - wanted[static_cast<uint32_t>(r * vocab + v)];
      error += difference * difference / static_cast<double>(vocab);
    }
    // The compiler's own logits are no numbers: no machine can differ from them.
    if (!finite) {
      ++verified.not_finite;
      continue;
    }
    const double difference = std::sqrt(error) / std::max(deviation, 1e-30);
    verified.largest = std::max(verified.largest, difference);
    if (!(difference <= vector.tolerance())) // NaN differs too
      return differs(absl::StrFormat("logits vector %d, position %d: %.2g standard deviations from "
                                     "the reference (root mean square), allowed %.2g",
                                     index, rows[r], difference, vector.tolerance()));
    ++verified.rows;
  }
  return absl::OkStatus();
}

// What could not be replayed here, after what was found to hold without a device.
absl::Status not_here(const absl::Status &why, const Verified &verified) {
  return absl::Status(
      why.code(), absl::StrCat("the checksums of ", verified.bytes, " bytes and ", verified.texts,
                               " tokenizer vectors hold, but the reference logits cannot be "
                               "replayed here: ",
                               why.message()));
}

absl::Status check_logits(const ModelOptions &model, const artifact::Proof &proof,
                          Verified &verified) {
  const auto vectors = items(proof.logits());
  const auto calls = items(proof.calls());
  if (vectors.empty() && calls.empty())
    return absl::OkStatus();
  session::EngineOptions options = model.engine();
  options.needed_ctx = vectors.empty() ? 0 : 1;
  for (const artifact::LogitsVector *vector : vectors)
    options.needed_ctx = std::max<uint64_t>(options.needed_ctx, items(vector->tokens()).size());
  if (options.ctx == 0)
    options.ctx = options.needed_ctx;
  auto engine = session::Engine::open(model.model, options);
  if (!engine.ok())
    return not_here(engine.status(), verified);
  for (uint32_t i = 0; i < vectors.size(); ++i)
    if (absl::Status status = check_vector(**engine, *vectors[i], i, verified); !status.ok())
      return status;
  for (const artifact::CallVector *call : calls)
    if (absl::Status status = check_call(**engine, *call, verified.calls); !status.ok())
      return status.code() == absl::StatusCode::kFailedPrecondition
                 ? differs(std::string(status.message()))
                 : status;
  return absl::OkStatus();
}

absl::StatusOr<Verified> verify_model(const ModelOptions &model) {
  auto artifact = artifact::Artifact::open(model.model);
  if (!artifact.ok())
    return artifact.status();
  if (absl::Status status = (*artifact)->verify_all_checksums(); !status.ok())
    return status;
  Verified verified;
  verified.bytes = (*artifact)->file_bytes();
  const artifact::Proof *proof = (*artifact)->proof();
  if (!proof)
    return verified;
  for (const flatbuffers::String *note : items(proof->notes()))
    verified.notes.emplace_back(artifact::text(note));
  if (absl::Status status = check_texts(**artifact, verified); !status.ok())
    return status;
  if (absl::Status status = check_logits(model, *proof, verified); !status.ok())
    return status;
  return verified;
}

// "ok: 12 bytes, 3 tokenizer vectors, 4 rows of logits (largest difference ...)": what there is.
std::string report(const Verified &verified) {
  std::string text = absl::StrCat("ok: ", verified.bytes, " bytes");
  if (verified.texts > 0)
    absl::StrAppend(&text, ", ", verified.texts, " tokenizer vectors");
  if (verified.rows > 0)
    absl::StrAppendFormat(&text,
                          ", %u rows of logits (largest difference %.2g standard deviations)",
                          verified.rows, verified.largest);
  if (verified.calls.outputs > 0)
    absl::StrAppendFormat(&text,
                          ", %u outputs of calls (largest difference %.2g standard deviations)",
                          verified.calls.outputs, verified.calls.largest);
  if (verified.not_finite > 0)
    absl::StrAppend(&text, "; ", verified.not_finite,
                    verified.rows > 0 ? " more have" : " rows of logits have",
                    " no finite reference: the model's own numbers are to blame, not this machine");
  return text;
}

} // namespace

int verify(Args args) {
  ModelOptions model;
  bool json = false;
  const Command command{
      "quern-run verify -m FILE",
      "Checks every byte, then replays tokenizer vectors, reference logits and calls on this\n"
      "machine; exits with 1 and the first thing that differs.",
      model.flags() + std::vector<Flag>{{"--json", "", "print one JSON object", &json}},
      "quern-run verify -m model.quern"};
  if (auto code = parse(command, args))
    return *code;
  if (auto code = first_mistake({model.check()}))
    return *code;
  auto verified = verify_model(model);
  if (!verified.ok())
    return fail(verified.status());
  for (const std::string &note : verified->notes)
    say(absl::StrCat("note: ", note));
  if (json)
    print_json({{"ok", true},
                {"bytes", verified->bytes},
                {"tokenizer_vectors", verified->texts},
                {"logits_rows", verified->rows},
                {"logits_rows_not_finite", verified->not_finite},
                {"notes", verified->notes},
                {"call_outputs", verified->calls.outputs},
                {"largest_call_difference_std", verified->calls.largest},
                {"largest_difference_std", verified->largest}});
  else
    std::printf("%s\n", report(*verified).c_str());
  return kDone;
}

} // namespace quern::cli
