// What is to be known of an encoder to give it texts, beside what it computes.
#ifndef QUERN_FRONTENDS_ENCODERINFO_H
#define QUERN_FRONTENDS_ENCODERINFO_H

#include <cstdint>
#include <string>
#include <vector>

namespace quern {

/// Text to be put before others, by name: "query", "document".
struct EncoderPrompt {
  std::string name;
  std::string text;
};

struct EncoderInfo {
  int64_t max_length = 0; ///< tokens at which the reference cuts a text; 0: where the context ends
  std::vector<EncoderPrompt> prompts;
  std::string default_prompt;      ///< a name; empty: none
  std::vector<std::string> labels; ///< of scores, by number
};

} // namespace quern

#endif // QUERN_FRONTENDS_ENCODERINFO_H
