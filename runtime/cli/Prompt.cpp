#include "runtime/cli/Prompt.h"

#include "runtime/cli/Model.h"
#include "runtime/text/template/RenderChat.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <unistd.h>

namespace quern::cli {

std::vector<Flag> PromptOptions::flags() {
  return {
      {"-p, --prompt", "TEXT", "the text; '-' reads standard input", &given},
      {"-f, --file", "FILE", "read the text from a file", &file},
      {"--chat", "", "the text is a message: apply the chat template", &chat},
      {"--no-special", "", "add no BOS or EOS; special tokens' spellings are plain text",
       &no_special},
  };
}

absl::Status PromptOptions::check() const {
  if (given && file)
    return absl::InvalidArgumentError("-p and -f are both given\nhint: one of them");
  if (!given && !file && isatty(STDIN_FILENO))
    return absl::InvalidArgumentError(
        "there is no text\nhint: -p TEXT, -f FILE, or -p - with a pipe");
  return absl::OkStatus();
}

absl::StatusOr<std::string> PromptOptions::text() const {
  if (given && *given != "-")
    return *given;
  auto text = read_text(file.value_or("-"));
  if (text.ok())
    note_byte_order_mark(file.value_or("-"), *text);
  return text;
}

absl::StatusOr<std::vector<int32_t>> PromptOptions::encode(const text::Tokenizer &tokenizer,
                                                           const std::string &text,
                                                           std::span<const int32_t> before) const {
  if (chat)
    return encode_conversation(tokenizer, {{"user", text}}, before);
  return tokenizer.encode(
      text, {.add_special = !no_special, .parse_special = !no_special, .before = before});
}

absl::StatusOr<std::vector<int32_t>> encode_conversation(const text::Tokenizer &tokenizer,
                                                         const std::vector<Message> &messages,
                                                         std::span<const int32_t> before) {
  const text::TokenizerSpec &spec = tokenizer.spec();
  if (spec.chat_template.empty())
    return absl::FailedPreconditionError(
        "the model has no chat template\nhint: quern-run run -p TEXT, without --chat");
  text::ChatInput input;
  input.messages = nlohmann::ordered_json::array();
  for (const Message &message : messages)
    input.messages.push_back({{"role", message.role}, {"content", message.content}});
  input.bos_token = spec.bos_token;
  input.eos_token = spec.eos_token;
  input.named_tokens = spec.named_tokens;
  auto text = text::render_chat(spec.chat_template, input);
  if (!text.ok())
    return text.status();
  // Templates spell out BOS and all else themselves.
  auto ids =
      tokenizer.encode(*text, {.add_special = false, .parse_special = true, .before = before});
  if (!ids.ok() || before.empty())
    return ids;
  const auto is_prefix = [&](int32_t id) {
    return id == spec.bos_id ||
           std::find(spec.prefix_ids.begin(), spec.prefix_ids.end(), id) != spec.prefix_ids.end();
  };
  ids->erase(ids->begin(), std::find_if_not(ids->begin(), ids->end(), is_prefix));
  return ids;
}

} // namespace quern::cli
