// tokenizer_probe: answers questions about many tokenizers, one JSON object a line from standard
// input to standard output, so that the parity scripts here need no model to be compiled.
//
//   {"load": PATH}          a model's folder, or a .json file of GGUF metadata (MetadataJson.h)
//                           -> {"named": {NAME: TOKEN}, "ends": [..], "template": .., "notes":
//                           [..]} or {"error": ..}
//   {"texts": [..]}         -> {"ids": [[..]], "plain": [[..]]}: with special tokens, and as
//                           quern-run tokenize --no-special
//   {"ids": [[..]]}         -> {"text": [..], "streamed": [..]}: special tokens left out
//
// Texts are {"hex": ..} where they are no UTF-8.
#include "frontends/hf/TokenizerJson.h"
#include "runtime/text/Message.h"
#include "runtime/text/Tokenizer.h"
#include "tests/frontends/text/MetadataJson.h"

#include <fstream>
#include <iostream>

namespace quern {
namespace {

using nlohmann::json;
using Ids = std::vector<int32_t>;

json error(const absl::Status &status) {
  return {{"error", std::string(text::message_of(status))}};
}

absl::StatusOr<text::TokenizerSpec> read(const std::string &path, std::vector<std::string> &notes) {
  if (path.ends_with(".json"))
    return gguf::tokenizer_from_metadata(gguf::metadata_of(json::parse(std::ifstream(path))),
                                         &notes);
  absl::StatusOr<std::optional<text::TokenizerSpec>> spec = hf::load_tokenizer(path, &notes);
  if (!spec.ok())
    return spec.status();
  if (!*spec)
    return absl::NotFoundError("no tokenizer");
  return **std::move(spec);
}

std::string text_of(const json &text) {
  if (text.is_string())
    return text.get<std::string>();
  const std::string hex = text["hex"];
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

class Probe {
public:
  json answer(const json &question) {
    if (question.contains("load"))
      return load(question["load"]);
    if (!tokenizer_)
      return {{"error", "nothing is loaded"}};
    return question.contains("texts") ? encode(question["texts"]) : decode(question["ids"]);
  }

private:
  json load(const std::string &path) {
    tokenizer_ = nullptr;
    std::vector<std::string> notes;
    absl::StatusOr<text::TokenizerSpec> spec = read(path, notes);
    if (spec.ok()) // through the artifact's bytes, as in life
      spec = text::deserialize(text::serialize(*spec));
    if (!spec.ok())
      return error(spec.status());
    auto tokenizer = text::Tokenizer::create(*std::move(spec));
    if (!tokenizer.ok())
      return error(tokenizer.status());
    tokenizer_ = *std::move(tokenizer);
    const text::TokenizerSpec &made = tokenizer_->spec();
    json named = json::object();
    for (const auto &[name, token] :
         {std::pair{"bos_token", made.bos_token}, std::pair{"eos_token", made.eos_token}})
      if (!token.empty())
        named[name] = token;
    for (const text::NamedToken &token : made.named_tokens)
      named[token.name] = token.token;
    return {{"named", named},
            {"ends", made.eos_ids},
            {"template", made.chat_template},
            {"notes", notes}};
  }

  json encode(const json &texts) const {
    json ids = json::array(), plain = json::array();
    for (const json &text : texts) {
      for (json *list : {&ids, &plain}) {
        const bool special = list == &ids;
        const absl::StatusOr<Ids> encoded =
            tokenizer_->encode(text_of(text), {.add_special = special, .parse_special = special});
        list->push_back(encoded.ok() ? json(*encoded) : error(encoded.status()));
      }
    }
    return {{"ids", ids}, {"plain", plain}};
  }

  json decode(const json &lists) const {
    json texts = json::array(), streams = json::array();
    for (const json &list : lists) {
      const Ids ids = list.get<Ids>();
      texts.push_back(tokenizer_->decode(ids, /*skip_special=*/true));
      text::StreamDecoder stream(*tokenizer_, /*skip_special=*/true);
      std::string streamed;
      for (int32_t id : ids)
        streamed += stream.push(id);
      streams.push_back(streamed + stream.flush());
    }
    return {{"text", texts}, {"streamed", streams}};
  }

  std::unique_ptr<text::Tokenizer> tokenizer_;
};

} // namespace
} // namespace quern

int main() {
  quern::Probe probe;
  for (std::string line; std::getline(std::cin, line);)
    std::cout << probe.answer(nlohmann::json::parse(line)).dump() << std::endl;
}
