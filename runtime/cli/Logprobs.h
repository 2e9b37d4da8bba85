// What a model thought of a token it made: --logprobs.
#ifndef QUERN_RUNTIME_CLI_LOGPROBS_H
#define QUERN_RUNTIME_CLI_LOGPROBS_H

#include "runtime/text/Tokenizer.h"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <span>

namespace quern::cli {

/// {"token":id,"piece":"..","logprob":x,"top":[{"token":..,"piece":..,"logprob":..}, ..]}: natural
/// logarithms of the model's own probabilities (temperature 1, before any sampling stage), `top`
/// the `count` highest, the lower id first among equals. A probability of 0, or of a logit that is
/// no number, is null. Without a tokenizer there are no pieces.
nlohmann::ordered_json logprobs_json(std::span<const float> logits, int32_t token, size_t count,
                                     const text::Tokenizer *tokenizer);

} // namespace quern::cli

#endif // QUERN_RUNTIME_CLI_LOGPROBS_H
