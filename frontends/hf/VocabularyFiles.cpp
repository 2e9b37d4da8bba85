// vocab.json with merges.txt, and vocab.txt: the vocabularies of before tokenizer.json. What their
// tokenizer class does is written down in tokenizer.json's terms.
#include "frontends/hf/TokenizerParts.h"
#include "runtime/text/Message.h"

namespace quern::hf {
namespace {

using nlohmann::json;
using Pipeline = TokenizerClass::Pipeline;

constexpr const char *kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// The lines of a text, without their ends.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r'))
      line.remove_suffix(1);
    lines.push_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

absl::StatusOr<json> read_merges(const std::string &text) {
  json merges = json::array();
  size_t number = 0;
  for (const std::string_view line : lines_of(text)) {
    ++number;
    if (line.empty() || line.starts_with("#version"))
      continue;
    const size_t space = line.find(' ');
    if (space == 0 || space == std::string_view::npos || space + 1 == line.size() ||
        line.find(' ', space + 1) != std::string_view::npos)
      return absl::InvalidArgumentError(
          text::concat("merges.txt: line ", number, " is not two tokens"));
    merges.push_back({line.substr(0, space), line.substr(space + 1)});
  }
  return merges;
}

json word_piece(const TokenizerFiles &files, const json &config) {
  json vocab = json::object();
  int32_t id = 0;
  for (const std::string_view line : lines_of(files.vocab_txt))
    vocab[std::string(line)] = id++;
  const json &unk = member(config, "unk_token");
  std::string unknown = unk.is_string() ? unk.get<std::string>() : text_of(unk, "content");
  return {{"model",
           {{"type", "WordPiece"},
            {"vocab", std::move(vocab)},
            {"unk_token", unknown.empty() ? "[UNK]" : unknown}}},
          {"normalizer",
           {{"type", "BertNormalizer"},
            {"handle_chinese_chars", flag_of(config, "tokenize_chinese_chars", true)},
            {"strip_accents", member(config, "strip_accents")},
            {"lowercase", flag_of(config, "do_lower_case", true)}}},
          {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
          {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}}};
}

} // namespace

absl::StatusOr<json> vocabulary_as_json(const TokenizerFiles &files,
                                        const TokenizerConfigs &configs, Pipeline pipeline) {
  const json config = configs.tokenizer;
  if (pipeline == Pipeline::WordPiece)
    return word_piece(files, config);
  absl::StatusOr<json> vocab = parse_object("vocab.json", files.vocab_json);
  if (!vocab.ok())
    return vocab.status();
  if (files.merges_txt.empty())
    return absl::InvalidArgumentError(
        "vocab.json: there is no merges.txt beside it, or an empty one, without which its tokens "
        "are "
        "of no use\nhint: get the model's merges.txt or tokenizer.json");
  absl::StatusOr<json> merges = read_merges(files.merges_txt);
  if (!merges.ok())
    return merges.status();
  json steps = json::array();
  if (pipeline == Pipeline::Qwen2)
    steps.push_back(
        {{"type", "Split"}, {"pattern", {{"Regex", kQwen2}}}, {"behavior", "Isolated"}});
  if (pipeline == Pipeline::Cohere)
    steps.push_back({{"type", "Digits"}, {"individual_digits", true}});
  steps.push_back({{"type", "ByteLevel"},
                   {"add_prefix_space", flag_of(config, "add_prefix_space", false)},
                   {"use_regex", pipeline != Pipeline::Qwen2}});
  json root = {
      {"model", {{"type", "BPE"}, {"vocab", *std::move(vocab)}, {"merges", *std::move(merges)}}},
      {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}}},
      {"decoder", {{"type", "ByteLevel"}}}};
  if (pipeline != Pipeline::Gpt2)
    root["normalizer"] = {{"type", "NFC"}};
  return root;
}

} // namespace quern::hf
