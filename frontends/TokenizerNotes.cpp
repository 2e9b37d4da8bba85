#include "frontends/TokenizerNotes.h"

#include "runtime/text/Message.h"
#include "runtime/text/template/RenderChat.h"

#include <algorithm>
#include <string_view>

namespace quern {
namespace {

using text::concat;

constexpr const char *kGoesOn =
    ": run and chat go on to -n or to the context's end, or to a text that --stop names";

/// "a", "b" and 3 more
std::string listed(const std::vector<std::string> &tokens) {
  constexpr size_t kMost = 6;
  std::string list;
  const size_t shown = tokens.size() <= kMost + 1 ? tokens.size() : kMost;
  for (size_t i = 0; i < shown; ++i)
    list += concat(i == 0 ? "" : i + 1 == tokens.size() ? " and " : ", ", "\"", tokens[i], "\"");
  return shown < tokens.size() ? concat(list, " and ", tokens.size() - shown, " more") : list;
}

bool holds(std::string_view text, std::string_view part) {
  return !part.empty() && text.find(part) != std::string_view::npos;
}

/// Whether a template writes a token: by its spelling, or by a name that it has.
bool uses(const text::TokenizerSpec &spec, const std::string &token) {
  const std::string_view source = spec.chat_template;
  if (holds(source, token) || (token == spec.bos_token && holds(source, "bos_token")) ||
      (token == spec.eos_token && holds(source, "eos_token")))
    return true;
  return std::any_of(spec.named_tokens.begin(), spec.named_tokens.end(),
                     [&](const text::NamedToken &named) {
                       return named.token == token && holds(source, named.name);
                     });
}

void note_rows(const text::TokenizerSpec &spec, int64_t rows, std::vector<std::string> &notes) {
  if (static_cast<int64_t>(spec.tokens.size()) <= rows)
    return;
  std::vector<std::string> beyond, used;
  for (const text::AddedToken &token : spec.added_tokens)
    if (token.id >= rows) {
      beyond.push_back(token.content);
      if (uses(spec, token.content))
        used.push_back(token.content);
    }
  notes.push_back(concat("the tokenizer has ", spec.tokens.size(), " tokens and the model ", rows,
                         beyond.empty() ? "" : ", which has no rows for ", listed(beyond)));
  if (!used.empty())
    notes.push_back(concat("the chat template uses ", listed(used),
                           ", for which the model has no rows: --chat cannot work"));
  if (std::any_of(spec.prefix_ids.begin(), spec.prefix_ids.end(),
                  [&](int32_t id) { return id >= rows; }))
    notes.push_back("what goes before every text has no row in the model: what needs text will "
                    "refuse, but with --no-special");
}

void note_ends(const text::TokenizerSpec &spec, int64_t rows, std::vector<std::string> &notes) {
  std::vector<std::string> beyond;
  for (const int32_t id : spec.eos_ids)
    if (id >= rows)
      beyond.push_back(spec.tokens[static_cast<size_t>(id)]);
  if (spec.eos_ids.empty())
    notes.push_back(concat("no token ends an answer, as the model's files name none", kGoesOn));
  else if (beyond.size() == spec.eos_ids.size())
    notes.push_back(
        concat("no token ends an answer, as the model has no row for ", listed(beyond), kGoesOn));
  else if (!beyond.empty())
    notes.push_back(
        concat(listed(beyond), " cannot end an answer, as the model has no row for it"));
}

/// Failures that only come where a template is run. That it refuses a conversation is its right.
void note_template(const text::TokenizerSpec &spec, std::vector<std::string> &notes) {
  if (spec.chat_template.empty() || !text::template_faults(spec.chat_template).empty())
    return;
  text::ChatInput input;
  input.messages = {{{"role", "user"}, {"content", "Hello"}}};
  input.bos_token = spec.bos_token;
  input.eos_token = spec.eos_token;
  input.named_tokens = spec.named_tokens;
  input.now = std::tm{}; // a day, the same wherever the model is compiled
  input.now->tm_mday = 1;
  input.now->tm_year = 124;
  const absl::StatusOr<std::string> rendered = text::render_chat(spec.chat_template, input);
  if (!rendered.ok() && !text::message_of(rendered.status()).starts_with(text::kTemplateRefuses))
    notes.push_back(concat("the chat template fails on a message from a user, and so will --chat: ",
                           text::message_of(rendered.status())));
}

} // namespace

std::vector<std::string> tokenizer_notes(const text::TokenizerSpec &spec, int64_t rows,
                                         bool encodes) {
  std::vector<std::string> notes;
  if (rows <= 0)
    return notes;
  note_rows(spec, rows, notes);
  if (!encodes) {
    note_ends(spec, rows, notes);
    note_template(spec, notes);
  }
  return notes;
}

} // namespace quern
