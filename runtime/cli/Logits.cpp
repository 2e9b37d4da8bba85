// quern-run logits: float32 [T, vocab] of every position, as .npy.
#include "runtime/cli/Model.h"
#include "runtime/cli/Npy.h"
#include "runtime/cli/Report.h"
#include "runtime/cli/Verbs.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

namespace quern::cli {
namespace {

struct LogitsOptions {
  ModelOptions model;
  std::vector<std::string> tokens;
  std::vector<std::vector<int32_t>> sequences; // what they list
  std::string tokens_file;
  std::string output;
  uint64_t chunk = 0;
  std::string save_state, load_state;

  Command command() {
    return {"quern-run logits -m FILE --tokens 5,6,7 -o out.npy",
            "Writes the logits of every position, float32 [T, vocab]. With several --tokens the\n"
            "sequences run together, and -o is a folder: 0.npy, 1.npy, ...",
            model.flags() +
                std::vector<Flag>{
                    {"--tokens", "5,6,7", "a sequence; may be repeated", &tokens},
                    {"--tokens-file", "F.npy", "a sequence, as an integer array", &tokens_file},
                    {"-o, --output", "F", "where the logits go", &output, true},
                    {"--chunk", "N", "tokens a step of each sequence; 1 is decoding", &chunk},
                    {"--save-state", "F", "save the sequence afterwards", &save_state},
                    {"--load-state", "F", "go on from a saved sequence", &load_state}},
            "quern-run logits -m model.quern --tokens 504,3575,282 -o logits.npy"};
  }
};

absl::StatusOr<std::vector<int32_t>> ids_of_file(const std::string &path) {
  auto array = read_npy(path);
  if (!array.ok())
    return array.status();
  std::vector<int32_t> ids;
  const uint64_t size = artifact::element_bytes(array->type);
  const bool integers =
      array->type == artifact::ElementType::i32 || array->type == artifact::ElementType::i64;
  if (!integers || array->shape.size() != 1)
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": not an int32 or int64 array of one dimension"));
  for (uint64_t at = 0; at < array->bytes.size(); at += size) {
    int64_t id = 0;
    std::memcpy(&id, &array->bytes[at], size);
    if (size == 4)
      id = static_cast<int32_t>(id);
    if (id < 0 || id > INT32_MAX)
      return absl::InvalidArgumentError(absl::StrCat(path, ": ", id, " is not a token id"));
    ids.push_back(static_cast<int32_t>(id));
  }
  return ids;
}

// Wrong usage: lists that are none.
absl::Status read_lists(LogitsOptions &options) {
  for (const std::string &list : options.tokens) {
    auto ids = parse_ids(list);
    if (!ids.ok())
      return ids.status();
    if (ids->empty())
      return absl::InvalidArgumentError("a sequence has no tokens\nhint: --tokens 5,6,7");
    options.sequences.push_back(*std::move(ids));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::vector<int32_t>>> read_sequences(const LogitsOptions &options) {
  std::vector<std::vector<int32_t>> sequences = options.sequences;
  if (options.tokens_file.empty())
    return sequences;
  auto ids = ids_of_file(options.tokens_file);
  if (!ids.ok())
    return ids.status();
  if (ids->empty())
    return absl::InvalidArgumentError(absl::StrCat(options.tokens_file, ": holds no tokens"));
  sequences.push_back(*std::move(ids));
  return sequences;
}

// One sequence on its way through the model.
struct Run {
  session::SlotId slot;
  std::span<const int32_t> tokens;
  size_t done = 0;
  std::unique_ptr<NpyWriter> writer;
  size_t not_finite = 0; // rows so far
};

size_t rows_not_finite(std::span<const float> logits, size_t vocab) {
  size_t rows = 0;
  for (; !logits.empty(); logits = logits.subspan(vocab)) {
    // Infinity times zero, and NaN times it, are no zeros.
    float sum = 0;
    for (const float logit : logits.first(vocab))
      sum += logit * 0.0f;
    rows += sum != 0;
  }
  return rows;
}

// Tokens each sequence feeds a round. Results do not depend on it, memory does: the logits of a
// round lie in one buffer, which is kept small for large vocabularies.
uint64_t chunk_size(const LogitsOptions &options, const session::Engine &engine, size_t sequences) {
  if (options.chunk != 0)
    return options.chunk;
  constexpr uint64_t kBufferBytes = 256u << 20;
  const uint64_t rows = kBufferBytes / (uint64_t{engine.vocab()} * sizeof(float));
  return std::max<uint64_t>(1, std::min<uint64_t>(engine.max_tokens(), rows) / sequences);
}

absl::Status feed_all(session::Engine &engine, std::vector<Run> &runs, uint64_t chunk) {
  std::vector<float> logits;
  std::vector<session::SequenceStep> batch;
  std::vector<Run *> active;
  while (true) {
    batch.clear();
    active.clear();
    uint64_t rows = 0;
    for (Run &run : runs) {
      const size_t take = std::min<uint64_t>(chunk, run.tokens.size() - run.done);
      if (take == 0)
        continue;
      batch.push_back({run.slot, run.tokens.subspan(run.done, take), session::Rows::all});
      active.push_back(&run);
      rows += take;
    }
    if (batch.empty())
      return absl::OkStatus();
    logits.resize(rows * engine.vocab());
    if (absl::Status status = engine.step(batch, logits); !status.ok())
      return status;
    const float *next = logits.data();
    for (size_t i = 0; i < batch.size(); ++i) {
      const uint64_t count = batch[i].tokens.size() * engine.vocab();
      active[i]->not_finite += rows_not_finite(std::span(next, count), engine.vocab());
      if (absl::Status status = active[i]->writer->append(next, count * sizeof(float));
          !status.ok())
        return status;
      active[i]->done += batch[i].tokens.size();
      next += count;
    }
  }
}

absl::Status write_logits(LogitsOptions &options) {
  auto sequences = read_sequences(options);
  if (!sequences.ok())
    return sequences.status();
  if (absl::Status status = check_writable(options.save_state); !status.ok())
    return status;
  session::EngineOptions engine_options = options.model.engine();
  engine_options.slots = std::max<uint64_t>(engine_options.slots, sequences->size());
  engine_options.needed_slots = sequences->size();
  for (const std::vector<int32_t> &sequence : *sequences)
    engine_options.needed_ctx = std::max<uint64_t>(engine_options.needed_ctx, sequence.size());
  // The lengths are known: without -c, no more state is taken than they need.
  if (options.model.ctx == 0 && options.load_state.empty())
    engine_options.ctx = engine_options.needed_ctx;
  auto opened = session::Engine::open(options.model.model, engine_options);
  if (!opened.ok())
    return opened.status();
  session::Engine &engine = **opened;
  if (absl::Status status = engine.check_language_model(); !status.ok())
    return status;

  const bool many = sequences->size() > 1;
  if (many) {
    std::error_code error;
    std::filesystem::create_directories(options.output, error);
    if (error)
      return absl::UnavailableError(
          absl::StrCat(options.output, ": cannot make the folder: ", error.message()));
  }
  std::vector<Run> runs;
  for (size_t i = 0; i < sequences->size(); ++i) {
    auto slot =
        options.load_state.empty() ? engine.create_slot() : engine.load_state(options.load_state);
    if (!slot.ok())
      return slot.status();
    const std::vector<int32_t> &tokens = (*sequences)[i];
    if (absl::Status status = engine.check_room(*slot, tokens.size()); !status.ok())
      return status;
    const int64_t shape[] = {static_cast<int64_t>(tokens.size()), engine.vocab()};
    auto writer =
        NpyWriter::create(many ? absl::StrCat(options.output, "/", i, ".npy") : options.output,
                          artifact::ElementType::f32, shape);
    if (!writer.ok())
      return writer.status();
    runs.push_back({*slot, tokens, 0, *std::move(writer)});
  }
  const uint64_t chunk = chunk_size(options, engine, runs.size());
  if (absl::Status status = feed_all(engine, runs, chunk); !status.ok())
    return status;
  size_t not_finite = 0, rows = 0;
  for (const Run &run : runs)
    not_finite += run.not_finite, rows += run.tokens.size();
  if (not_finite > 0)
    say(absl::StrCat("note: the logits of ", not_finite, " of ", rows,
                     " positions are not finite; quern-run verify says what was known when the "
                     "model was compiled"));
  if (!options.save_state.empty())
    if (absl::Status status = engine.save_state(runs[0].slot, options.save_state); !status.ok())
      return status;
  for (Run &run : runs)
    if (absl::Status status = run.writer->commit(); !status.ok())
      return status;
  return absl::OkStatus();
}

} // namespace

int logits(Args args) {
  LogitsOptions options;
  const Command command = options.command();
  if (auto code = parse(command, args))
    return *code;
  if (auto code = first_mistake({options.model.check(), read_lists(options)}))
    return *code;
  const size_t sequences = options.tokens.size() + !options.tokens_file.empty();
  if (sequences == 0)
    return wrong_usage("no tokens are given", "--tokens 5,6,7 or --tokens-file F.npy");
  if (sequences > 1 && !options.save_state.empty())
    return wrong_usage("--save-state saves one sequence, and several are given",
                       "one --tokens with --save-state");
  const absl::Status status = write_logits(options);
  return status.ok() ? kDone : fail(status);
}

} // namespace quern::cli
