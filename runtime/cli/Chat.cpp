// quern-run chat: a conversation in the terminal.
#include "runtime/cli/Generation.h"
#include "runtime/cli/Model.h"
#include "runtime/cli/Prompt.h"
#include "runtime/cli/Report.h"
#include "runtime/cli/StopTexts.h"
#include "runtime/cli/Verbs.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <unistd.h>

namespace quern::cli {
namespace {

constexpr const char *kHelp = "/help   this list\n"
                              "/clear  forget the conversation\n"
                              "/retry  make the last reply again\n"
                              "/edit N TEXT   say TEXT instead of your Nth message, and go on from "
                              "there\n"
                              "/stats  positions used, speed of the last reply\n"
                              "/quit   leave (or Ctrl-D)\n"
                              "A line that ends with \\ goes on in the next one.\n"
                              "Ctrl-C stops a reply, and leaves at the prompt.\n";

std::atomic<bool> interrupted{false};

// Ctrl-C becomes a flag; without SA_RESTART, so that it also ends the wait for a line.
void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = [](int) { interrupted = true; };
  sigaction(SIGINT, &action, nullptr);
}

struct ChatOptions {
  ModelOptions model;
  SamplingFlags sampling;
  std::string system;
  std::vector<std::string> stop;
  uint64_t max_tokens = UINT64_MAX;
};

// Messages so far, and the slot that holds their state.
class Conversation {
public:
  Conversation(session::Engine &engine, const text::Tokenizer &tokenizer, session::Sampler &sampler,
               const ChatOptions &options, session::SlotId slot)
      : engine_(engine), tokenizer_(tokenizer), sampler_(sampler), options_(options), slot_(slot) {
    clear();
  }

  void clear() {
    messages_.clear();
    if (!options_.system.empty())
      messages_.push_back({"system", options_.system});
  }

  // Prints the reply as it comes. On error the message is forgotten again.
  absl::Status say(const std::string &text) {
    return answer_after(messages_.size(), {{"user", text}});
  }

  // Makes the last reply again.
  absl::Status retry() {
    if (messages_.empty() || messages_.back().role != "assistant")
      return absl::FailedPreconditionError("there is no reply yet\nhint: say something first");
    return answer_after(messages_.size() - 1, {});
  }

  // "N TEXT": says TEXT instead of the user's Nth message; what came after that is forgotten.
  absl::Status edit(std::string_view arguments) {
    const size_t space = arguments.find(' ');
    uint64_t number = 0;
    const std::string_view text = space == arguments.npos ? "" : arguments.substr(space + 1);
    if (!absl::SimpleAtoi(std::string(arguments.substr(0, space)), &number) || text.empty())
      return absl::InvalidArgumentError(
          "which message is to be changed, and what it should say, is missing\nhint: /edit 1 TEXT");
    uint64_t said = 0;
    for (size_t i = 0; i < messages_.size(); ++i)
      if (messages_[i].role == "user" && ++said == number)
        return answer_after(i, {{"user", std::string(text)}});
    return absl::InvalidArgumentError(absl::StrCat("there is no message ", number,
                                                   " of yours: there are ", said, "\nhint: /edit ",
                                                   said, " TEXT"));
  }

  void print_stats() const {
    std::fprintf(stderr,
                 "%llu of %llu positions; last reply %zu tokens at %.1f tokens/s, after %llu "
                 "tokens that were kept and %llu computed\n",
                 static_cast<unsigned long long>(engine_.length(slot_)),
                 static_cast<unsigned long long>(engine_.ctx()), last_.tokens.size(),
                 last_.decode_tokens_per_s(), static_cast<unsigned long long>(kept_),
                 static_cast<unsigned long long>(computed_));
  }

private:
  // Answers the first `count` messages and `more`. On error the conversation is what it was.
  absl::Status answer_after(size_t count, const std::vector<Message> &more) {
    const std::vector<Message> before = messages_;
    messages_.resize(count);
    messages_.insert(messages_.end(), more.begin(), more.end());
    auto reply = answer();
    if (!reply.ok()) {
      messages_ = before;
      return reply.status();
    }
    messages_.push_back({"assistant", *reply});
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> answer() {
    auto ids = encode_conversation(tokenizer_, messages_);
    if (!ids.ok())
      return ids.status();
    // Templates may rewrite history, a stopped reply was never closed, and messages are edited.
    auto known = engine_.rewind_to_shared(slot_, *ids);
    if (!known.ok())
      return known.status();
    kept_ = *known;
    computed_ = ids->size() - *known;
    interrupted = false;
    text::StreamDecoder decoder(tokenizer_, /*skip_special=*/true);
    StopTexts stops(options_.stop);
    std::string reply;
    auto show = [&](const std::string &text) {
      reply += text;
      print(text);
      return flush_output();
    };
    absl::Status printed;
    auto generated = generate(engine_, slot_, sampler_, std::span(*ids).subspan(*known),
                              {options_.max_tokens, &tokenizer_, /*feed_last=*/true},
                              [&](int32_t token, std::span<const float>) {
                                printed = show(stops.push(decoder.push(token)));
                                return printed.ok() && !interrupted && !stops.stopped();
                              });
    if (!generated.ok()) {
      if (!reply.empty())
        (void)show("\n"); // the error begins on a line of its own
      return explain(engine_, generated.status());
    }
    printed.Update(show(stops.push(decoder.flush()) + stops.flush() + "\n"));
    if (!printed.ok())
      return printed;
    reply.pop_back();
    if (generated->context_full)
      note_full_context(engine_);
    last_ = *std::move(generated);
    return reply;
  }

  session::Engine &engine_;
  const text::Tokenizer &tokenizer_;
  session::Sampler &sampler_;
  const ChatOptions &options_;
  session::SlotId slot_;
  std::vector<Message> messages_;
  Generated last_;
  uint64_t kept_ = 0, computed_ = 0; // of the last prompt's tokens
};

// A line without its end, CR LF included. False at the input's end.
bool read_line(std::string &line) {
  if (!std::getline(std::cin, line))
    return false;
  if (line.ends_with('\r'))
    line.pop_back();
  return true;
}

// A message: a line, and the lines after it while one ends with a backslash. False at the input's
// end.
bool read_message(std::string &message, bool terminal) {
  message.clear();
  interrupted = false; // by what stopped a reply
  const char *prompt = "> ";
  for (std::string line;; prompt = ". ") {
    if (terminal)
      std::fputs(prompt, stderr);
    if (!read_line(line))
      return !message.empty() && !interrupted;
    const bool more = line.ends_with('\\');
    if (more)
      line.back() = '\n';
    message += line;
    if (!more)
      return true;
  }
}

// Reads messages until the input ends. In a terminal a failed message is only reported.
absl::Status converse(Conversation &conversation) {
  const bool terminal = isatty(STDIN_FILENO) != 0;
  if (terminal)
    std::fputs("/help lists the commands.\n", stderr);
  std::string line;
  for (bool first = true;; first = false) {
    if (!read_message(line, terminal)) {
      if (terminal)
        std::fputs("\n", stderr);
      return absl::OkStatus();
    }
    // What editors put in front of a file is no part of what is said.
    if (first && line.starts_with("\xef\xbb\xbf"))
      line.erase(0, 3);
    if (line.empty())
      continue;
    if (line == "/quit" || line == "/exit")
      return absl::OkStatus();
    if (line == "/help") {
      std::fputs(kHelp, stderr);
    } else if (line == "/clear") {
      conversation.clear();
    } else if (line == "/stats") {
      conversation.print_stats();
    } else if (absl::Status status =
                   line == "/retry" ? conversation.retry()
                   : line == "/edit" || line.starts_with("/edit ")
                       ? conversation.edit(line.substr(std::min<size_t>(line.size(), 6)))
                       : conversation.say(line);
               !status.ok()) {
      if (!terminal || reader_gone(status))
        return status;
      fail(status);
    }
  }
}

absl::Status chat_with(ChatOptions &options) {
  options.model.default_checkpoints = kDefaultCheckpoints;
  auto engine = session::Engine::open(options.model.model, options.model.engine());
  if (!engine.ok())
    return engine.status();
  if (absl::Status status = (*engine)->check_language_model(); !status.ok())
    return status;
  auto tokenizer = load_tokenizer((*engine)->artifact());
  if (!tokenizer.ok())
    return tokenizer.status();
  auto sampler = options.sampling.make_sampler((*engine)->vocab(), tokenizer->get());
  if (!sampler.ok())
    return sampler.status();
  auto slot = (*engine)->create_slot();
  if (!slot.ok())
    return slot.status();
  Conversation conversation(**engine, **tokenizer, *sampler, options, *slot);
  catch_interrupts();
  return converse(conversation);
}

} // namespace

int chat(Args args) {
  ChatOptions options;
  const Command command{
      "quern-run chat -m FILE",
      "A conversation in the model's chat template. A line that ends with \\ goes on in the next\n"
      "one; Ctrl-C stops a reply.",
      options.model.flags() +
          std::vector<Flag>{
              {"--system", "TEXT", "a system message to begin with", &options.system},
              {"-n, --n-predict", "N", "longest reply in tokens", &options.max_tokens},
              {"--stop", "TEXT", "end a reply where this text begins; may be repeated",
               &options.stop}} +
          options.sampling.flags(),
      "quern-run chat -m model.quern --temp 0.7"};
  if (auto code = parse(command, args))
    return *code;
  if (auto code = first_mistake(
          {options.model.check(), options.sampling.check(), check_stops(options.stop)}))
    return *code;
  const absl::Status status = chat_with(options);
  return status.ok() ? kDone : fail(status);
}

} // namespace quern::cli
