// How a word becomes tokens: one class a ModelKind.
#ifndef QUERN_RUNTIME_TEXT_WORDMODEL_H
#define QUERN_RUNTIME_TEXT_WORDMODEL_H

#include "runtime/text/TokenizerSpec.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace quern::text {

/// Memory that lasts over the words of a text.
struct WordScratch {
  struct Best { ///< the best way to a place in the word
    double score;
    int32_t id;
    uint32_t begin; ///< where its last token begins
  };
  std::vector<int32_t> symbols;
  std::vector<Best> best;
  std::string spelling;
};

class WordModel {
public:
  /// `spec` must validate; nothing of it is kept but what is copied.
  static std::unique_ptr<WordModel> create(const TokenizerSpec &spec);
  virtual ~WordModel() = default;

  /// Appends to `words` the parts of `word` (valid UTF-8) that become the same tokens one by one:
  /// short words are found again.
  virtual void cut(std::string_view word, std::vector<std::string_view> &words) const {
    words.push_back(word);
  }

  /// Appends the ids of `word`, which is not empty.
  virtual void encode(std::string_view word, WordScratch &scratch,
                      std::vector<int32_t> &ids) const = 0;
};

/// The byte that a token of the form <0x0A> stands for, -1: it has not that form.
int byte_of_token(std::string_view token);

} // namespace quern::text

#endif // QUERN_RUNTIME_TEXT_WORDMODEL_H
