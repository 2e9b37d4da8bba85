// What llama.cpp's converters do to the weights of recurrent mixers, latent attention and what lies
// fused in Hugging Face's files.
#ifndef QUERN_TESTS_FRONTENDS_FAMILIES_GGUFMIXERS_H
#define QUERN_TESTS_FRONTENDS_FAMILIES_GGUFMIXERS_H

#include "tests/frontends/families/GgufConverter.h"
#include "tests/frontends/families/GgufWeights.h"

#include <nlohmann/json.hpp>

#include <map>
#include <string>

namespace quern {

/// Puts the tensors that `name` becomes into `all`, where it becomes several.
bool put_parts(std::map<std::string, Weights> &all, const nlohmann::json &config,
               const GgufForm &form, const std::string &name, const Weights &w);

/// `changes` are of GgufNames.h.
void change_mixer(const nlohmann::json &config, unsigned changes, const std::string &name,
                  Weights &w);

} // namespace quern

#endif // QUERN_TESTS_FRONTENDS_FAMILIES_GGUFMIXERS_H
