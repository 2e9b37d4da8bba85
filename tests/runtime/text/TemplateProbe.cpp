// template_probe: renders chat templates, one JSON object a line from standard input to standard
// output, for template_parity.py.
//
//   {"template": .., "messages": [..], "extra": {..}, "generate": true, "bos": "<s>", "eos":
//   "</s>"}
//   -> {"text": ..} or {"error": ..}
//
// It is 2024-07-26 14:05:09, as in make_template_goldens.py.
#include "runtime/text/Message.h"
#include "runtime/text/template/RenderChat.h"

#include <iostream>

int main() {
  using namespace quern;
  using nlohmann::ordered_json;
  for (std::string line; std::getline(std::cin, line);) {
    const ordered_json question = ordered_json::parse(line);
    text::ChatInput input;
    input.messages = question["messages"];
    input.extra = question["extra"];
    input.add_generation_prompt = question["generate"];
    input.bos_token = question["bos"];
    input.eos_token = question["eos"];
    std::tm now = {};
    now.tm_year = 2024 - 1900;
    now.tm_mon = 6;
    now.tm_mday = 26;
    now.tm_hour = 14;
    now.tm_min = 5;
    now.tm_sec = 9;
    now.tm_wday = 5;
    now.tm_yday = 207;
    input.now = now;
    const auto text = text::render_chat(question["template"].get<std::string>(), input);
    const ordered_json answer =
        text.ok() ? ordered_json{{"text", *text}}
                  : ordered_json{{"error", std::string(text::message_of(text.status()))}};
    std::cout << answer.dump() << std::endl;
  }
}
