// Keys that config.json files have whatever the family.
#ifndef QUERN_FRONTENDS_HF_COMMONKEYS_H
#define QUERN_FRONTENDS_HF_COMMONKEYS_H

#include "frontends/families/ModelReader.h"
#include "frontends/hf/ConfigJson.h"

#include <cstdint>

namespace quern::hf {

/// Marks those that change nothing of what a model computes, and reads those that would.
void read_common_keys(const ConfigJson &config, ModelReader &reader);

/// Passes over what a config says of sliding windows where the family, when it had read its keys,
/// did not ask, as transformers does not; a note says so where there would be a window shorter than
/// `context`.
void pass_over_windows(const ConfigJson &config, ModelReader &reader, int64_t context);

} // namespace quern::hf

#endif // QUERN_FRONTENDS_HF_COMMONKEYS_H
