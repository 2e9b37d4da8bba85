// The compiler's front door: a model's files in, import-phase IR out.
//
// A model is a .gguf file (or the first of a split one), a folder with config.json and safetensors,
// a config.json alone, whose weights are then made up, or an .onnx file.
#ifndef QUERN_FRONTENDS_IMPORT_H
#define QUERN_FRONTENDS_IMPORT_H

#include "frontends/LoadedModel.h"
#include "frontends/Problem.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace quern {

struct ImportedModel {
  mlir::OwningOpRef<mlir::ModuleOp> module; ///< verified
  std::string family;                       ///< "llama"
  std::string tokenizer; ///< serialized text::TokenizerSpec; empty: the model has none
  int64_t vocab = 0;
  int64_t context = 0; ///< the longest sequence: what was asked for, or the model's own limit
  int64_t hidden = 0;
  int64_t layers = 0;
  /// Equal for the same weights under the same recipe, whatever the context and the files' names;
  /// different, as good as surely, for any others.
  uint64_t source_hash = 0;
  std::vector<std::string> notes; ///< for the user to read: what is unusual but no problem
};

/// Imports the model at `path`. The error is the first problem, with `hint: ...` on its last line
/// where there is one.
absl::StatusOr<ImportedModel> import_model(const std::string &path, const ImportOptions &options,
                                           mlir::MLIRContext &context);

/// Everything that would make import_model fail, found in one pass.
std::vector<Problem> check_model(const std::string &path, const ImportOptions &options = {});

/// A model that may have problems, each with something to do about it.
struct ExaminedModel {
  std::vector<Problem> problems;
  /// What import_model would return; with problems, what could be built all the same, with safe
  /// values in the place of wrong ones and weights of the files' formats that are made up. Its
  /// module is null where nothing could be built.
  ImportedModel model;
};

/// Both: what is wrong, and what later phases can look at.
ExaminedModel examine_model(const std::string &path, const ImportOptions &options,
                            mlir::MLIRContext &context);

} // namespace quern

#endif // QUERN_FRONTENDS_IMPORT_H
