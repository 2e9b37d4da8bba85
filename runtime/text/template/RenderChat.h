// Chat templates: what turns messages into the text a model was trained on.
//
// Templates are Jinja, as transformers' apply_chat_template runs them: trim_blocks, lstrip_blocks,
// loop controls, {% generation %}, raise_exception, strftime_now, tojson. Their work, memory and
// depth are bounded (Value.h), so that a hostile template ends with an error.
#ifndef QUERN_RUNTIME_TEXT_TEMPLATE_RENDERCHAT_H
#define QUERN_RUNTIME_TEXT_TEMPLATE_RENDERCHAT_H

#include "runtime/text/TokenizerSpec.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <nlohmann/json.hpp>

#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quern::text {

struct ChatInput {
  /// A list of objects such as {"role": "user", "content": "Hello"}.
  nlohmann::ordered_json messages;
  /// Ask for the beginning of the assistant's turn.
  bool add_generation_prompt = true;
  std::string bos_token; ///< as TokenizerSpec has them; empty: undefined to the template
  std::string eos_token;
  std::vector<NamedToken> named_tokens; ///< the others; BOS and EOS are not among them
  /// More variables, an object: tools, documents, enable_thinking, ...
  nlohmann::ordered_json extra = nlohmann::ordered_json::object();
  /// What strftime_now tells; nullopt: the local time.
  std::optional<std::tm> now;
};

/// How the message of an error begins that is the template's own, by raise_exception.
inline constexpr std::string_view kTemplateRefuses = "the chat template refuses these messages";

/// The text of a conversation. Errors name the template's line, or are what the template raised.
/// Bytes of the input that are not UTF-8 are read as U+FFFD.
absl::StatusOr<std::string> render_chat(std::string_view chat_template, const ChatInput &input);

/// Whether a template can be parsed; the error is the one render_chat would give.
absl::Status check_template(std::string_view chat_template);

/// What is wrong with a template, found without messages, each a sentence for the user: that it
/// cannot be parsed, or each filter, test and called function that there is not. None for an empty
/// template.
std::vector<std::string> template_faults(std::string_view chat_template);

} // namespace quern::text

#endif // QUERN_RUNTIME_TEXT_TEMPLATE_RENDERCHAT_H
