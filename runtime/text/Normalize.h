// Unicode normalization, where a model's tokenizer asks for it.
#ifndef QUERN_RUNTIME_TEXT_NORMALIZE_H
#define QUERN_RUNTIME_TEXT_NORMALIZE_H

#include "runtime/text/TokenizerSpec.h"

#include <string>
#include <string_view>

namespace quern::text {

/// `text` (valid UTF-8) in the given normal form, of the Unicode version that utf8proc knows. Text
/// for which there is no memory comes back as it was.
std::string normalize(std::string_view text, Normalizer form);

} // namespace quern::text

#endif // QUERN_RUNTIME_TEXT_NORMALIZE_H
