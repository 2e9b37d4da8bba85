#include "frontends/hf/TokenizerParts.h"
#include "runtime/text/Message.h"
#include "runtime/text/Tokenizer.h"
#include "runtime/text/template/RenderChat.h"

#include <algorithm>

namespace quern::hf {

using text::TokenizerSpec;
using text::TokenKind;

void SpecBuilder::put_token(std::string content, int32_t id, TokenKind kind) {
  const auto i = static_cast<size_t>(id);
  if (i >= spec.tokens.size()) {
    spec.tokens.resize(i + 1);
    spec.kinds.resize(i + 1, TokenKind::Unused);
  }
  if (indexed_)
    ids_[content] = id;
  spec.tokens[i] = std::move(content);
  spec.kinds[i] = kind;
}

void SpecBuilder::make_index() {
  if (indexed_)
    return;
  indexed_ = true;
  for (size_t i = 0; i < spec.tokens.size(); ++i)
    if (!spec.tokens[i].empty()) {
      ids_[spec.tokens[i]] = static_cast<int32_t>(i); // of equal ones the last
      ++next_;
    }
  for (size_t i = 0; i < spec.added_tokens.size(); ++i) {
    added_.try_emplace(spec.added_tokens[i].content, i);
    next_ = std::max(next_, static_cast<size_t>(spec.added_tokens[i].id) + 1);
  }
}

int32_t SpecBuilder::find(std::string_view token) {
  make_index();
  const auto it = ids_.find(std::string(token));
  return it == ids_.end() ? -1 : it->second;
}

const text::AddedToken *SpecBuilder::find_added(std::string_view token) {
  make_index();
  const auto it = added_.find(std::string(token));
  return it == added_.end() ? nullptr : &spec.added_tokens[it->second];
}

int32_t SpecBuilder::next_id() {
  make_index();
  while (next_ < spec.tokens.size() && !spec.tokens[next_].empty())
    ++next_; // a vocabulary with holes in it
  return static_cast<int32_t>(next_);
}

int32_t SpecBuilder::add_token(text::AddedToken token) {
  if (token.content.empty())
    return -1;
  make_index();
  const auto known = added_.find(token.content);
  if (known != added_.end()) {
    text::AddedToken &old = spec.added_tokens[known->second];
    token.id = old.id;
    token.normalized = old.normalized && (old.special || token.normalized);
    token.special = token.special || old.special;
    old = token;
  } else {
    token.id = find(token.content);
    if (token.id < 0)
      token.id = next_id();
    next_ = std::max(next_, static_cast<size_t>(token.id) + 1);
    added_.emplace(token.content, spec.added_tokens.size());
    spec.added_tokens.push_back(token);
  }
  // A token of the model's own stays one: words may become it where it is not found as an added
  // token. But no text becomes a special token that was not found.
  const auto i = static_cast<size_t>(token.id);
  const bool own = i < spec.tokens.size() && spec.tokens[i] == token.content;
  if (!own)
    put_token(token.content, token.id, token.special ? TokenKind::Control : TokenKind::UserDefined);
  else if (token.special && spec.kinds[i] != TokenKind::Unknown)
    spec.kinds[i] = TokenKind::Control;
  return token.id;
}

absl::StatusOr<TokenizerSpec> finish(SpecBuilder &to, Notes *notes) {
  // What is not looked for is not found: the tokens stay, by their ids and names.
  if (to.splits_special &&
      std::erase_if(to.spec.added_tokens, [](const auto &token) { return token.special; }) > 0)
    to.notes.push_back("tokenizer_config.json: split_special_tokens is true: a special token's "
                       "spelling is text, also where a chat template writes it");
  for (std::string &fault : text::template_faults(to.spec.chat_template))
    to.notes.push_back(std::move(fault));
  // What the runtime would refuse is refused here, where the model's author can be named.
  if (absl::StatusOr<std::unique_ptr<text::Tokenizer>> trial = text::Tokenizer::create(to.spec);
      !trial.ok())
    return trial.status();
  if (notes)
    notes->insert(notes->end(), to.notes.begin(), to.notes.end());
  return std::move(to.spec);
}

} // namespace quern::hf
