#include "frontends/hf/SentencePieceModel.h"

#include "frontends/WireFormat.h"
#include "frontends/hf/TokenizerParts.h"
#include "runtime/text/Message.h"
#include "runtime/text/Tokenizer.h"

#include <cmath>

namespace quern::hf {
namespace {

using nlohmann::json;
using text::NormalizerStep;
using text::TokenKind;

constexpr const char *kFile = "tokenizer.model";
// What SentencePiece takes for the score of a user-defined symbol, whatever the file says: 0.1 less
// than its length times the highest score, for which it takes none below 1e-38.
constexpr float kUserDefinedScore = -0.1f;

absl::Status invalid(std::string_view what) {
  return absl::InvalidArgumentError(text::concat(kFile, ": ", what));
}

/// What is read of a ModelProto, with the defaults of its schema.
struct Model {
  std::vector<std::string> pieces;
  std::vector<TokenKind> kinds;
  std::vector<float> scores;
  uint64_t type = 1; ///< 1 unigram, 2 BPE, 3 words, 4 characters
  bool byte_fallback = false, space_suffix = false;
  int32_t unk_id = 0, bos_id = 1, eos_id = 2;
  std::string charsmap;
  bool dummy_prefix = true, remove_extra_space = true, escape_space = true;
};

absl::Status read_piece(std::string_view bytes, Model &model) {
  static constexpr TokenKind kByType[] = {
      TokenKind::Normal,      TokenKind::Normal, TokenKind::Unknown, TokenKind::Control,
      TokenKind::UserDefined, TokenKind::Unused, TokenKind::Byte};
  WireMessage piece(bytes);
  std::string text;
  float score = 0;
  uint64_t type = 1;
  while (piece.next()) {
    if (piece.number() == 1)
      text = piece.bytes();
    else if (piece.number() == 2)
      score = piece.float32();
    else if (piece.number() == 3)
      type = piece.varint();
  }
  if (!piece.ok() || text.empty() || type >= std::size(kByType) || !std::isfinite(score))
    return invalid(text::concat("piece ", model.pieces.size(), " is damaged"));
  model.pieces.push_back(std::move(text));
  model.kinds.push_back(kByType[type]);
  model.scores.push_back(score);
  return absl::OkStatus();
}

bool read_trainer(std::string_view bytes, Model &model) {
  WireMessage trainer(bytes);
  while (trainer.next()) {
    const auto id = static_cast<int32_t>(trainer.varint()); // negative ones take 64 bits
    switch (trainer.number()) {
    case 3:
      model.type = trainer.varint();
      break;
    case 24:
      model.space_suffix = trainer.varint() != 0;
      break;
    case 35:
      model.byte_fallback = trainer.varint() != 0;
      break;
    case 40:
      model.unk_id = id;
      break;
    case 41:
      model.bos_id = id;
      break;
    case 42:
      model.eos_id = id;
      break;
    }
  }
  return trainer.ok();
}

bool read_normalizer_spec(std::string_view bytes, Model &model) {
  WireMessage normalizer(bytes);
  while (normalizer.next()) {
    switch (normalizer.number()) {
    case 2:
      model.charsmap = normalizer.bytes();
      break;
    case 3:
      model.dummy_prefix = normalizer.varint() != 0;
      break;
    case 4:
      model.remove_extra_space = normalizer.varint() != 0;
      break;
    case 5:
      model.escape_space = normalizer.varint() != 0;
      break;
    }
  }
  return normalizer.ok();
}

absl::StatusOr<Model> read(std::string_view bytes) {
  Model model;
  WireMessage root(bytes);
  while (root.next()) {
    bool ok = true;
    if (root.number() == 1) {
      if (absl::Status s = read_piece(root.bytes(), model); !s.ok())
        return s;
    } else if (root.number() == 2) {
      ok = read_trainer(root.bytes(), model);
    } else if (root.number() == 3) {
      ok = read_normalizer_spec(root.bytes(), model);
    }
    if (!ok)
      return invalid("the trainer's or the normalizer's part is damaged");
  }
  if (!root.ok() || model.pieces.empty())
    return invalid("not a SentencePiece model, or a damaged one");
  if (model.type != 1 && model.type != 2)
    return absl::UnimplementedError(text::concat(kFile, ": model type ", model.type,
                                                 " is not supported; unigram (1) and BPE (2) are"));
  return model;
}

/// Where a mark goes before a text, by the keys of tokenizer_config.json: `legacy` false has it
/// before the text's first word alone, not behind each added token; `add_prefix_space` says whether
/// there is one at all, in place of the model's own setting. True: by a Metaspace step, not by the
/// normalizer's dummy space.
bool prefix_by_config(const TokenizerConfigs &configs, Model &model) {
  if (const TokenizerClass *known = tokenizer_class(configs.tokenizer, configs.model);
      known && std::string_view(known->name) == "GemmaTokenizer")
    return false; // which reads neither
  const json config = configs.tokenizer;
  model.dummy_prefix = flag_of(config, "add_prefix_space", model.dummy_prefix);
  return model.dummy_prefix && !model.space_suffix && !flag_of(config, "legacy", true);
}

/// The id if it is a token, else -1.
int32_t known(int32_t id, size_t tokens) {
  return id >= 0 && static_cast<size_t>(id) < tokens ? id : -1;
}

} // namespace

absl::StatusOr<text::TokenizerSpec> tokenizer_from_sentence_piece(const TokenizerFiles &files,
                                                                  Notes *notes) {
  absl::StatusOr<TokenizerConfigs> configs = parse_configs(files);
  if (!configs.ok())
    return configs.status();
  absl::StatusOr<Model> read_model = read(files.sentence_piece_model);
  if (!read_model.ok())
    return read_model.status();
  Model &model = *read_model;
  SpecBuilder to;
  to.id_limit = std::min(text::kMaxTokens,
                         files.sentence_piece_model.size() + files.tokenizer_config_json.size());
  text::TokenizerSpec &spec = to.spec;
  spec.tokens = std::move(model.pieces);
  spec.kinds = std::move(model.kinds);
  spec.byte_fallback = model.byte_fallback;
  spec.fuse_unk = true;
  const size_t pieces = spec.tokens.size();
  spec.unk_id = known(model.unk_id, pieces);
  const int32_t bos = known(model.bos_id, pieces), eos = known(model.eos_id, pieces);
  const bool bpe = model.type == 2;
  spec.model = bpe ? text::ModelKind::SentencePieceBpe : text::ModelKind::Unigram;
  if (bpe)
    spec.merges = text::merges_from_scores(spec.tokens, spec.kinds, model.scores, spec.merge_ranks);
  const bool first_alone = prefix_by_config(*configs, model);
  if (first_alone)
    spec.pre_tokenizer.push_back({.kind = text::PreTokenizerStep::Kind::Metaspace,
                                  .pattern = "\u2581",
                                  .prepend = text::MetaspacePrepend::First,
                                  .split = false});
  const auto flag = [](bool set, uint8_t bit) { return static_cast<uint8_t>(set ? bit : 0); };
  spec.normalizers.push_back(
      {NormalizerStep::Kind::SentencePiece, "", std::move(model.charsmap),
       static_cast<uint8_t>(flag(model.dummy_prefix && !first_alone, NormalizerStep::kDummySpace) |
                            flag(model.remove_extra_space, NormalizerStep::kRemoveExtraSpace) |
                            flag(model.escape_space, NormalizerStep::kEscapeSpace) |
                            flag(model.space_suffix, NormalizerStep::kSpaceSuffix))});
  spec.decoding.replacements.push_back({"\u2581", " "});
  spec.decoding.strip = model.remove_extra_space ? text::Decoding::kStripEach
                        : model.dummy_prefix     ? 1
                                                 : 0;
  for (size_t i = 0; i < spec.tokens.size(); ++i) {
    const TokenKind kind = spec.kinds[i];
    if (kind != TokenKind::Control && kind != TokenKind::Unknown && kind != TokenKind::UserDefined)
      continue;
    if (kind == TokenKind::UserDefined && !bpe) { // a unigram model weighs it against the others
      model.scores[i] = kUserDefinedScore;
      continue;
    }
    text::AddedToken token;
    token.content = spec.tokens[i];
    token.id = static_cast<int32_t>(i);
    token.special = kind != TokenKind::UserDefined;
    token.normalized = !token.special; // found in what the normalizer passed through
    spec.added_tokens.push_back(std::move(token));
  }
  if (eos >= 0)
    spec.eos_ids.push_back(eos);
  // What the configs do not name is named by the model.
  TokenizerClass own = {.name = "", .special_tokens = {}};
  for (const auto &[name, id] : {std::pair{"bos_token", bos}, std::pair{"eos_token", eos},
                                 std::pair{"unk_token", spec.unk_id}})
    if (id >= 0)
      own.special_tokens.emplace_back(name, spec.tokens[static_cast<size_t>(id)].c_str());
  if (absl::Status s = read_special_tokens(*configs, &own, /*in_place=*/true, to); !s.ok())
    return s;
  if (absl::Status s = read_generation(files, *configs, to); !s.ok())
    return s;
  if (spec.bos_id < 0)
    spec.bos_id = bos;
  const json config = configs->tokenizer;
  if (flag_of(config, "add_bos_token", bpe) && spec.bos_id >= 0)
    spec.prefix_ids = {spec.bos_id};
  const int32_t named_eos = to.find(spec.eos_token);
  if (const int32_t id = named_eos >= 0 ? named_eos : eos;
      flag_of(config, "add_eos_token", !bpe) && id >= 0)
    spec.suffix_ids = {id};
  if (!bpe) {
    spec.scores.assign(model.scores.begin(), model.scores.end());
    spec.scores.resize(spec.tokens.size()); // tokens that the config adds
  }
  absl::StatusOr<text::TokenizerSpec> finished = finish(to, notes);
  return finished.ok()
             ? *std::move(finished)
             : absl::StatusOr<text::TokenizerSpec>(invalid(text::message_of(finished.status())));
}

} // namespace quern::hf
