// What a tokenizer and the model beside it cannot do together, said before someone waits for it.
#ifndef QUERN_FRONTENDS_TOKENIZERNOTES_H
#define QUERN_FRONTENDS_TOKENIZERNOTES_H

#include "runtime/text/TokenizerSpec.h"

#include <cstdint>
#include <string>
#include <vector>

namespace quern {

/// Notes, each a sentence for the user, on a tokenizer of a model whose ids lie below `rows`:
/// tokens beyond them, by name, and what that keeps from working; that no token ends an answer;
/// what the chat template fails at when it is given one message. None where `rows` is not positive,
/// which is a problem already. What text::template_faults finds is not said again. `encodes`: the
/// model is an encoder, which answers nothing.
std::vector<std::string> tokenizer_notes(const text::TokenizerSpec &spec, int64_t rows,
                                         bool encodes);

} // namespace quern

#endif // QUERN_FRONTENDS_TOKENIZERNOTES_H
