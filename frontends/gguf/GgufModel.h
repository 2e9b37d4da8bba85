// A GGUF file as a model: its architecture's family fills the recipe, its tensors the weights.
#ifndef QUERN_FRONTENDS_GGUF_GGUFMODEL_H
#define QUERN_FRONTENDS_GGUF_GGUFMODEL_H

#include "frontends/LoadedModel.h"

#include <string>

namespace quern::gguf {

/// Loads the model whose file, or first file, is at `path`. Everything that is wrong with it goes
/// to `problems`; the result is of use only if nothing was.
LoadedModel load_model(const std::string &path, const ImportOptions &options, Problems &problems);

} // namespace quern::gguf

#endif // QUERN_FRONTENDS_GGUF_GGUFMODEL_H
