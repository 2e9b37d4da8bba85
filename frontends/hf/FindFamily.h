// Which family a config.json is of.
#ifndef QUERN_FRONTENDS_HF_FINDFAMILY_H
#define QUERN_FRONTENDS_HF_FINDFAMILY_H

#include "frontends/Problem.h"
#include "frontends/families/Families.h"
#include "frontends/hf/ConfigJson.h"

#include <string>
#include <vector>

namespace quern::hf {

/// The family that `model_type` names, as in transformers; where it is missing, the one whose class
/// `architectures` names. Null, and a problem, where there is none.
///
/// Classes are spelled in many ways, by models' own code among others, so of `architectures` only
/// what is known to have another head than a language model's is a problem.
const Family *find_family(const ConfigJson &config, Problems &problems,
                          std::vector<std::string> &notes);

} // namespace quern::hf

#endif // QUERN_FRONTENDS_HF_FINDFAMILY_H
