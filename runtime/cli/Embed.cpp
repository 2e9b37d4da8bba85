// quern-run embed: vectors of texts, or the scores that a model gives them.
#include "runtime/cli/EncoderText.h"
#include "runtime/cli/Model.h"
#include "runtime/cli/Npy.h"
#include "runtime/cli/Report.h"
#include "runtime/cli/Verbs.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <unistd.h>

namespace quern::cli {
namespace {

using artifact::items;

struct EmbedOptions {
  ModelOptions model;
  std::vector<std::string> texts; // -p
  std::vector<std::string> pairs;
  std::optional<std::string> file;
  std::optional<std::string> prompt_name;
  std::string output;
  bool no_truncate = false;
  bool json = false;

  Command command() {
    return {
        "quern-run embed -m FILE -p TEXT [-p TEXT2 ...]",
        "Gives the vector of each text, in the order given, or the scores of a model that "
        "scores texts.\n"
        "Without -o or --json a line a text.",
        model.flags() +
            std::vector<Flag>{
                {"-p, --prompt", "TEXT", "a text; repeat for others", &texts},
                {"-f, --file", "FILE", "a text a line; '-' reads standard input", &file},
                {"--pair", "TEXT",
                 "what goes behind a text as its pair; one for each, or several for one", &pairs},
                {"--prompt-name", "NAME", "put the model's prompt of that name before each",
                 &prompt_name},
                {"--no-truncate", "", "refuse texts that are too long", &no_truncate},
                {"-o, --output", "FILE.npy", "float32 [texts, columns]", &output},
                {"--json", "", "print one JSON object", &json}},
        "quern-run embed -m encoder.quern -p 'The capital of France is Paris.' --json"};
  }

  absl::Status check() const {
    if (!texts.empty() && file)
      return absl::InvalidArgumentError("-p and -f are both given\nhint: one of them");
    if (texts.empty() && !file && isatty(STDIN_FILENO))
      return absl::InvalidArgumentError("there is no text\nhint: -p TEXT, or -f FILE");
    return absl::OkStatus();
  }
};

// The lines of a file, without their ends.
std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
    if (line.ends_with('\r'))
      line.remove_suffix(1);
    lines.emplace_back(line);
  }
  return lines;
}

absl::StatusOr<std::vector<std::string>> read_texts(const EmbedOptions &options) {
  if (!options.texts.empty())
    return options.texts;
  const std::string path = options.file.value_or("-");
  auto text = read_text(path);
  if (!text.ok())
    return text.status();
  note_byte_order_mark(path, *text);
  std::vector<std::string> texts = lines_of(*text);
  if (texts.empty())
    return absl::InvalidArgumentError(absl::StrCat(path, ": there is no text in it"));
  return texts;
}

// The prompt that is asked for, or that the model puts before texts where none is; it may be empty.
absl::StatusOr<std::string> prompt_of(const artifact::Encoder &encoder,
                                      const std::optional<std::string> &asked) {
  const std::string name = asked.value_or(std::string(artifact::text(encoder.default_prompt())));
  if (name.empty())
    return std::string();
  std::vector<std::string> known;
  for (const artifact::Prompt *prompt : items(encoder.prompts())) {
    if (artifact::text(prompt->name()) == name)
      return std::string(artifact::text(prompt->text()));
    known.emplace_back(artifact::text(prompt->name()));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "the model has no prompt '", name, "'\nhint: ",
      known.empty() ? "it has none" : absl::StrCat("it has ", absl::StrJoin(known, ", "))));
}

absl::StatusOr<std::vector<EncoderText>> encode_texts(const EmbedOptions &options,
                                                      session::Engine &engine,
                                                      const std::vector<std::string> &texts) {
  auto tokenizer = load_tokenizer(engine.artifact());
  if (!tokenizer.ok())
    return tokenizer.status();
  const artifact::Encoder &encoder = *engine.manifest().encoder();
  auto prompt = prompt_of(encoder, options.prompt_name);
  if (!prompt.ok())
    return prompt.status();
  const size_t longest = std::min(encoder.max_length(), engine.longest_encoded());
  const size_t count = std::max(texts.size(), options.pairs.size());
  std::vector<EncoderText> sequences;
  size_t cut = 0, first_cut = 0;
  for (size_t i = 0; i < count; ++i) {
    std::optional<std::string> pair;
    if (!options.pairs.empty())
      pair = options.pairs[i];
    const std::string &text = texts[texts.size() == 1 ? 0 : i];
    auto sequence = encoder_text(**tokenizer, absl::StrCat(*prompt, text), pair, longest);
    if (!sequence.ok())
      return sequence.status();
    if (sequence->tokens.empty())
      return absl::InvalidArgumentError(absl::StrCat("text ", i + 1, " has no tokens"));
    if (sequence->cut != 0 && cut++ == 0)
      first_cut = i;
    sequences.push_back(*std::move(sequence));
  }
  if (cut != 0 && options.no_truncate)
    return absl::OutOfRangeError(
        absl::StrCat(cut, " of ", count, " texts are longer than the ", longest,
                     " tokens that the model takes; the first is text ", first_cut + 1, ", by ",
                     sequences[first_cut].cut,
                     " tokens\nhint: shorter texts, or without --no-truncate their "
                     "beginnings"));
  if (cut != 0)
    say(absl::StrCat("note: ", cut, " of ", count, " texts are cut after ", longest,
                     " tokens, the most that it takes of one; the first is text ", first_cut + 1));
  return sequences;
}

void print_lines(const std::vector<float> &values, size_t columns) {
  std::string text;
  for (size_t i = 0; i < values.size(); ++i)
    absl::StrAppendFormat(&text, "%.9g%c", values[i], (i + 1) % columns == 0 ? '\n' : ' ');
  print(text);
}

nlohmann::ordered_json rows_json(const artifact::Encoder &encoder, const std::vector<float> &values,
                                 size_t columns) {
  const auto labels = items(encoder.labels());
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (size_t at = 0; at < values.size(); at += columns) {
    nlohmann::ordered_json row =
        labels.empty() ? nlohmann::ordered_json::array() : nlohmann::ordered_json::object();
    for (size_t c = 0; c < columns; ++c)
      if (labels.empty())
        row.push_back(values[at + c]);
      else
        row[std::string(artifact::text(labels[static_cast<uint32_t>(c)]))] = values[at + c];
    rows.push_back(std::move(row));
  }
  return rows;
}

absl::Status embed_texts(const EmbedOptions &options) {
  auto texts = read_texts(options);
  if (!texts.ok())
    return texts.status();
  if (!options.pairs.empty() && texts->size() != 1 && options.pairs.size() != texts->size())
    return absl::InvalidArgumentError(
        absl::StrCat("there are ", texts->size(), " texts and ", options.pairs.size(),
                     " pairs\nhint: one --pair for each text, or several for one text"));
  if (absl::Status status = check_writable(options.output); !status.ok())
    return status;
  auto opened = session::Engine::open(options.model.model, options.model.engine());
  if (!opened.ok())
    return opened.status();
  session::Engine &engine = **opened;
  if (engine.encoded_columns() == 0)
    return engine.encode({}, {});
  auto sequences = encode_texts(options, engine, *texts);
  if (!sequences.ok())
    return sequences.status();

  // Longest first: steps are filled by texts of about one length, and their work is even.
  std::vector<size_t> order(sequences->size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, std::greater(), [&](size_t i) {
    return std::pair((*sequences)[i].tokens.size(), sequences->size() - i);
  });
  std::vector<session::EncodeSequence> batch;
  size_t tokens = 0;
  for (const size_t i : order) {
    batch.push_back({(*sequences)[i].tokens, (*sequences)[i].second});
    tokens += (*sequences)[i].tokens.size();
  }
  const size_t columns = engine.encoded_columns();
  std::vector<float> sorted(batch.size() * columns), values(sorted.size());
  const auto begun = std::chrono::steady_clock::now();
  if (absl::Status status = engine.encode(batch, sorted); !status.ok())
    return status;
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begun;
  for (size_t at = 0; at < order.size(); ++at)
    std::copy_n(sorted.begin() + static_cast<ptrdiff_t>(at * columns), columns,
                values.begin() + static_cast<ptrdiff_t>(order[at] * columns));

  const artifact::Encoder &encoder = *engine.manifest().encoder();
  if (!options.output.empty()) {
    NpyArray array{artifact::ElementType::f32,
                   {static_cast<int64_t>(order.size()), static_cast<int64_t>(columns)},
                   {}};
    const auto *bytes = reinterpret_cast<const uint8_t *>(values.data());
    array.bytes.assign(bytes, bytes + values.size() * sizeof(float));
    if (absl::Status status = write_npy(options.output, array); !status.ok())
      return status;
  }
  if (options.json)
    print_json({{items(encoder.labels()).empty() ? "embeddings" : "scores",
                 rows_json(encoder, values, columns)},
                {"tokens", tokens},
                {"seconds", taken.count()},
                {"memory", to_json(engine.memory())}});
  else if (options.output.empty())
    print_lines(values, columns);
  return absl::OkStatus();
}

} // namespace

int embed(Args args) {
  EmbedOptions options;
  const Command command = options.command();
  if (auto code = parse(command, args))
    return *code;
  if (auto code = first_mistake({options.model.check(), options.check()}))
    return *code;
  const absl::Status status = embed_texts(options);
  return status.ok() ? kDone : fail(status);
}

} // namespace quern::cli
