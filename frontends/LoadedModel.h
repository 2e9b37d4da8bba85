// What an importer makes of a model's files, before IR is built from it.
#ifndef QUERN_FRONTENDS_LOADEDMODEL_H
#define QUERN_FRONTENDS_LOADEDMODEL_H

#include "frontends/EncoderInfo.h"
#include "frontends/Problem.h"
#include "frontends/onnx/CheckModel.h"
#include "frontends/recipe/Recipe.h"
#include "frontends/recipe/Source.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace quern {

struct ImportOptions {
  /// The longest sequence there will be; else the model's own limit.
  std::optional<int64_t> context = std::nullopt;
  /// Make the weights up from this seed, and read none.
  std::optional<uint64_t> synthetic = std::nullopt;
  /// With `synthetic`: weights have the formats that the config's quantization would give them, so
  /// that memory can be planned; their values cannot be made.
  bool formats_only = false;
  /// Whether source_hash is to tell models apart by their weights, of which a few bytes of each
  /// tensor are read: of tens of thousands of tensors that takes longer than all else.
  bool identify = true;
  /// Keys of the model's settings, as its file spells them, that Quern does not know and is to go
  /// on without (--ignore-keys). One that is not in the file, or that is read, is a problem.
  std::vector<std::string> ignored_keys = {};
  /// The greatest size of each named dimension of an ONNX graph (--dim); others have defaults.
  std::map<std::string, int64_t> dims = {};
};

/// Complete only if no problem was added while it was loaded.
struct LoadedModel {
  recipe::Decoder decoder;
  recipe::Source source;
  std::string tokenizer;     ///< serialized text::TokenizerSpec; empty: the model has none
  uint64_t weights_hash = 0; ///< StoredTensors::hash; 0: synthetic, or not wanted
  /// How the files store each tensor that they have and Quern reads, whether or not it is as the
  /// recipe wants it.
  recipe::StoredFormats formats;
  EncoderInfo encoder; ///< where the decoder is one
  std::vector<std::string> notes;
  /// Of an .onnx file, in the place of a recipe. Where it is an encoder of text `decoder` says what
  /// becomes of its output number `encoded` and, of the sizes, how many tokens there are.
  std::shared_ptr<const onnx::CheckedModel> graph;
  size_t encoded = 0;
};

} // namespace quern

#endif // QUERN_FRONTENDS_LOADEDMODEL_H
