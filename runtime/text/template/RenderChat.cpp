#include "runtime/text/template/RenderChat.h"

#include "runtime/text/Message.h"
#include "runtime/text/Utf8.h"
#include "runtime/text/template/Interpreter.h"
#include "runtime/text/template/Parser.h"
#include "runtime/text/template/UnknownNames.h"

#include <algorithm>

namespace quern::text {
namespace {

using jinja::Kind;
using jinja::Machine;
using jinja::Value;
using nlohmann::ordered_json;

Value string_value(Machine &machine, std::string_view text) {
  std::string valid;
  append_valid_utf8(text, /*final=*/true, valid);
  return machine.string(std::move(valid));
}

Value value_of(Machine &machine, const ordered_json &json) {
  const Machine::Depth depth(machine);
  if (!depth)
    return {};
  switch (json.type()) {
  case ordered_json::value_t::boolean:
    return Value(json.get<bool>());
  case ordered_json::value_t::number_integer:
    return Value(json.get<int64_t>());
  case ordered_json::value_t::number_unsigned: {
    const auto number = json.get<uint64_t>();
    return number <= INT64_MAX ? Value(static_cast<int64_t>(number))
                               : Value(static_cast<double>(number));
  }
  case ordered_json::value_t::number_float:
    return Value(json.get<double>());
  case ordered_json::value_t::string:
    return string_value(machine, json.get_ref<const std::string &>());
  case ordered_json::value_t::array: {
    jinja::Values items;
    for (const ordered_json &item : json)
      items.push_back(value_of(machine, item));
    return machine.list(std::move(items));
  }
  case ordered_json::value_t::object: {
    std::vector<std::pair<Value, Value>> entries;
    for (const auto &[key, item] : json.items())
      entries.emplace_back(string_value(machine, key), value_of(machine, item));
    return machine.dict(std::move(entries));
  }
  default:
    return Value::none();
  }
}

std::tm local_now() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  return local;
}

absl::StatusOr<jinja::Body> parse(std::string_view chat_template) {
  if (chat_template.size() > kMaxText)
    return absl::InvalidArgumentError("the chat template exceeds 1 MiB");
  std::string valid;
  append_valid_utf8(chat_template, /*final=*/true, valid);
  return jinja::parse(valid);
}

} // namespace

absl::Status check_template(std::string_view chat_template) {
  return parse(chat_template).status();
}

std::vector<std::string> template_faults(std::string_view chat_template) {
  std::vector<std::string> faults;
  const absl::StatusOr<jinja::Body> body = parse(chat_template);
  if (!body.ok())
    return {concat("the chat template cannot be read, what needs it will refuse: ",
                   message_of(body.status()))};
  for (const std::string &name : jinja::unknown_names(*body))
    faults.push_back(concat("the chat template fails where it comes to what there is not: ", name));
  return faults;
}

absl::StatusOr<std::string> render_chat(std::string_view chat_template, const ChatInput &input) {
  const absl::StatusOr<jinja::Body> body = parse(chat_template);
  if (!body.ok())
    return body.status();
  Machine machine;
  // transformers always passes tools and documents, as None where there are none.
  std::vector<std::pair<std::string_view, Value>> globals = {
      {"messages", value_of(machine, input.messages)},
      {"add_generation_prompt", Value(input.add_generation_prompt)},
      {"tools", Value::none()},
      {"documents", Value::none()}};
  for (const auto &[name, token] :
       {std::pair{"bos_token", &input.bos_token}, std::pair{"eos_token", &input.eos_token}})
    if (!token->empty())
      globals.emplace_back(name, string_value(machine, *token));
  for (const NamedToken &named : input.named_tokens)
    if (std::none_of(globals.begin(), globals.end(),
                     [&](const auto &global) { return global.first == named.name; }))
      globals.emplace_back(named.name, string_value(machine, named.token));
  if (input.extra.is_object())
    for (const auto &[name, json] : input.extra.items()) {
      const Value value = value_of(machine, json);
      bool known = false;
      for (auto &[global, old] : globals)
        if (global == name) {
          old = value;
          known = true;
        }
      if (!known)
        globals.emplace_back(string_value(machine, name).text(), value);
    }
  jinja::Interpreter interpreter(machine, input.now ? *input.now : local_now());
  std::string text = interpreter.run(*body, std::move(globals));
  if (!machine.ok())
    return machine.status();
  return text;
}

} // namespace quern::text
