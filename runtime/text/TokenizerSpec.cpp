#include "runtime/text/TokenizerSpec.h"

#include "runtime/text/tokenizer_generated.h"

#include "runtime/text/Message.h"
#include <absl/container/flat_hash_map.h>

namespace quern::text {
namespace {

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

absl::Status check_ids(const TokenizerSpec &spec) {
  const size_t n = spec.tokens.size();
  for (const Merge &merge : spec.merges)
    for (int32_t id : {merge.left, merge.right, merge.result})
      if (absl::Status s = check_id("merge of token", id, n); !s.ok())
        return s;
  for (const auto &[field, ids] :
       {std::pair{"prefix id", &spec.prefix_ids}, std::pair{"suffix id", &spec.suffix_ids},
        std::pair{"eos id", &spec.eos_ids}})
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
  if (absl::Status s = check_enum("model", spec.model, ModelKind::WordPiece); !s.ok())
    return s;
  if (absl::Status s = check_enum("normalizer", spec.normalizer, Normalizer::Nfc); !s.ok())
    return s;
  if (spec.pre_tokenizer.size() > 64)
    return bad(concat(spec.pre_tokenizer.size(), " pre-tokenizer steps, at most 64"));
  for (const PreTokenizerStep &step : spec.pre_tokenizer) {
    if (absl::Status s =
            check_enum("pre-tokenizer step", step.kind, PreTokenizerStep::Kind::PrefixSpace);
        !s.ok())
      return s;
    if (absl::Status s = check_enum("split behavior", step.behavior, SplitBehavior::Removed);
        !s.ok())
      return s;
    if (step.pattern.size() > kMaxText)
      return bad("a pre-tokenizer pattern exceeds 1 MiB");
  }
  for (const AddedToken &token : spec.added_tokens) {
    if (token.content.size() > kMaxText)
      return bad(concat("an added token of ", token.content.size(), " bytes"));
    if (absl::Status s = check_id("added token", token.id, spec.tokens.size()); !s.ok())
      return s;
  }
  for (const std::string *text : {&spec.chat_template, &spec.bos_token, &spec.eos_token})
    if (text->size() > kMaxText)
      return bad("the chat template, or a token it uses, exceeds 1 MiB");
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
                                               static_cast<uint8_t>(step.behavior), step.invert));
  std::vector<flatbuffers::Offset<fb::AddedToken>> added;
  for (const AddedToken &token : spec.added_tokens)
    added.push_back(fb::CreateAddedToken(builder, builder.CreateString(token.content), token.id,
                                         token.special, token.lstrip, token.rstrip,
                                         token.normalized));

  const auto token_bytes = bytes_of(builder, blob);
  const auto token_ends = builder.CreateVector(ends);
  const auto token_kinds = builder.CreateVector(kinds);
  const auto merge_list = builder.CreateVectorOfStructs(merges);
  const auto step_list = builder.CreateVector(steps);
  const auto added_list = builder.CreateVector(added);
  const auto prefix = builder.CreateVector(spec.prefix_ids);
  const auto suffix = builder.CreateVector(spec.suffix_ids);
  const auto eos = builder.CreateVector(spec.eos_ids);
  const auto bos_token = bytes_of(builder, spec.bos_token);
  const auto eos_token = bytes_of(builder, spec.eos_token);
  const auto chat_template = bytes_of(builder, spec.chat_template);
  fb::TokenizerBuilder root(builder);
  root.add_model(static_cast<uint8_t>(spec.model));
  root.add_token_bytes(token_bytes);
  root.add_token_ends(token_ends);
  root.add_token_kinds(token_kinds);
  root.add_merges(merge_list);
  root.add_ignore_merges(spec.ignore_merges);
  root.add_unk_id(spec.unk_id);
  root.add_fuse_unk(spec.fuse_unk);
  root.add_normalizer(static_cast<uint8_t>(spec.normalizer));
  root.add_pre_tokenizer(step_list);
  root.add_added_tokens(added_list);
  root.add_prefix_ids(prefix);
  root.add_suffix_ids(suffix);
  root.add_bos_id(spec.bos_id);
  root.add_eos_ids(eos);
  root.add_bos_token(bos_token);
  root.add_eos_token(eos_token);
  root.add_chat_template(chat_template);
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
  spec.normalizer = static_cast<Normalizer>(in.normalizer());
  if (const auto *steps = in.pre_tokenizer())
    for (const fb::PreTokenizerStep *step : *steps)
      spec.pre_tokenizer.push_back({static_cast<PreTokenizerStep::Kind>(step->kind()),
                                    string_of(step->pattern()),
                                    static_cast<SplitBehavior>(step->behavior()), step->invert()});
  if (const auto *added = in.added_tokens())
    for (const fb::AddedToken *token : *added)
      spec.added_tokens.push_back({string_of(token->content()), token->id(), token->special(),
                                   token->lstrip(), token->rstrip(), token->normalized()});
  spec.prefix_ids = ids_of(in.prefix_ids());
  spec.suffix_ids = ids_of(in.suffix_ids());
  spec.bos_id = in.bos_id();
  spec.eos_ids = ids_of(in.eos_ids());
  spec.bos_token = string_of(in.bos_token());
  spec.eos_token = string_of(in.eos_token());
  spec.chat_template = string_of(in.chat_template());
  if (absl::Status s = validate(spec); !s.ok())
    return s;
  return spec;
}

absl::StatusOr<std::vector<Merge>> resolve_merges(const std::vector<std::string> &tokens,
                                                  const std::vector<MergeText> &merges) {
  absl::flat_hash_map<std::string_view, int32_t, std::hash<std::string_view>> ids;
  ids.reserve(tokens.size());
  for (size_t i = 0; i < tokens.size(); ++i)
    ids.try_emplace(tokens[i], static_cast<int32_t>(i));
  std::vector<Merge> resolved;
  resolved.reserve(merges.size());
  std::string result;
  for (const MergeText &merge : merges) {
    result.assign(merge.left);
    result += merge.right;
    Merge ids_of_merge;
    for (const auto &[part, id] :
         {std::pair{merge.left, &ids_of_merge.left}, std::pair{merge.right, &ids_of_merge.right},
          std::pair{std::string_view(result), &ids_of_merge.result}}) {
      const auto it = ids.find(part);
      if (it == ids.end())
        return bad(concat("merge ", resolved.size(), " (\"", merge.left, "\" + \"", merge.right,
                          "\") uses \"", part, "\", which is not a token"));
      *id = it->second;
    }
    resolved.push_back(ids_of_merge);
  }
  return resolved;
}

} // namespace quern::text
