// What the names under tokenizer.ggml.pre mean. They are llama.cpp's; the table holds those whose
// meaning is known exactly.
#ifndef QUERN_FRONTENDS_GGUF_PRETOKENIZERS_H
#define QUERN_FRONTENDS_GGUF_PRETOKENIZERS_H

#include <absl/status/statusor.h>

#include <string>
#include <vector>

namespace quern::gguf {

struct PreTokenizer {
  std::vector<const char *> names;
  /// Each cuts the words the one before it left, matches and what is between them apart.
  std::vector<const char *> patterns;
  bool ignore_merges = false;
  bool add_bos = false; ///< where tokenizer.ggml.add_bos_token is absent
};

/// The pre-tokenizer of that name, which lives as long as the program.
absl::StatusOr<const PreTokenizer *> find_pre_tokenizer(const std::string &name);

} // namespace quern::gguf

#endif // QUERN_FRONTENDS_GGUF_PRETOKENIZERS_H
