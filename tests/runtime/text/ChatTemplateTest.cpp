// Chat templates against what transformers renders (make_template_goldens.py), and what keeps a
// hostile template from doing harm.
#include "runtime/text/Message.h"
#include "runtime/text/template/RenderChat.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace quern::text {
namespace {

using nlohmann::ordered_json;
using ::testing::HasSubstr;

const ordered_json &goldens() {
  static const ordered_json value = ordered_json::parse(
      std::ifstream(QUERN_SOURCE_DIR "/tests/runtime/text/data/templates.json"));
  return value;
}

std::tm golden_now() {
  std::tm now{};
  now.tm_year = 2024 - 1900;
  now.tm_mon = 6;
  now.tm_mday = 26;
  now.tm_hour = 14;
  now.tm_min = 5;
  now.tm_sec = 9;
  now.tm_wday = 5;
  now.tm_yday = 207;
  return now;
}

TEST(ChatTemplate, RendersAsTransformers) {
  for (const ordered_json &golden : goldens()["cases"]) {
    ChatInput input;
    input.messages = goldens()["chats"][golden["chat"].get<std::string>()];
    input.extra = goldens()["extras"][golden["extra"].get<std::string>()];
    input.add_generation_prompt = golden["generate"].get<bool>();
    input.bos_token = "<s>";
    input.eos_token = "</s>";
    input.now = golden_now();
    const ordered_json &source = golden.contains("family")
                                     ? goldens()["families"][golden["family"].get<std::string>()]
                                     : golden["template"];
    const auto text = render_chat(source.get<std::string>(), input);
    const std::string about = golden["name"].get<std::string>() + ": " +
                              (golden.contains("template") ? golden["template"].dump() : "");
    if (golden.contains("error"))
      EXPECT_FALSE(text.ok()) << about << "\ngave " << *text << "\nbut " << golden["why"];
    else if (!text.ok())
      ADD_FAILURE() << about << "\n" << text.status();
    else
      EXPECT_EQ(*text, golden["output"].get<std::string>()) << about;
  }
}

absl::StatusOr<std::string> render(const std::string &source) {
  ChatInput input;
  input.messages = ordered_json::array();
  return render_chat(source, input);
}

std::string error_of(const std::string &source) {
  const auto text = render(source);
  return text.ok() ? "rendered " + text->substr(0, 100) : std::string(message_of(text.status()));
}

std::string repeat(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i)
    out += text;
  return out;
}

TEST(ChatTemplate, ErrorsNameTheLine) {
  EXPECT_THAT(error_of("a\nb\n{{ x.y }}"), HasSubstr("line 3: 'x' is undefined"));
  EXPECT_THAT(error_of("{% if true %}\n\n{{ 1 + 'a' }}{% endif %}"),
              HasSubstr("line 3: '+' of int and str"));
  EXPECT_THAT(error_of("\n{% endfor %}"), HasSubstr("line 2: the tag 'endfor'"));
  EXPECT_THAT(error_of("{{ x|xyzzy }}"), HasSubstr("no filter named 'xyzzy'"));
  EXPECT_THAT(error_of("{{ raise_exception('Only one system message') }}"),
              HasSubstr("refuses these messages: Only one system message"));
  EXPECT_THAT(error_of("{{ 99999999999 * 99999999 }}"), HasSubstr("beyond 64 bits"));
  EXPECT_THAT(error_of("{{ 99999999999999999999 }}"), HasSubstr("out of range"));
  EXPECT_THAT(error_of("{{ x[] }}"), HasSubstr("a subscript expected"));
  EXPECT_THAT(error_of("{% extends 'x' %}"), HasSubstr("'extends'"));
  EXPECT_THAT(std::string(message_of(check_template("{% if %}"))), HasSubstr("line 1"));
  EXPECT_TRUE(check_template("{{ undefined.attribute }}").ok());
}

TEST(ChatTemplate, FaultsAreFoundWithoutMessages) {
  EXPECT_THAT(template_faults(""), testing::IsEmpty());
  EXPECT_THAT(template_faults("{% for m in messages %}{{ m['content'"),
              testing::ElementsAre(HasSubstr("cannot be read")));
  EXPECT_THAT(template_faults("{{ messages|selectattr('role')|list|first|xyzzy }}\n"
                              "{% if messages is odder %}{{ plugh(1) }}{% endif %}"),
              testing::ElementsAre(HasSubstr("line 1: the filter 'xyzzy'"),
                                   HasSubstr("line 2: the test 'odder'"),
                                   HasSubstr("line 2: the function 'plugh'")));
  EXPECT_THAT(template_faults("{% macro m(f) %}{{ f() }}{{ caller() }}{% endmacro %}{% set g = m %}"
                              "{{ m(g) }}{{ range(3) }}{{ strftime_now('%Y') }}"
                              "{{ raise_exception('x') }}{% set n = namespace(a=dict(b=1)) %}"
                              "{% if extra is defined %}{{ extra() }}{% endif %}"
                              "{{ messages[0].content.strip() }}"),
              testing::IsEmpty());
}

TEST(ChatTemplate, SeesTokensByTheirNames) {
  ChatInput input;
  input.messages = ordered_json::array();
  input.bos_token = "<s>";
  input.named_tokens = {{"pad_token", "<pad>"}, {"image_token", "<image>"}, {"messages", "no"}};
  EXPECT_EQ(*render_chat("{{ bos_token }}{{ pad_token }}{{ image_token }}{{ messages }}", input),
            "<s><pad><image>[]");
  input.extra["pad_token"] = "other";
  EXPECT_EQ(*render_chat("{{ pad_token }}", input), "other");
}

TEST(ChatTemplate, EndlessWorkEnds) {
  EXPECT_THAT(error_of(repeat("{% for a in range(99999) %}", 5) + "x" + repeat("{% endfor %}", 5)),
              HasSubstr("MiB"));
  EXPECT_THAT(error_of("{% set a = range(99999) %}{% set b = range(99999) %}"
                       "{% for i in range(99999) %}{% if a == b %}{% endif %}{% endfor %}"),
              HasSubstr("work limit"));
  EXPECT_THAT(error_of("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), HasSubstr("too deep"));
  EXPECT_THAT(error_of("{% set ns = namespace(x='x') %}{% for i in range(99) %}"
                       "{% set ns.x = ns.x ~ ns.x %}{% endfor %}"),
              HasSubstr("MiB"));
  EXPECT_THAT(error_of("{% set ns = namespace(x=[1]) %}{% for i in range(99) %}"
                       "{% set ns.x = ns.x + ns.x %}{% endfor %}"),
              HasSubstr("MiB"));
  EXPECT_THAT(error_of("{{ 'x' * 99999999999 }}"), HasSubstr("too long"));
  EXPECT_THAT(error_of("{{ 'x'.rjust(99999999999) }}"), HasSubstr("too long"));
  EXPECT_THAT(error_of("{{ 'a'.replace('', 'x' * 9999999) * 9999 }}"), HasSubstr("too long"));
}

TEST(ChatTemplate, DeepNestingEnds) {
  EXPECT_THAT(error_of("{{ " + repeat("(", 99999) + repeat(")", 99999) + " }}"),
              HasSubstr("too deep"));
  EXPECT_THAT(error_of("{{ " + repeat("[", 99999) + repeat("]", 99999) + " }}"),
              HasSubstr("too deep"));
  EXPECT_THAT(error_of("{{ " + repeat("-", 99999) + "1 }}"), HasSubstr("too deep"));
  EXPECT_THAT(error_of("{{ 1" + repeat(" + 1", 99999) + " }}"), HasSubstr("too deep"));
  EXPECT_THAT(error_of("{{ a" + repeat(".a", 99999) + " }}"), HasSubstr("too deep"));
  EXPECT_THAT(error_of("{{ 1" + repeat(" if 1 else 1", 9999) + " }}"), HasSubstr("too deep"));
  EXPECT_THAT(error_of(repeat("{% if 1 %}", 9999) + repeat("{% endif %}", 9999)),
              HasSubstr("too deep"));
  EXPECT_EQ(*render("{{ " + repeat("not ", 10000) + "1 }}"), "True");
  // Values built deep by a loop, compared, printed and dropped.
  const std::string deep = "{% set ns = namespace(a=[], b=[]) %}{% for i in range(9999) %}"
                           "{% set ns.a = [ns.a] %}{% set ns.b = [ns.b] %}{% endfor %}";
  EXPECT_TRUE(render(deep).ok());
  EXPECT_THAT(error_of(deep + "{{ ns.a == ns.b }}"), HasSubstr("too deep"));
  EXPECT_THAT(error_of(deep + "{{ ns.a }}"), HasSubstr("too deep"));
  EXPECT_THAT(error_of(deep + "{{ ns.a|tojson }}"), HasSubstr("too deep"));
  // A namespace that holds itself.
  EXPECT_TRUE(render("{% set ns = namespace() %}{% set ns.a = [ns] %}{{ ns }}").ok());
  ordered_json json;
  for (int i = 0; i < 5000; ++i)
    json = ordered_json::array({std::move(json)});
  ChatInput input;
  input.messages = json;
  EXPECT_FALSE(render_chat("x", input).ok());
}

TEST(ChatTemplate, BrokenUtf8IsReplaced) {
  ChatInput input;
  input.messages = ordered_json::array({{{"content", "a\xff"}}});
  EXPECT_EQ(*render_chat("\xfe{{ messages[0].content[-1] }}{{ messages }}", input),
            "\uFFFD\uFFFD[{'content': 'a\uFFFD'}]");
}

// Every golden template with bytes changed, dropped and doubled: an error or a text, nothing else.
TEST(ChatTemplate, SurvivesMutation) {
  uint64_t state = 42;
  const auto random = [&](size_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<size_t>(state >> 33) % below;
  };
  static constexpr std::string_view kBytes = "{}%#-+'\"()[]|.,:=~ \n\\aei01\x80\xe2";
  ChatInput input;
  input.messages = goldens()["chats"]["system"];
  for (const ordered_json &golden : goldens()["cases"]) {
    const auto good =
        golden.contains("template")
            ? golden["template"].get<std::string>()
            : goldens()["families"][golden["family"].get<std::string>()].get<std::string>();
    input.extra = goldens()["extras"][golden["extra"].get<std::string>()];
    for (int round = 0; round < 20 && !good.empty(); ++round) {
      std::string bad = good;
      for (size_t changes = 1 + random(3); changes > 0 && !bad.empty(); --changes) {
        const size_t at = random(bad.size());
        switch (random(4)) {
        case 0:
          bad[at] = kBytes[random(kBytes.size())];
          break;
        case 1:
          bad.erase(at, 1 + random(5));
          break;
        case 2:
          bad.insert(at, bad.substr(random(bad.size()), 1 + random(12)));
          break;
        default:
          bad.resize(at);
        }
      }
      (void)render_chat(bad, input);
    }
  }
}

} // namespace
} // namespace quern::text
