// Models in which a language model is one part of several: its config is an object in theirs.
#ifndef QUERN_FRONTENDS_HF_TEXTPART_H
#define QUERN_FRONTENDS_HF_TEXTPART_H

#include "frontends/Problem.h"
#include "frontends/hf/ConfigJson.h"

#include <optional>
#include <string>
#include <vector>

namespace quern::hf {

/// The config of the language model in a model of several parts, as if it had a file of its own:
/// with what the whole says of types, quantization and the head, and with the sizes that such
/// objects leave out where they are their classes'. A note says that the rest is left out. nullopt
/// where the model is none of those of which it is known that, given text alone, they compute what
/// their language model does.
struct TextPart {
  std::optional<ConfigJson> config{};
  bool wrong = false; ///< and a problem is said
};
TextPart find_text_part(const ConfigJson &config, Problems &problems,
                        std::vector<std::string> &notes);

} // namespace quern::hf

#endif // QUERN_FRONTENDS_HF_TEXTPART_H
