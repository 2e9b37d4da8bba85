#include "runtime/text/Pieces.h"

#include "runtime/text/ByteAlphabet.h"
#include "runtime/text/Message.h"
#include "runtime/text/Normalize.h"
#include "runtime/text/WordModel.h"

#include <algorithm>
#include <optional>

namespace quern::text {
namespace {

// What BERT's decoder does to English, in its order.
constexpr std::pair<std::string_view, std::string_view> kCleanUp[] = {
    {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
    {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
    {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};

void replace_all(std::string &text, std::string_view from, std::string_view to) {
  if (text.find(from) == std::string::npos)
    return;
  std::string out;
  append_replaced(text, from, to, out);
  text = std::move(out);
}

std::string_view part(std::string_view bytes, const std::vector<uint32_t> &ends, int32_t id) {
  const auto i = static_cast<size_t>(id);
  const size_t begin = i == 0 ? 0 : ends[i - 1];
  return bytes.substr(begin, ends[i] - begin);
}

} // namespace

std::string Pieces::spell(const Decoding &decoding, std::string_view token, bool first) {
  if (!decoding.suffix.empty() && token.ends_with(decoding.suffix))
    token.remove_suffix(decoding.suffix.size());
  std::string text(token);
  for (const Replacement &replacement : decoding.replacements)
    replace_all(text, replacement.from, replacement.to);
  if (!decoding.space.empty())
    replace_all(text, decoding.space, first ? "" : " ");
  if (!first) {
    if (!decoding.continuation.empty() && text.starts_with(decoding.continuation))
      text.erase(0, decoding.continuation.size());
    else
      text.insert(0, decoding.separator);
  }
  if (decoding.clean_up)
    for (const auto &[from, to] : kCleanUp)
      replace_all(text, from, to);
  return text;
}

absl::StatusOr<Pieces> Pieces::create(const TokenizerSpec &spec,
                                      const std::vector<std::string_view> &spellings) {
  Pieces pieces;
  pieces.decoding_ = spec.decoding;
  const Decoding &decoding = spec.decoding;
  const bool first_differs =
      !decoding.space.empty() || !decoding.separator.empty() || !decoding.continuation.empty();
  const bool byte_level = decoding.byte_level.value_or(spec.model == ModelKind::ByteLevelBpe);
  size_t spelled = 0;
  for (std::string_view token : spellings)
    spelled += token.size();
  const size_t limit = (size_t{1} << 20) + 8 * spelled + 64 * spellings.size();
  pieces.ends_.reserve(spec.tokens.size());
  pieces.bytes_.reserve(spelled);
  for (size_t i = 0; i < spec.tokens.size(); ++i) {
    const std::string_view token = spellings[i];
    const TokenKind kind = spec.kinds[i];
    std::optional<std::string> bytes;
    if (kind == TokenKind::Unused && decoding.silent_unused) {
      bytes = "";
    } else if (byte_level) {
      // A token with a character outside the byte alphabet is text as it stands.
      // An added one is its own text, unless normalizing it made it bytes.
      if ((kind != TokenKind::Control && kind != TokenKind::UserDefined &&
           kind != TokenKind::Unknown) ||
          token != spec.tokens[i])
        bytes = token_to_bytes(token);
      if (!bytes)
        bytes = token;
    } else if (const int byte = byte_of_token(token); kind == TokenKind::Byte && byte >= 0) {
      bytes = std::string(1, static_cast<char>(byte));
    }
    pieces.bytes_ += bytes ? *bytes : spell(decoding, token, /*first=*/false);
    pieces.ends_.push_back(static_cast<uint32_t>(pieces.bytes_.size()));
    if (!decoding.suffix.empty())
      pieces.spaced_.push_back(!bytes && token.ends_with(decoding.suffix));
    if (first_differs) {
      pieces.literal_.push_back(bytes.has_value());
      pieces.spelled_ += token;
      pieces.spelled_ends_.push_back(static_cast<uint32_t>(pieces.spelled_.size()));
    }
    if (pieces.bytes_.size() > std::min<size_t>(limit, UINT32_MAX / 2))
      return absl::InvalidArgumentError(
          concat("tokenizer: decoding makes more than ", limit, " bytes of the vocabulary"));
  }
  return pieces;
}

std::string_view Pieces::get(int32_t id) const { return part(bytes_, ends_, id); }

std::string Pieces::first_piece(int32_t id) const {
  return spell(decoding_, part(spelled_, spelled_ends_, id), /*first=*/true);
}

void Pieces::append(int32_t id, TextPlace &place, std::string &out) const {
  std::string own;
  std::string_view piece = get(id);
  if (place.space)
    out += ' ';
  place.space = !spaced_.empty() && spaced_[static_cast<size_t>(id)];
  if (place.first && !literal_.empty() && !literal_[static_cast<size_t>(id)])
    piece = own = first_piece(id);
  place.first = false;
  if (place.strip == Decoding::kStripEach) {
    if (piece.starts_with(' '))
      piece.remove_prefix(1);
  } else {
    for (; place.strip > 0 && piece.starts_with(' '); --place.strip)
      piece.remove_prefix(1);
  }
  if (!piece.empty())
    place.strip = 0;
  out += piece;
}

} // namespace quern::text
