// A Hugging Face model: a folder with config.json and safetensors, or config.json alone where the
// weights are synthetic.
#ifndef QUERN_FRONTENDS_HF_HFMODEL_H
#define QUERN_FRONTENDS_HF_HFMODEL_H

#include "frontends/LoadedModel.h"

#include <string>

namespace quern::hf {

/// Loads the model in the folder `path`, or of the config.json at `path` and what lies beside it.
/// Everything that is wrong with it goes to `problems`; the result is of use only if nothing was.
LoadedModel load_model(const std::string &path, const ImportOptions &options, Problems &problems);

} // namespace quern::hf

#endif // QUERN_FRONTENDS_HF_HFMODEL_H
