#include "frontends/hf/TokenizerParts.h"

#include <string>

namespace quern::hf {
namespace {

using nlohmann::json;

/// The steps of a decoder. text::Decoding makes them in one order, the published tokenizers'; what
/// would need another is refused, not made in that one.
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
    if (type == "ByteFallback") {
      to_.decodes_bytes = true;
      return reach(kBytes, type);
    }
    if (type == "Replace")
      return read_replacement(step);
    if (type == "Metaspace")
      return read_metaspace(step);
    if (type == "WordPiece") {
      decoding_.separator = " ";
      decoding_.continuation = text_of(step, "prefix");
      decoding_.clean_up = flag_of(step, "cleanup", true);
      return reach(kWords, type);
    }
    if (type == "BPEDecoder") {
      decoding_.suffix = text_of(step, "suffix");
      return decoding_.suffix.empty() ? unsupported("decoder", "BPEDecoder without a suffix")
                                      : reach(kSuffix, type);
    }
    if (type == "ByteLevel") {
      decoding_.byte_level = true;
      const bool alone = reached_ == kNothing;
      reached_ = kFused;
      return alone ? absl::OkStatus() : unsupported("decoder", "ByteLevel after other steps");
    }
    if (type == "Fuse")
      return reach(kFused, type);
    if (type == "Strip")
      return read_strip(step);
    return unsupported("decoder", type);
  }

private:
  enum Place { kNothing, kReplacements, kMetaspace, kWords, kSuffix, kBytes, kFused };

  absl::Status reach(Place place, const std::string &type) {
    const bool again = place == reached_ && (place == kReplacements || place == kFused);
    if (reached_ >= place && !again)
      return unsupported("decoder", type + " after the steps before it");
    reached_ = place;
    return absl::OkStatus();
  }

  absl::Status read_replacement(const json &step) {
    const std::string from = text_of(member(step, "pattern"), "String");
    if (from.empty())
      return unsupported("decoder", "Replace of anything but a text");
    decoding_.replacements.push_back({from, text_of(step, "content")});
    return reach(kReplacements, "Replace");
  }

  absl::Status read_metaspace(const json &step) {
    const absl::StatusOr<text::MetaspacePrepend> prepend = prepend_of(step);
    if (!prepend.ok())
      return prepend.status();
    if (*prepend == text::MetaspacePrepend::Never)
      decoding_.replacements.push_back({text_of(step, "replacement"), " "});
    else
      decoding_.space = text_of(step, "replacement");
    return reach(kMetaspace, "Metaspace");
  }

  absl::Status read_strip(const json &step) {
    const std::optional<int32_t> start = number_of(member(step, "start"), INT32_MAX);
    const std::optional<int32_t> stop = number_of(member(step, "stop"), INT32_MAX);
    if (!start || stop != 0 || text_of(step, "content") != " " || reached_ != kFused)
      return unsupported("decoder", "Strip of anything but spaces at the start of the text");
    decoding_.strip = static_cast<uint32_t>(*start);
    return absl::OkStatus();
  }

  SpecBuilder &to_;
  text::Decoding &decoding_;
  Place reached_ = kNothing;
};

} // namespace

absl::Status read_decoder(const json &decoder, SpecBuilder &to) {
  to.spec.decoding.byte_level = false;
  if (decoder.is_null()) {
    to.spec.decoding.separator = " "; // what `tokenizers` joins tokens with
    return absl::OkStatus();
  }
  return DecoderReader(to).read(decoder);
}

} // namespace quern::hf
