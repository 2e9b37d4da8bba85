#include "runtime/text/TokenizerSpec.h"

#include "runtime/text/Message.h"
#include "runtime/text/Utf8.h"
#include "runtime/text/tokenizer_generated.h"

#include <cmath>

namespace quern::text {
namespace {

// What the section's `normalizer` may say. A runtime from before there were steps refuses the last.
constexpr uint8_t kNoNormalizer = 0, kNfcNormalizer = 1, kNormalizerSteps = 2;

absl::Status bad(const std::string &what) {
  return absl::InvalidArgumentError("tokenizer: " + what);
}

absl::Status check_id(std::string_view field, int32_t id, size_t tokens) {
  if (id >= 0 && static_cast<size_t>(id) < tokens)
    return absl::OkStatus();
  return bad(concat(field, " ", id, " is outside the vocabulary of ", tokens, " tokens"));
}

template <typename Enum> absl::Status check_enum(std::string_view field, Enum value, Enum last) {
  if (value <= last)
    return absl::OkStatus();
  return bad(concat(field, " has unknown value ", static_cast<int>(value)));
}

absl::Status check_normalizer(const NormalizerStep &step) {
  using Kind = NormalizerStep::Kind;
  if (absl::Status s = check_enum("normalizer step", step.kind, Kind::Bytes); !s.ok())
    return s;
  const bool charsmap = step.kind == Kind::Precompiled || step.kind == Kind::SentencePiece;
  if (step.pattern.size() > kMaxText ||
      step.content.size() > (charsmap ? kMaxCharsmap : kMaxInsert))
    return bad(concat("a normalizer step of ", step.pattern.size(), " and ", step.content.size(),
                      " bytes is too long"));
  if (step.kind == Kind::Replace && step.pattern.empty())
    return bad("a normalizer step replaces nothing");
  return absl::OkStatus();
}

absl::Status check_pre_tokenizer(const PreTokenizerStep &step) {
  using Kind = PreTokenizerStep::Kind;
  if (absl::Status s = check_enum("pre-tokenizer step", step.kind, Kind::Bytes); !s.ok())
    return s;
  if (absl::Status s = check_enum("split behavior", step.behavior, SplitBehavior::Contiguous);
      !s.ok())
    return s;
  if (absl::Status s = check_enum("metaspace prepend", step.prepend, MetaspacePrepend::Never);
      !s.ok())
    return s;
  if (step.pattern.size() > kMaxText)
    return bad("a pre-tokenizer pattern exceeds 1 MiB");
  if (step.kind == Kind::Metaspace &&
      (!is_valid_utf8(step.pattern) || count_code_points(step.pattern) != 1))
    return bad("a metaspace is not one character");
  return absl::OkStatus();
}

absl::Status check_decoding(const Decoding &decoding) {
  if (decoding.replacements.size() > 64)
    return bad(concat(decoding.replacements.size(), " replacements in decoding, at most 64"));
  for (const Replacement &replacement : decoding.replacements)
    if (replacement.from.empty() || replacement.from.size() > kMaxInsert ||
        replacement.to.size() > kMaxInsert)
      return bad("a replacement in decoding is empty or exceeds 4 KiB");
  for (const std::string *text :
       {&decoding.space, &decoding.separator, &decoding.continuation, &decoding.suffix})
    if (text->size() > kMaxInsert)
      return bad("a text in decoding exceeds 4 KiB");
  return absl::OkStatus();
}

absl::Status check_model(const TokenizerSpec &spec) {
  if (absl::Status s = check_enum("model", spec.model, ModelKind::LongestMatch); !s.ok())
    return s;
  if (!spec.merge_ranks.empty() && spec.merge_ranks.size() != spec.merges.size())
    return bad(concat(spec.merge_ranks.size(), " merge ranks for ", spec.merges.size(), " merges"));
  if (spec.model == ModelKind::Unigram && spec.scores.size() != spec.tokens.size())
    return bad(concat(spec.scores.size(), " scores for ", spec.tokens.size(), " tokens"));
  for (double score : spec.scores)
    if (!std::isfinite(score))
      return bad("a score is not a number");
  if (spec.continuation.size() > kMaxInsert || spec.word_end.size() > kMaxInsert)
    return bad("the continuation or the end of a word exceeds 4 KiB");
  return absl::OkStatus();
}

absl::Status check_ids(const TokenizerSpec &spec) {
  const size_t n = spec.tokens.size();
  for (const Merge &merge : spec.merges)
    for (int32_t id : {merge.left, merge.right, merge.result})
      if (absl::Status s = check_id("merge of token", id, n); !s.ok())
        return s;
  for (const auto &[field, ids] :
       {std::pair{"prefix id", &spec.prefix_ids}, std::pair{"suffix id", &spec.suffix_ids},
        std::pair{"pair id", &spec.pair_ids}, std::pair{"eos id", &spec.eos_ids}})
    for (int32_t id : *ids)
      if (absl::Status s = check_id(field, id, n); !s.ok())
        return s;
  if (spec.bos_id != -1)
    if (absl::Status s = check_id("bos id", spec.bos_id, n); !s.ok())
      return s;
  if (spec.unk_id != -1)
    if (absl::Status s = check_id("unk id", spec.unk_id, n); !s.ok())
      return s;
  return absl::OkStatus();
}

flatbuffers::Offset<flatbuffers::Vector<uint8_t>> bytes_of(flatbuffers::FlatBufferBuilder &builder,
                                                           std::string_view text) {
  return builder.CreateVector(reinterpret_cast<const uint8_t *>(text.data()), text.size());
}

std::string string_of(const flatbuffers::Vector<uint8_t> *bytes) {
  return bytes ? std::string(reinterpret_cast<const char *>(bytes->data()), bytes->size())
               : std::string();
}

std::string string_of(const flatbuffers::String *text) { return text ? text->str() : ""; }

std::vector<int32_t> ids_of(const flatbuffers::Vector<int32_t> *ids) {
  return ids ? std::vector<int32_t>(ids->begin(), ids->end()) : std::vector<int32_t>();
}

absl::Status read_tokens(const fb::Tokenizer &in, TokenizerSpec &spec) {
  const auto *ends = in.token_ends();
  const auto *kinds = in.token_kinds();
  if (!ends || !kinds || ends->size() != kinds->size())
    return bad("the vocabulary is missing or has not one kind a token");
  const std::string_view blob =
      in.token_bytes() ? std::string_view(reinterpret_cast<const char *>(in.token_bytes()->data()),
                                          in.token_bytes()->size())
                       : std::string_view();
  spec.tokens.reserve(ends->size());
  spec.kinds.reserve(ends->size());
  size_t start = 0;
  for (uint32_t i = 0; i < ends->size(); ++i) {
    const size_t end = ends->Get(i);
    if (end < start || end > blob.size())
      return bad(concat("token ", i, " lies outside the vocabulary's bytes"));
    spec.tokens.emplace_back(blob.substr(start, end - start));
    spec.kinds.push_back(static_cast<TokenKind>(kinds->Get(i)));
    start = end;
  }
  return absl::OkStatus();
}

absl::Status read_normalizers(const fb::Tokenizer &in, TokenizerSpec &spec) {
  if (in.normalizer() > kNormalizerSteps)
    return bad(concat("normalizer has unknown value ", static_cast<int>(in.normalizer())));
  if (in.normalizer() == kNfcNormalizer)
    spec.normalizers.push_back({.kind = NormalizerStep::Kind::Nfc, .pattern = "", .content = ""});
  if (const auto *steps = in.normalizers())
    for (const fb::NormalizerStep *step : *steps)
      spec.normalizers.push_back({static_cast<NormalizerStep::Kind>(step->kind()),
                                  string_of(step->pattern()), string_of(step->content()),
                                  step->flags()});
  return absl::OkStatus();
}

void read_decoding(const fb::Decoding *in, Decoding &decoding) {
  if (!in)
    return;
  if (const auto *replacements = in->replacements())
    for (const fb::Replacement *replacement : *replacements)
      decoding.replacements.push_back(
          {string_of(replacement->from()), string_of(replacement->to())});
  decoding.space = string_of(in->space());
  decoding.separator = string_of(in->separator());
  decoding.continuation = string_of(in->continuation());
  decoding.clean_up = in->clean_up();
  decoding.strip = in->strip();
  decoding.suffix = string_of(in->suffix());
  if (in->byte_level().has_value())
    decoding.byte_level = *in->byte_level();
  decoding.silent_unused = in->silent_unused();
}

flatbuffers::Offset<fb::Decoding> write_decoding(flatbuffers::FlatBufferBuilder &builder,
                                                 const Decoding &decoding) {
  std::vector<flatbuffers::Offset<fb::Replacement>> replacements;
  for (const Replacement &replacement : decoding.replacements)
    replacements.push_back(fb::CreateReplacement(builder, builder.CreateString(replacement.from),
                                                 builder.CreateString(replacement.to)));
  return fb::CreateDecoding(
      builder, builder.CreateVector(replacements), builder.CreateString(decoding.space),
      builder.CreateString(decoding.separator), builder.CreateString(decoding.continuation),
      decoding.clean_up, decoding.strip, builder.CreateString(decoding.suffix),
      decoding.byte_level ? flatbuffers::Optional<bool>(*decoding.byte_level)
                          : flatbuffers::nullopt,
      decoding.silent_unused);
}

} // namespace

absl::Status validate(const TokenizerSpec &spec) {
  if (spec.tokens.empty())
    return bad("the vocabulary is empty");
  if (spec.tokens.size() > kMaxTokens)
    return bad(concat(spec.tokens.size(), " tokens, at most ", kMaxTokens, " are allowed"));
  if (spec.kinds.size() != spec.tokens.size())
    return bad(concat(spec.kinds.size(), " token kinds for ", spec.tokens.size(), " tokens"));
  size_t total = 0;
  for (const std::string &token : spec.tokens) {
    if (token.size() > kMaxText)
      return bad(concat("a token of ", token.size(), " bytes"));
    total += token.size();
  }
  if (total > UINT32_MAX / 2)
    return bad("the vocabulary exceeds 2 GiB");
  for (TokenKind kind : spec.kinds)
    if (absl::Status s = check_enum("token kind", kind, TokenKind::Unused); !s.ok())
      return s;
  if (absl::Status s = check_model(spec); !s.ok())
    return s;
  if (spec.normalizers.size() > 64)
    return bad(concat(spec.normalizers.size(), " normalizer steps, at most 64"));
  for (const NormalizerStep &step : spec.normalizers)
    if (absl::Status s = check_normalizer(step); !s.ok())
      return s;
  if (spec.pre_tokenizer.size() > 64)
    return bad(concat(spec.pre_tokenizer.size(), " pre-tokenizer steps, at most 64"));
  for (const PreTokenizerStep &step : spec.pre_tokenizer)
    if (absl::Status s = check_pre_tokenizer(step); !s.ok())
      return s;
  if (absl::Status s = check_decoding(spec.decoding); !s.ok())
    return s;
  for (const AddedToken &token : spec.added_tokens) {
    if (token.content.size() > kMaxText)
      return bad(concat("an added token of ", token.content.size(), " bytes"));
    if (absl::Status s = check_id("added token", token.id, spec.tokens.size()); !s.ok())
      return s;
  }
  for (const std::string *text : {&spec.chat_template, &spec.bos_token, &spec.eos_token})
    if (text->size() > kMaxText)
      return bad("the chat template, or a token it uses, exceeds 1 MiB");
  if (spec.named_tokens.size() > kMaxNamed)
    return bad(concat(spec.named_tokens.size(), " named tokens, at most ", kMaxNamed));
  for (const NamedToken &named : spec.named_tokens)
    if (named.name.size() > kMaxText || named.token.size() > kMaxText)
      return bad("a named token exceeds 1 MiB");
  return check_ids(spec);
}

std::string serialize(const TokenizerSpec &spec) {
  flatbuffers::FlatBufferBuilder builder(size_t{1} << 20);
  std::string blob;
  std::vector<uint32_t> ends;
  ends.reserve(spec.tokens.size());
  for (const std::string &token : spec.tokens) {
    blob += token;
    ends.push_back(static_cast<uint32_t>(blob.size()));
  }
  std::vector<uint8_t> kinds;
  kinds.reserve(spec.kinds.size());
  for (TokenKind kind : spec.kinds)
    kinds.push_back(static_cast<uint8_t>(kind));
  std::vector<fb::Merge> merges;
  merges.reserve(spec.merges.size());
  for (const Merge &merge : spec.merges)
    merges.emplace_back(merge.left, merge.right, merge.result);
  std::vector<flatbuffers::Offset<fb::PreTokenizerStep>> steps;
  for (const PreTokenizerStep &step : spec.pre_tokenizer)
    steps.push_back(fb::CreatePreTokenizerStep(builder, static_cast<uint8_t>(step.kind),
                                               builder.CreateString(step.pattern),
                                               static_cast<uint8_t>(step.behavior), step.invert,
                                               static_cast<uint8_t>(step.prepend), step.split));
  std::vector<flatbuffers::Offset<fb::NormalizerStep>> normalizers;
  for (const NormalizerStep &step : spec.normalizers)
    normalizers.push_back(fb::CreateNormalizerStep(builder, static_cast<uint8_t>(step.kind),
                                                   builder.CreateString(step.pattern),
                                                   bytes_of(builder, step.content), step.flags));
  std::vector<flatbuffers::Offset<fb::AddedToken>> added;
  for (const AddedToken &token : spec.added_tokens)
    added.push_back(fb::CreateAddedToken(builder, builder.CreateString(token.content), token.id,
                                         token.special, token.lstrip, token.rstrip,
                                         token.normalized, token.single_word));

  std::vector<flatbuffers::Offset<fb::NamedToken>> named;
  for (const NamedToken &token : spec.named_tokens)
    named.push_back(fb::CreateNamedToken(builder, builder.CreateString(token.name),
                                         bytes_of(builder, token.token)));

  const auto token_bytes = bytes_of(builder, blob);
  const auto token_ends = builder.CreateVector(ends);
  const auto token_kinds = builder.CreateVector(kinds);
  const auto merge_list = builder.CreateVectorOfStructs(merges);
  const auto step_list = builder.CreateVector(steps);
  const auto added_list = builder.CreateVector(added);
  const auto prefix = builder.CreateVector(spec.prefix_ids);
  const auto suffix = builder.CreateVector(spec.suffix_ids);
  const auto pair = builder.CreateVector(spec.pair_ids);
  const auto eos = builder.CreateVector(spec.eos_ids);
  const auto bos_token = bytes_of(builder, spec.bos_token);
  const auto eos_token = bytes_of(builder, spec.eos_token);
  const auto chat_template = bytes_of(builder, spec.chat_template);
  const auto normalizer_list = builder.CreateVector(normalizers);
  const auto merge_ranks = builder.CreateVector(spec.merge_ranks);
  const auto scores = builder.CreateVector(spec.scores);
  const auto continuation = builder.CreateString(spec.continuation);
  const auto word_end = builder.CreateString(spec.word_end);
  const auto decoding = write_decoding(builder, spec.decoding);
  const auto named_list = builder.CreateVector(named);
  fb::TokenizerBuilder root(builder);
  root.add_model(static_cast<uint8_t>(spec.model));
  root.add_token_bytes(token_bytes);
  root.add_token_ends(token_ends);
  root.add_token_kinds(token_kinds);
  root.add_merges(merge_list);
  root.add_ignore_merges(spec.ignore_merges);
  root.add_unk_id(spec.unk_id);
  root.add_fuse_unk(spec.fuse_unk);
  root.add_normalizer(spec.normalizers.empty() ? kNoNormalizer : kNormalizerSteps);
  root.add_pre_tokenizer(step_list);
  root.add_added_tokens(added_list);
  root.add_prefix_ids(prefix);
  root.add_suffix_ids(suffix);
  root.add_pair_ids(pair);
  root.add_pair_types(spec.pair_types);
  root.add_bos_id(spec.bos_id);
  root.add_eos_ids(eos);
  root.add_bos_token(bos_token);
  root.add_eos_token(eos_token);
  root.add_chat_template(chat_template);
  root.add_normalizers(normalizer_list);
  root.add_merge_ranks(merge_ranks);
  root.add_scores(scores);
  root.add_byte_fallback(spec.byte_fallback);
  root.add_continuation(continuation);
  root.add_max_word_characters(spec.max_word_characters);
  root.add_decoding(decoding);
  root.add_byte_spellings(spec.byte_spellings);
  root.add_word_end(word_end);
  root.add_named_tokens(named_list);
  fb::FinishTokenizerBuffer(builder, root.Finish());
  return std::string(reinterpret_cast<const char *>(builder.GetBufferPointer()), builder.GetSize());
}

absl::StatusOr<TokenizerSpec> deserialize(std::string_view bytes) {
  // FlatBuffers reads integers in place, so the bytes must lie as aligned as they were written.
  std::vector<uint64_t> aligned;
  if (reinterpret_cast<uintptr_t>(bytes.data()) % alignof(uint64_t) != 0) {
    aligned.resize(bytes.size() / sizeof(uint64_t) + 1);
    std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char *>(aligned.data()));
    bytes = {reinterpret_cast<const char *>(aligned.data()), bytes.size()};
  }
  const auto *data = reinterpret_cast<const uint8_t *>(bytes.data());
  flatbuffers::Verifier verifier(data, bytes.size());
  if (bytes.size() < 8 || !fb::VerifyTokenizerBuffer(verifier))
    return bad("the section is damaged; compile the model again");
  const fb::Tokenizer &in = *fb::GetTokenizer(data);

  TokenizerSpec spec;
  spec.model = static_cast<ModelKind>(in.model());
  if (absl::Status s = read_tokens(in, spec); !s.ok())
    return s;
  if (const auto *merges = in.merges()) {
    spec.merges.reserve(merges->size());
    for (const fb::Merge *merge : *merges)
      spec.merges.push_back({merge->left(), merge->right(), merge->result()});
  }
  spec.ignore_merges = in.ignore_merges();
  spec.unk_id = in.unk_id();
  spec.fuse_unk = in.fuse_unk();
  if (absl::Status s = read_normalizers(in, spec); !s.ok())
    return s;
  if (const auto *steps = in.pre_tokenizer())
    for (const fb::PreTokenizerStep *step : *steps)
      spec.pre_tokenizer.push_back({static_cast<PreTokenizerStep::Kind>(step->kind()),
                                    string_of(step->pattern()),
                                    static_cast<SplitBehavior>(step->behavior()), step->invert(),
                                    static_cast<MetaspacePrepend>(step->prepend()), step->split()});
  if (const auto *added = in.added_tokens())
    for (const fb::AddedToken *token : *added)
      spec.added_tokens.push_back({string_of(token->content()), token->id(), token->special(),
                                   token->lstrip(), token->rstrip(), token->normalized(),
                                   token->single_word()});
  spec.prefix_ids = ids_of(in.prefix_ids());
  spec.suffix_ids = ids_of(in.suffix_ids());
  spec.pair_ids = ids_of(in.pair_ids());
  spec.pair_types = in.pair_types();
  spec.bos_id = in.bos_id();
  spec.eos_ids = ids_of(in.eos_ids());
  spec.bos_token = string_of(in.bos_token());
  spec.eos_token = string_of(in.eos_token());
  spec.chat_template = string_of(in.chat_template());
  if (const auto *ranks = in.merge_ranks())
    spec.merge_ranks.assign(ranks->begin(), ranks->end());
  if (const auto *scores = in.scores(); scores && scores->size() > 0) {
    // The verifier checks where a vector begins, not that its 8-byte elements lie as doubles may.
    // An empty vector is written wherever it falls.
    if (reinterpret_cast<uintptr_t>(scores->data()) % alignof(double) != 0)
      return bad("the section is damaged; compile the model again");
    spec.scores.assign(scores->begin(), scores->end());
  }
  spec.byte_fallback = in.byte_fallback();
  spec.continuation = string_of(in.continuation());
  spec.max_word_characters = in.max_word_characters();
  read_decoding(in.decoding(), spec.decoding);
  spec.byte_spellings = in.byte_spellings();
  spec.word_end = string_of(in.word_end());
  if (const auto *named = in.named_tokens())
    for (const fb::NamedToken *token : *named)
      spec.named_tokens.push_back({string_of(token->name()), string_of(token->token())});
  if (absl::Status s = validate(spec); !s.ok())
    return s;
  return spec;
}

} // namespace quern::text
