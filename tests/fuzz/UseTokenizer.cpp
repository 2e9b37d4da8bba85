#include "tests/fuzz/UseTokenizer.h"

#include "runtime/text/Tokenizer.h"
#include "runtime/text/template/RenderChat.h"
#include "tests/fuzz/Fuzz.h"

namespace quern::fuzz {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kTexts[] = {
    "",
    "Hello, world! It's  12345 tokens\n\n\tlong.",
    "\xe2\x96\x81 caf\xc3\xa9 cafe\xcc\x81 \xef\xac\x81 "
    "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80"
    " \xe4\xb8\xad\xe6\x96\x87 \xd8\xb9\xd8\xb1\xd8\xa8\xd9\x8a",
    "broken \xff\xc3\x28\xe2\x82 utf-8 <s> <|im_start|> </s> <unk>",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
};

void encode_and_decode(const text::Tokenizer &tokenizer, std::string_view text) {
  for (const bool special : {true, false}) {
    const auto ids = tokenizer.encode(text, {.add_special = special, .parse_special = special});
    if (!ids.ok())
      continue;
    text::StreamDecoder stream(tokenizer, special);
    std::string streamed;
    for (const int32_t id : *ids) {
      require(tokenizer.contains(id), "an id lies outside the vocabulary");
      streamed += stream.push(id);
    }
    streamed += stream.flush();
    require(streamed == tokenizer.decode(*ids, special), "a stream decodes to another text");
    (void)tokenizer.encode(text, {.before = *ids});
  }
}

} // namespace

void use_tokenizer(const text::TokenizerSpec &spec, std::string_view bytes) {
  const std::string stored = text::serialize(spec);
  auto restored = text::deserialize(stored);
  require(restored.ok(), "a stored tokenizer cannot be read");
  require(text::serialize(*restored) == stored, "a stored tokenizer is another one");
  const auto tokenizer = text::Tokenizer::create(*std::move(restored));
  require(tokenizer.ok(), "an imported tokenizer cannot be made");
  for (const std::string_view text : kTexts)
    encode_and_decode(**tokenizer, text);
  encode_and_decode(**tokenizer, bytes.substr(0, 256));
  if (!spec.chat_template.empty())
    render_template(spec.chat_template);
}

void render_template(std::string_view chat_template) {
  static const ordered_json messages = ordered_json::parse(R"([
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is \u4e2d\u6587? <b>&'\"\\"},
    {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "id": "a1",
      "function": {"name": "look_up", "arguments": {"word": "x", "n": [1, 2.5, null, true]}}}]},
    {"role": "tool", "name": "look_up", "tool_call_id": "a1", "content": "42"},
    {"role": "assistant", "content": "<think>\nhm\n</think>\n\nIt is 42."},
    {"role": "user", "content": [{"type": "text", "text": "Thanks"}]}])");
  static const ordered_json extra = ordered_json::parse(R"({"enable_thinking": false,
    "tools": [{"type": "function", "function": {"name": "look_up", "description": "Looks up",
      "parameters": {"type": "object", "properties": {"word": {"type": "string"}}}}}]})");
  text::ChatInput input;
  input.messages = messages;
  input.extra = extra;
  input.bos_token = "<s>";
  input.eos_token = "</s>";
  input.now = std::tm{};
  input.now->tm_mday = 1;
  const auto text = text::render_chat(chat_template, input);
  require(!text.ok() || text::check_template(chat_template).ok(),
          "a template that cannot be parsed was rendered");
  (void)text::template_faults(chat_template);
}

} // namespace quern::fuzz
