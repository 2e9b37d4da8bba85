// SentencePiece's precompiled normalization: a double array that maps byte sequences to their
// replacements. The bytes are what `normalizer_spec.precompiled_charsmap` holds in a
// tokenizer.model: the array's size in bytes (32-bit), the array, then the replacements, each ended
// by a NUL. The array is a trie as Darts-clone lays it out; nothing in it is trusted.
#ifndef QUERN_RUNTIME_TEXT_CHARSMAP_H
#define QUERN_RUNTIME_TEXT_CHARSMAP_H

#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quern::text {

class Charsmap {
public:
  /// Fails where the sizes do not fit.
  static absl::StatusOr<Charsmap> create(std::string_view bytes);

  /// A rule that `text` begins with.
  struct Match {
    size_t size; ///< bytes of `text` it takes, at least 1
    std::string_view replacement;
  };
  /// The longest such rule, or the shortest.
  std::optional<Match> find(std::string_view text, bool longest) const;

private:
  std::vector<uint32_t> units_;
  std::string replacements_;
};

} // namespace quern::text

#endif // QUERN_RUNTIME_TEXT_CHARSMAP_H
