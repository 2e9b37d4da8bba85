#include "frontends/hf/TokenizerParts.h"

#include "runtime/text/Message.h"
#include "runtime/text/PatternDialect.h"

#include <absl/strings/escaping.h>

namespace quern::hf {
namespace {

using nlohmann::json;
using text::NormalizerStep;
using text::PreTokenizerStep;
using text::SplitBehavior;
using NormalizerKind = NormalizerStep::Kind;

constexpr const char *kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
// What \w and \s are to the regular expressions of Rust, which differ from Oniguruma's.
constexpr const char *kWhitespacePattern =
    R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200c\u200d]+|[^\s\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200c\u200d]+)";

absl::Status invalid(const std::string &what) { return absl::InvalidArgumentError(what); }

std::string type_of(const json &step) {
  const std::string type = text_of(step, "type");
  return type.empty() ? "of no type" : type;
}

void add_step(SpecBuilder &to, NormalizerKind kind, std::string pattern = "",
              std::string content = "", unsigned flags = 0) {
  to.spec.normalizers.push_back(
      {kind, std::move(pattern), std::move(content), static_cast<uint8_t>(flags)});
}

absl::Status read_replace(const json &step, SpecBuilder &to) {
  const json &pattern = member(step, "pattern");
  if (member(pattern, "String").is_string() && !text_of(pattern, "String").empty())
    add_step(to, NormalizerKind::Replace, text_of(pattern, "String"), text_of(step, "content"));
  else if (member(pattern, "Regex").is_string())
    add_step(to, NormalizerKind::ReplaceRegex, text_of(pattern, "Regex"), text_of(step, "content"));
  else
    return invalid("tokenizer.json: normalizer Replace has no pattern");
  return absl::OkStatus();
}

absl::Status read_precompiled(const json &step, SpecBuilder &to) {
  const std::string encoded = text_of(step, "precompiled_charsmap");
  if (encoded.empty()) // a tokenizer that changes nothing
    return absl::OkStatus();
  std::string charsmap;
  if (!absl::Base64Unescape(absl::string_view(encoded.data(), encoded.size()), &charsmap))
    return invalid("tokenizer.json: normalizer Precompiled: the charsmap is not Base64");
  add_step(to, NormalizerKind::Precompiled, "", std::move(charsmap));
  return absl::OkStatus();
}

absl::StatusOr<SplitBehavior> behavior_of(const json &step, const char *what) {
  const std::string behavior = text_of(step, "behavior");
  if (behavior.empty() || behavior == "Isolated")
    return SplitBehavior::Isolated;
  if (behavior == "Removed")
    return SplitBehavior::Removed;
  if (behavior == "MergedWithPrevious")
    return SplitBehavior::MergedWithPrevious;
  if (behavior == "MergedWithNext")
    return SplitBehavior::MergedWithNext;
  if (behavior == "Contiguous")
    return SplitBehavior::Contiguous;
  return unsupported("pre_tokenizer", text::concat(what, " with behavior ", behavior));
}

void add_split(SpecBuilder &to, std::string pattern,
               SplitBehavior behavior = SplitBehavior::Isolated, bool invert = false) {
  PreTokenizerStep step;
  step.pattern = std::move(pattern);
  step.behavior = behavior;
  step.invert = invert;
  to.spec.pre_tokenizer.push_back(std::move(step));
}

absl::Status read_punctuation(const json &step, SpecBuilder &to) {
  absl::StatusOr<SplitBehavior> behavior = behavior_of(step, "Punctuation");
  if (!behavior.ok())
    return behavior.status();
  add_split(to, R"([\p{P}!-/:-@\[-`{-~])", *behavior);
  return absl::OkStatus();
}

absl::Status read_split(const json &step, SpecBuilder &to) {
  const json &pattern = member(step, "pattern");
  std::string regex;
  if (member(pattern, "Regex").is_string())
    regex = text_of(pattern, "Regex");
  else if (member(pattern, "String").is_string())
    regex = text::literal_pattern(text_of(pattern, "String"));
  else
    return invalid("tokenizer.json: pre_tokenizer Split has no pattern");
  absl::StatusOr<SplitBehavior> behavior = behavior_of(step, "Split");
  if (!behavior.ok())
    return behavior.status();
  add_split(to, std::move(regex), *behavior, flag_of(step, "invert", false));
  return absl::OkStatus();
}

absl::StatusOr<text::MetaspacePrepend> prepend_of(const json &step) {
  const std::string scheme = text_of(step, "prepend_scheme");
  if (scheme == "never" || !flag_of(step, "add_prefix_space", true))
    return text::MetaspacePrepend::Never;
  if (scheme == "first")
    return text::MetaspacePrepend::First;
  if (scheme == "always" || scheme.empty())
    return text::MetaspacePrepend::Always;
  return invalid(text::concat("tokenizer.json: Metaspace: prepend_scheme \"", scheme,
                              "\" is not always, first or never"));
}

absl::Status read_metaspace(const json &step, SpecBuilder &to) {
  absl::StatusOr<text::MetaspacePrepend> prepend = prepend_of(step);
  if (!prepend.ok())
    return prepend.status();
  PreTokenizerStep metaspace;
  metaspace.kind = PreTokenizerStep::Kind::Metaspace;
  metaspace.pattern = text_of(step, "replacement");
  metaspace.prepend = *prepend;
  metaspace.split = flag_of(step, "split", true);
  to.spec.pre_tokenizer.push_back(std::move(metaspace));
  return absl::OkStatus();
}

absl::Status read_byte_level(const json &step, SpecBuilder &to) {
  if (to.spec.model != text::ModelKind::SentencePieceBpe)
    return unsupported("pre_tokenizer", "ByteLevel with a model other than BPE");
  if (to.spec.byte_fallback)
    return unsupported("pre_tokenizer", "ByteLevel with byte_fallback");
  to.byte_level = true;
  to.spec.model = text::ModelKind::ByteLevelBpe;
  if (flag_of(step, "add_prefix_space", true)) {
    PreTokenizerStep prefix;
    prefix.kind = PreTokenizerStep::Kind::PrefixSpace;
    to.spec.pre_tokenizer.push_back(std::move(prefix));
  }
  if (flag_of(step, "use_regex", true))
    add_split(to, kGpt2Pattern);
  return absl::OkStatus();
}

/// The steps of a decoder, in order.
class DecoderReader {
public:
  explicit DecoderReader(SpecBuilder &to) : to_(to), decoding_(to.spec.decoding) {}

  absl::Status read(const json &step) {
    const std::string type = type_of(step);
    if (type == "Sequence") {
      for (const json &inner : member(step, "decoders"))
        if (absl::Status s = read(inner); !s.ok())
          return s;
      return absl::OkStatus();
    }
    if (type == "ByteLevel" && to_.byte_level)
      return absl::OkStatus();
    if (type == "Strip")
      return read_strip(step);
    if (fused_ && type != "Fuse")
      return unsupported("decoder", type + " after Fuse");
    if (type == "Fuse") {
      fused_ = true;
    } else if (type == "ByteFallback") {
      to_.decodes_bytes = true;
    } else if (type == "Replace") {
      return read_replacement(step);
    } else if (type == "Metaspace") {
      absl::StatusOr<text::MetaspacePrepend> prepend = prepend_of(step);
      if (!prepend.ok())
        return prepend.status();
      if (*prepend == text::MetaspacePrepend::Never)
        decoding_.replacements.push_back({text_of(step, "replacement"), " "});
      else
        decoding_.space = text_of(step, "replacement");
    } else if (type == "WordPiece") {
      decoding_.separator = " ";
      decoding_.continuation = text_of(step, "prefix");
      decoding_.clean_up = flag_of(step, "cleanup", true);
    } else {
      return unsupported("decoder", type);
    }
    return absl::OkStatus();
  }

private:
  absl::Status read_replacement(const json &step) {
    const std::string from = text_of(member(step, "pattern"), "String");
    if (from.empty())
      return unsupported("decoder", "Replace of anything but a text");
    decoding_.replacements.push_back({from, text_of(step, "content")});
    return absl::OkStatus();
  }

  absl::Status read_strip(const json &step) {
    const std::optional<int32_t> start = number_of(member(step, "start"), INT32_MAX);
    const std::optional<int32_t> stop = number_of(member(step, "stop"), INT32_MAX);
    if (!start || stop != 0 || text_of(step, "content") != " " || !fused_)
      return unsupported("decoder", "Strip of anything but spaces at the start of the text");
    decoding_.strip = static_cast<uint32_t>(*start);
    return absl::OkStatus();
  }

  SpecBuilder &to_;
  text::Decoding &decoding_;
  bool fused_ = false;
};

absl::Status read_template(const json &processor, SpecBuilder &to) {
  const json &special = member(processor, "special_tokens");
  std::vector<int32_t> *ids = &to.spec.prefix_ids;
  to.spec.prefix_ids.clear();
  to.spec.suffix_ids.clear();
  for (const json &piece : member(processor, "single")) {
    if (piece.is_object() && piece.contains("Sequence")) {
      ids = &to.spec.suffix_ids;
      continue;
    }
    const std::string name = text_of(member(piece, "SpecialToken"), "id");
    const json &list = member(member(special, name.c_str()), "ids");
    if (!list.is_array())
      return invalid(
          text::concat("tokenizer.json: post_processor: special token \"", name, "\" has no ids"));
    for (const json &value : list) {
      const std::optional<int32_t> id = to.id_of(value);
      if (!id)
        return invalid(text::concat("tokenizer.json: post_processor: special token \"", name,
                                    "\" has an invalid id"));
      ids->push_back(*id);
    }
  }
  return absl::OkStatus();
}

} // namespace

absl::Status read_normalizer(const json &step, SpecBuilder &to) {
  if (step.is_null())
    return absl::OkStatus();
  const std::string type = type_of(step);
  if (type == "Sequence") {
    for (const json &inner : member(step, "normalizers"))
      if (absl::Status s = read_normalizer(inner, to); !s.ok())
        return s;
    return absl::OkStatus();
  }
  static constexpr std::pair<std::string_view, NormalizerKind> kPlain[] = {
      {"NFC", NormalizerKind::Nfc},
      {"NFD", NormalizerKind::Nfd},
      {"NFKC", NormalizerKind::Nfkc},
      {"NFKD", NormalizerKind::Nfkd},
      {"Lowercase", NormalizerKind::Lowercase},
      {"StripAccents", NormalizerKind::StripAccents},
      {"Nmt", NormalizerKind::Nmt}};
  for (const auto &[name, kind] : kPlain)
    if (type == name) {
      add_step(to, kind);
      return absl::OkStatus();
    }
  if (type == "Replace")
    return read_replace(step, to);
  if (type == "Precompiled")
    return read_precompiled(step, to);
  if (type == "Prepend") {
    add_step(to, NormalizerKind::Prepend, "", text_of(step, "prepend"));
    return absl::OkStatus();
  }
  const auto flag = [&step](const char *key, unsigned bit, bool fallback) {
    return flag_of(step, key, fallback) ? bit : 0u;
  };
  if (type == "Strip") {
    add_step(to, NormalizerKind::Strip, "", "",
             flag("strip_left", NormalizerStep::kLeft, true) |
                 flag("strip_right", NormalizerStep::kRight, true));
    return absl::OkStatus();
  }
  if (type == "BertNormalizer") {
    const bool lower = flag_of(step, "lowercase", true);
    add_step(to, NormalizerKind::Bert, "", "",
             flag("clean_text", NormalizerStep::kCleanText, true) |
                 flag("handle_chinese_chars", NormalizerStep::kChinese, true) |
                 flag("strip_accents", NormalizerStep::kStripAccents, lower) |
                 flag("lowercase", NormalizerStep::kLowercase, true));
    return absl::OkStatus();
  }
  return unsupported("normalizer", type);
}

absl::Status read_pre_tokenizer(const json &step, SpecBuilder &to) {
  if (step.is_null())
    return absl::OkStatus();
  const std::string type = type_of(step);
  if (to.byte_level)
    return unsupported("pre_tokenizer", type + " after ByteLevel");
  if (type == "Sequence") {
    for (const json &inner : member(step, "pretokenizers"))
      if (absl::Status s = read_pre_tokenizer(inner, to); !s.ok())
        return s;
    return absl::OkStatus();
  }
  if (type == "ByteLevel")
    return read_byte_level(step, to);
  if (type == "Punctuation")
    return read_punctuation(step, to);
  if (type == "Split")
    return read_split(step, to);
  if (type == "Metaspace")
    return read_metaspace(step, to);
  if (type == "Digits") {
    add_split(to, flag_of(step, "individual_digits", false) ? R"(\p{N})" : R"(\p{N}+)");
  } else if (type == "Whitespace") {
    add_split(to, kWhitespacePattern, SplitBehavior::Removed, /*invert=*/true);
  } else if (type == "WhitespaceSplit") {
    add_split(to, R"(\s+)", SplitBehavior::Removed);
  } else if (type == "BertPreTokenizer") {
    add_split(to, R"(\s+)", SplitBehavior::Removed);
    add_split(to, R"([\p{P}!-/:-@\[-`{-~])");
  } else if (type == "CharDelimiterSplit") {
    add_split(to, text::literal_pattern(text_of(step, "delimiter")), SplitBehavior::Removed);
  } else if (type == "FixedLength") {
    const std::optional<int32_t> length = number_of(member(step, "length"), 65536);
    if (!length || *length == 0)
      return invalid("tokenizer.json: pre_tokenizer FixedLength has no length");
    add_split(to, text::concat("(?m:.{1,", *length, "})"));
  } else {
    return unsupported("pre_tokenizer", type);
  }
  return absl::OkStatus();
}

absl::Status read_decoder(const json &decoder, SpecBuilder &to) {
  if (decoder.is_null()) {
    if (!to.byte_level)
      to.spec.decoding.separator = " "; // what `tokenizers` joins tokens with
    return absl::OkStatus();
  }
  return DecoderReader(to).read(decoder);
}

absl::Status read_post_processor(const json &processor, SpecBuilder &to) {
  if (processor.is_null())
    return absl::OkStatus();
  const std::string type = type_of(processor);
  if (type == "ByteLevel") // offsets only
    return absl::OkStatus();
  if (type == "Sequence") {
    for (const json &step : member(processor, "processors"))
      if (absl::Status s = read_post_processor(step, to); !s.ok())
        return s;
    return absl::OkStatus();
  }
  if (type == "TemplateProcessing")
    return read_template(processor, to);
  if (type == "RobertaProcessing" || type == "BertProcessing") {
    for (const auto &[key, ids] :
         {std::pair{"cls", &to.spec.prefix_ids}, std::pair{"sep", &to.spec.suffix_ids}}) {
      const json &token = member(processor, key); // [content, id]
      const std::optional<int32_t> id =
          token.is_array() && token.size() == 2 ? to.id_of(token[1]) : std::nullopt;
      if (!id)
        return invalid(
            text::concat("tokenizer.json: post_processor ", type, ": ", key, " is not a token"));
      *ids = {*id};
    }
    return absl::OkStatus();
  }
  return unsupported("post_processor", type);
}

} // namespace quern::hf
