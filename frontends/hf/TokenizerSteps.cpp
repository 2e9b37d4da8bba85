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

void read_byte_level(const json &step, SpecBuilder &to) {
  PreTokenizerStep own;
  if (flag_of(step, "add_prefix_space", true)) {
    own.kind = PreTokenizerStep::Kind::PrefixSpace;
    to.spec.pre_tokenizer.push_back(own);
  }
  if (flag_of(step, "use_regex", true))
    add_split(to, kGpt2Pattern);
  own.kind = PreTokenizerStep::Kind::Bytes;
  to.spec.pre_tokenizer.push_back(std::move(own));
}

// Of the scripts of Unicode 15, those that most text is in first.
constexpr const char *kScripts[] = {"Latin",
                                    "Common",
                                    "Inherited",
                                    "Cyrillic",
                                    "Arabic",
                                    "Hangul",
                                    "Devanagari",
                                    "Greek",
                                    "Hebrew",
                                    "Thai",
                                    "Adlam",
                                    "Ahom",
                                    "Anatolian_Hieroglyphs",
                                    "Armenian",
                                    "Avestan",
                                    "Balinese",
                                    "Bamum",
                                    "Bassa_Vah",
                                    "Batak",
                                    "Bengali",
                                    "Bhaiksuki",
                                    "Bopomofo",
                                    "Brahmi",
                                    "Braille",
                                    "Buginese",
                                    "Buhid",
                                    "Canadian_Aboriginal",
                                    "Carian",
                                    "Caucasian_Albanian",
                                    "Chakma",
                                    "Cham",
                                    "Cherokee",
                                    "Chorasmian",
                                    "Coptic",
                                    "Cuneiform",
                                    "Cypriot",
                                    "Cypro_Minoan",
                                    "Deseret",
                                    "Dives_Akuru",
                                    "Dogra",
                                    "Duployan",
                                    "Egyptian_Hieroglyphs",
                                    "Elbasan",
                                    "Elymaic",
                                    "Ethiopic",
                                    "Georgian",
                                    "Glagolitic",
                                    "Gothic",
                                    "Grantha",
                                    "Gujarati",
                                    "Gunjala_Gondi",
                                    "Gurmukhi",
                                    "Hanifi_Rohingya",
                                    "Hanunoo",
                                    "Hatran",
                                    "Imperial_Aramaic",
                                    "Inscriptional_Pahlavi",
                                    "Inscriptional_Parthian",
                                    "Javanese",
                                    "Kaithi",
                                    "Kannada",
                                    "Kayah_Li",
                                    "Kharoshthi",
                                    "Khitan_Small_Script",
                                    "Khmer",
                                    "Khojki",
                                    "Khudawadi",
                                    "Lao",
                                    "Lepcha",
                                    "Limbu",
                                    "Linear_A",
                                    "Linear_B",
                                    "Lisu",
                                    "Lycian",
                                    "Lydian",
                                    "Mahajani",
                                    "Makasar",
                                    "Malayalam",
                                    "Mandaic",
                                    "Manichaean",
                                    "Marchen",
                                    "Masaram_Gondi",
                                    "Medefaidrin",
                                    "Meetei_Mayek",
                                    "Mende_Kikakui",
                                    "Meroitic_Cursive",
                                    "Meroitic_Hieroglyphs",
                                    "Miao",
                                    "Modi",
                                    "Mongolian",
                                    "Mro",
                                    "Multani",
                                    "Myanmar",
                                    "Nabataean",
                                    "Nandinagari",
                                    "New_Tai_Lue",
                                    "Newa",
                                    "Nko",
                                    "Nushu",
                                    "Nyiakeng_Puachue_Hmong",
                                    "Ogham",
                                    "Ol_Chiki",
                                    "Old_Hungarian",
                                    "Old_Italic",
                                    "Old_North_Arabian",
                                    "Old_Permic",
                                    "Old_Persian",
                                    "Old_Sogdian",
                                    "Old_South_Arabian",
                                    "Old_Turkic",
                                    "Old_Uyghur",
                                    "Oriya",
                                    "Osage",
                                    "Osmanya",
                                    "Pahawh_Hmong",
                                    "Palmyrene",
                                    "Pau_Cin_Hau",
                                    "Phags_Pa",
                                    "Phoenician",
                                    "Psalter_Pahlavi",
                                    "Rejang",
                                    "Runic",
                                    "Samaritan",
                                    "Saurashtra",
                                    "Sharada",
                                    "Shavian",
                                    "Siddham",
                                    "SignWriting",
                                    "Sinhala",
                                    "Sogdian",
                                    "Sora_Sompeng",
                                    "Soyombo",
                                    "Sundanese",
                                    "Syloti_Nagri",
                                    "Syriac",
                                    "Tagalog",
                                    "Tagbanwa",
                                    "Tai_Le",
                                    "Tai_Tham",
                                    "Tai_Viet",
                                    "Takri",
                                    "Tamil",
                                    "Tangsa",
                                    "Tangut",
                                    "Telugu",
                                    "Thaana",
                                    "Tibetan",
                                    "Tifinagh",
                                    "Tirhuta",
                                    "Toto",
                                    "Ugaritic",
                                    "Vai",
                                    "Vithkuqi",
                                    "Wancho",
                                    "Warang_Citi",
                                    "Yezidi",
                                    "Yi",
                                    "Zanabazar_Square"};

/// A word is a run of one script: Chinese and Japanese are one, spaces and unassigned characters go
/// with what comes before them, and go where nothing does.
void read_unicode_scripts(SpecBuilder &to) {
  constexpr const char *kHan = R"(\p{Han}\p{Hiragana}\p{Katakana}\u30fc)";
  constexpr const char *kAny = R"(\u0020\p{Cn}\p{Co})";
  std::string pattern = text::concat("[", kHan, "][", kHan, kAny, "]*");
  for (const char *script : kScripts) // the lookahead: none of these is in two sets
    pattern += text::concat("|(?![\\u0020\\u30fc])\\p{", script, "}(?:(?!\\u30fc)[\\p{", script,
                            "}", kAny, "])*");
  add_split(to, std::move(pattern), SplitBehavior::Removed, /*invert=*/true);
}

/// What stands between two texts, where they are put together as one is: with the same before and
/// behind. A template that does otherwise is for another task.
void read_pair(const json &processor, SpecBuilder &to) {
  std::vector<int32_t> parts[3]; // before, between and behind
  size_t part = 0;
  bool second = false; // tokens from the second text on are of type 1
  for (const json &piece : member(processor, "pair")) {
    const json &sequence = member(piece, "Sequence");
    if (sequence.is_object()) {
      if (part == 2 || text_of(sequence, "id") != (part == 0 ? "A" : "B"))
        return;
      second = ++part == 2 && member(sequence, "type_id") == json(1);
      continue;
    }
    const json &token = member(piece, "SpecialToken");
    const std::string name = text_of(token, "id");
    for (const json &value :
         member(member(member(processor, "special_tokens"), name.c_str()), "ids")) {
      const std::optional<int32_t> id = to.id_of(value);
      if (!id || (part < 2 && member(token, "type_id") == json(1)))
        return;
      parts[part].push_back(*id);
    }
  }
  if (part != 2 || parts[0] != to.spec.prefix_ids || parts[2] != to.spec.suffix_ids)
    return;
  to.spec.pair_ids = parts[1];
  to.spec.pair_types = second;
}

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
  read_pair(processor, to);
  return absl::OkStatus();
}

} // namespace

std::string type_of(const json &step) {
  const std::string type = text_of(step, "type");
  return type.empty() ? "of no type" : type;
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
      {"Nmt", NormalizerKind::Nmt},
      {"ByteLevel", NormalizerKind::Bytes}};
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
  if (type == "Sequence") {
    for (const json &inner : member(step, "pretokenizers"))
      if (absl::Status s = read_pre_tokenizer(inner, to); !s.ok())
        return s;
    return absl::OkStatus();
  }
  if (type == "Punctuation")
    return read_punctuation(step, to);
  if (type == "Split")
    return read_split(step, to);
  if (type == "Metaspace")
    return read_metaspace(step, to);
  if (type == "ByteLevel") {
    read_byte_level(step, to);
  } else if (type == "UnicodeScripts") {
    read_unicode_scripts(to);
  } else if (type == "Digits") {
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
    to.spec.pair_types = type == "BertProcessing";
    to.spec.pair_ids = to.spec.suffix_ids;
    if (!to.spec.pair_types) // RoBERTa has two of them between texts
      to.spec.pair_ids.push_back(to.spec.suffix_ids.front());
    return absl::OkStatus();
  }
  return unsupported("post_processor", type);
}

} // namespace quern::hf
