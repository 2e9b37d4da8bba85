// What a program does with a tokenizer once it has read one.
#ifndef QUERN_TESTS_FUZZ_USETOKENIZER_H
#define QUERN_TESTS_FUZZ_USETOKENIZER_H

#include "runtime/text/TokenizerSpec.h"

#include <string_view>

namespace quern::fuzz {

/// Stores the spec and reads it back, encodes texts (a few of its own and the beginning of
/// `bytes`), decodes their ids, and renders the chat template.
void use_tokenizer(const text::TokenizerSpec &spec, std::string_view bytes);

/// Renders a chat template on a conversation with every kind of message.
void render_template(std::string_view chat_template);

} // namespace quern::fuzz

#endif // QUERN_TESTS_FUZZ_USETOKENIZER_H
