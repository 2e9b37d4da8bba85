// quern-run run: continues a prompt.
#include "runtime/cli/Endings.h"
#include "runtime/cli/Generation.h"
#include "runtime/cli/Logprobs.h"
#include "runtime/cli/Model.h"
#include "runtime/cli/Prompt.h"
#include "runtime/cli/Report.h"
#include "runtime/cli/StopTexts.h"
#include "runtime/cli/Verbs.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <nlohmann/json.hpp>

#include <cstdio>

namespace quern::cli {
namespace {

constexpr uint64_t kDefaultPrefixCache = uint64_t{4} << 30;

struct RunOptions {
  ModelOptions model;
  PromptOptions prompt;
  SamplingFlags sampling;
  std::optional<std::string> tokens; // --tokens
  std::vector<int32_t> ids;          // what it lists
  std::optional<uint64_t> max_tokens;
  std::vector<std::string> stop;
  bool ignore_eos = false;
  std::string save_state, load_state;
  bool edit = false;
  std::string prefix_cache;
  Bytes prefix_cache_size;
  bool json = false;
  std::optional<uint64_t> logprobs;

  Command command() {
    return {
        "quern-run run -m FILE -p TEXT [-n N]", "Continues a prompt; the text comes as it is made.",
        model.flags() + prompt.flags() +
            std::vector<Flag>{{"--tokens", "1,2,3", "the prompt as ids", &tokens},
                              // docs/guides say what these do; the help only names them.
                              {"--prefix-cache-size", "BYTES", "", &prefix_cache_size},
                              {"--logprobs", "N", "", &logprobs},
                              {"-n, --n-predict", "N",
                               "tokens to make (default: to the answer's end)", &max_tokens}} +
            sampling.flags() +
            std::vector<Flag>{
                {"--stop", "TEXT", "end where this text begins; may be repeated", &stop},
                {"--ignore-eos", "", "go on after the model ends its answer", &ignore_eos},
                {"--save-state", "F", "save the sequence, prompt and answer", &save_state},
                {"--load-state", "F", "go on from a saved sequence, without BOS", &load_state},
                {"--edit", "", "the text replaces the saved one, from where they differ", &edit},
                {"--prefix-cache", "DIR", "reuse and keep states of prompts' beginnings",
                 &prefix_cache},
                {"--json", "", "print one JSON object at the end", &json}},
        "quern-run run -m model.quern -p 'Once upon a time' -n 64 --temp 0"};
  }
};

// Prints an answer as it comes: text, or ids where there is no tokenizer.
class Printer {
public:
  Printer(const RunOptions &options, const text::Tokenizer *tokenizer)
      : live_(!options.json), stops_(options.stop) {
    if (tokenizer)
      decoder_.emplace(*tokenizer, /*skip_special=*/!options.ignore_eos);
  }

  // False if a stop text came, or what is printed does not arrive any more.
  bool push(int32_t token) {
    if (decoder_)
      show(stops_.push(decoder_->push(token)));
    else if (live_)
      std::printf("%s%d", count_ == 0 ? "" : ",", token);
    ++count_;
    if (live_)
      status_ = flush_output();
    return status_.ok() && !stops_.stopped();
  }
  // Ends the text, and the line: statistics and errors begin on one of their own.
  void finish() {
    if (decoder_) {
      show(stops_.push(decoder_->flush()));
      show(stops_.flush());
    }
    if (live_) {
      std::printf("\n");
      status_.Update(flush_output());
    }
  }
  const std::string &text() const { return text_; }
  // Whether all that was printed arrived.
  const absl::Status &status() const { return status_; }

private:
  void show(const std::string &text) {
    text_ += text;
    if (live_)
      print(text);
  }

  bool live_;
  StopTexts stops_;
  std::optional<text::StreamDecoder> decoder_;
  std::string text_;
  int64_t count_ = 0;
  absl::Status status_;
};

// What of the prompt was not computed, because it was there.
struct Reused {
  uint64_t tokens = 0;
  uint64_t shared = 0; // tokens that the saved sequence begins with, too
  std::string why;     // not more
};

// A line, or none where nothing was to be reused.
std::string describe(const RunOptions &options, const Reused &reused, size_t prompt) {
  const std::string of = absl::StrCat(reused.tokens, " of ", prompt, " prompt tokens");
  const std::string why = reused.why.empty() ? "" : absl::StrCat(": ", reused.why);
  if (options.edit)
    return absl::StrCat("edit: ", of, " kept; the saved sequence has ", reused.shared,
                        " in common with them", why);
  if (options.prefix_cache.empty())
    return "";
  return reused.tokens != 0 ? absl::StrCat("prefix cache: ", of, " saved", why)
                            : absl::StrCat("prefix cache: a miss", why);
}

void report(const RunOptions &options, session::Engine &engine, const std::vector<int32_t> &prompt,
            const Reused &reused, const Generated &answer, const std::string &text,
            const nlohmann::ordered_json &logprobs) {
  const double prefill_rate =
      static_cast<double>(prompt.size() - reused.tokens) / answer.prefill_seconds;
  if (options.json) {
    nlohmann::ordered_json json = {{"prompt_tokens", prompt},
                                   {"tokens", answer.tokens},
                                   {"text", text},
                                   {"finish_reason", answer.stopped ? "stop" : "length"},
                                   {"prefill_tokens_per_s", prefill_rate},
                                   {"decode_tokens_per_s", answer.decode_tokens_per_s()},
                                   {"time_to_first_token_s", answer.first_token_seconds},
                                   {"seed", options.sampling.options.seed},
                                   {"device", std::string(engine.device().name())},
                                   {"variant", engine.variant()},
                                   {"memory", to_json(engine.memory())}};
    if (options.logprobs)
      json["logprobs"] = logprobs;
    if (options.edit)
      json["edit"] = {{"tokens", reused.tokens}, {"shared", reused.shared}};
    if (!options.prefix_cache.empty())
      json["prefix_cache"] = {
          {"hit", reused.tokens != 0}, {"tokens", reused.tokens}, {"why", reused.why}};
    print_json(json);
    return;
  }
  if (const std::string line = describe(options, reused, prompt.size()); !line.empty())
    say(line);
  std::fflush(stdout);
  const auto count = [](size_t tokens, const char *what) {
    return absl::StrCat(tokens, what, tokens == 1 ? "token" : "tokens");
  };
  // The first token comes of the prompt: one alone says nothing of decoding.
  std::fprintf(stderr, "%s at %.1f tokens/s, %s%s, first after %.3f s; %s, %s\n",
               count(prompt.size() - reused.tokens, " prompt ").c_str(), prefill_rate,
               count(answer.tokens.size(), " ").c_str(),
               answer.decode_steps == 0
                   ? ""
                   : absl::StrFormat(" at %.1f tokens/s", answer.decode_tokens_per_s()).c_str(),
               answer.first_token_seconds, engine.variant().c_str(),
               session::human_bytes(engine.memory().total).c_str());
}

// Brings the slot to what it has of the prompt, but for its last token.
absl::StatusOr<Reused> reuse(const RunOptions &options, session::Engine &engine,
                             const std::optional<session::PrefixCache> &cache, session::SlotId slot,
                             std::span<const int32_t> prompt, bool continues) {
  Reused reused;
  if (options.edit || continues) {
    reused.shared = session::shared_prefix(engine.tokens(slot), prompt);
    auto kept = engine.rewind_to_shared(slot, prompt);
    if (!kept.ok())
      return kept.status();
    reused.tokens = *kept;
    if (reused.tokens + 1 < std::min<uint64_t>(reused.shared, prompt.size() - 1) &&
        engine.checkpoints().per_slot == 0)
      reused.why = "its state has no checkpoint nearer; --checkpoints BYTES, when it is saved and "
                   "when it is loaded, keeps some";
  }
  if (cache) {
    session::PrefixHit hit = cache->find(slot, prompt);
    reused.tokens = hit.tokens;
    reused.why = std::move(hit.why);
  }
  return reused;
}

absl::Status run_prompt(RunOptions &options) {
  // The prompt first: a mistake in it should not wait for a model to open.
  std::vector<int32_t> prompt = options.ids;
  std::string text;
  if (!options.tokens) {
    auto given = options.prompt.text();
    if (!given.ok())
      return given.status();
    text = *std::move(given);
  }
  if (absl::Status status = check_writable(options.save_state); !status.ok())
    return status;
  if (options.edit || !options.prefix_cache.empty())
    options.model.default_checkpoints = kDefaultCheckpoints;
  auto engine = session::Engine::open(options.model.model, options.model.engine());
  if (!engine.ok())
    return engine.status();
  if (absl::Status status = (*engine)->check_language_model(); !status.ok())
    return status;
  std::optional<session::PrefixCache> cache;
  if (!options.prefix_cache.empty()) {
    cache.emplace((*engine)->prefix_cache(
        options.prefix_cache,
        options.prefix_cache_size.given ? options.prefix_cache_size.value : kDefaultPrefixCache));
    if (absl::Status status = cache->prepare(); !status.ok())
      return status;
  }
  std::unique_ptr<text::Tokenizer> tokenizer;
  if (!options.tokens || !(*engine)->artifact().tokenizer().empty()) {
    auto loaded = load_tokenizer((*engine)->artifact(), "pass ids with --tokens 1,2,3");
    if (!loaded.ok())
      return loaded.status();
    tokenizer = *std::move(loaded);
  }
  auto slot = options.load_state.empty() ? (*engine)->create_slot()
                                         : (*engine)->load_state(options.load_state);
  if (!slot.ok())
    return slot.status();
  if (!options.tokens) {
    auto ids = options.prompt.encode(
        *tokenizer, text, options.edit ? std::span<const int32_t>() : (*engine)->tokens(*slot));
    if (!ids.ok())
      return ids.status();
    prompt = *std::move(ids);
  }
  // No text behind a saved one: it goes on from its own last token.
  const bool continues = prompt.empty() && !options.load_state.empty() && !options.edit;
  if (continues)
    prompt.assign((*engine)->tokens(*slot).begin(), (*engine)->tokens(*slot).end());
  if (prompt.empty())
    return absl::InvalidArgumentError("the prompt has no tokens\nhint: -p TEXT or --tokens 1,2,3");
  auto sampler = options.sampling.make_sampler((*engine)->vocab(), tokenizer.get());
  if (!sampler.ok())
    return sampler.status();

  const auto reused = reuse(options, **engine, cache, *slot, prompt, continues);
  if (!reused.ok())
    return reused.status();
  absl::Status cached;

  Printer printer(options, tokenizer.get());
  GenerateOptions generation;
  generation.max_tokens = options.max_tokens.value_or(UINT64_MAX);
  generation.tokenizer = options.ignore_eos ? nullptr : tokenizer.get();
  generation.feed_last = !options.save_state.empty();
  generation.logits = options.logprobs.has_value();
  if (cache)
    generation.before_last = [&] { cached = cache->save_point(*slot); };
  auto logprobs = nlohmann::ordered_json::array();
  uint64_t made = 0;
  auto answer = generate(**engine, *slot, *sampler, std::span(prompt).subspan(reused->tokens),
                         generation, [&](int32_t token, std::span<const float> logits) {
                           if (++made == 1)
                             catch_interrupt();
                           if (options.logprobs)
                             logprobs.push_back(
                                 logprobs_json(logits, token, *options.logprobs, tokenizer.get()));
                           return printer.push(token) && !interrupted();
                         });
  if (answer.ok() || made > 0)
    printer.finish();
  if (!answer.ok())
    return explain(**engine, answer.status());
  if (!printer.status().ok())
    return options.save_state.empty()
               ? printer.status()
               : absl::UnavailableError(absl::StrCat(std::string(printer.status().message()), ": ",
                                                     options.save_state, " is not written"));
  if (answer->context_full)
    note_full_context(**engine);
  if (cache && cached.ok())
    cached = cache->save_rest(*slot, prompt.size() - 1);
  if (!cached.ok()) // the answer is made: what comes later is only slower
    say(absl::StrCat("note: the prefix cache was not written: ", cached.message()));
  if (!options.save_state.empty())
    if (absl::Status status = (*engine)->save_state(*slot, options.save_state); !status.ok())
      return status;
  report(options, **engine, prompt, *reused, *answer, printer.text(), logprobs);
  end_if_interrupted();
  return absl::OkStatus();
}

absl::Status check_prompt(RunOptions &options) {
  if (!options.tokens)
    return options.prompt.check();
  if (options.prompt.given || options.prompt.file)
    return absl::InvalidArgumentError(
        "--tokens and a text are both given\nhint: one of -p, -f and --tokens");
  auto ids = parse_ids(*options.tokens);
  if (!ids.ok())
    return ids.status();
  options.ids = *std::move(ids);
  return options.ids.empty()
             ? absl::InvalidArgumentError("--tokens lists no ids\nhint: --tokens 1,2,3")
             : absl::OkStatus();
}

} // namespace

int run(Args args) {
  RunOptions options;
  const Command command = options.command();
  if (auto code = parse(command, args))
    return *code;
  if (auto code = first_mistake({options.model.check(), options.sampling.check(),
                                 check_prompt(options), check_stops(options.stop)}))
    return *code;
  if (options.logprobs && !options.json)
    return wrong_usage("--logprobs is part of the JSON", "--logprobs N --json");
  if (options.edit && options.load_state.empty())
    return wrong_usage("--edit changes a saved text, and none is given",
                       "--edit --load-state F -p TEXT");
  if (!options.prefix_cache.empty() && !options.load_state.empty())
    return wrong_usage("--load-state and --prefix-cache both say what to go on from",
                       "one of them");
  if (options.prefix_cache_size.given && options.prefix_cache.empty())
    return wrong_usage("--prefix-cache-size is of a prefix cache, and none is given",
                       "--prefix-cache DIR --prefix-cache-size BYTES");
  const absl::Status status = run_prompt(options);
  return status.ok() ? kDone : fail(status);
}

} // namespace quern::cli
