// The keys that llama.cpp's converters write of a config.
#ifndef QUERN_TESTS_FRONTENDS_FAMILIES_GGUFKEYS_H
#define QUERN_TESTS_FRONTENDS_FAMILIES_GGUFKEYS_H

#include "tests/frontends/families/ConfigSizes.h"
#include "tests/frontends/families/GgufConverter.h"
#include "tests/frontends/families/GgufNames.h"
#include "tests/frontends/families/GgufWeights.h"

#include <nlohmann/json.hpp>

#include <map>
#include <string>

namespace quern {

/// Columns that a wide layer's MLP has more (GgufForm::wide_layer).
inline constexpr uint64_t kWider = 5;

/// All keys of the architecture; returns the tensors that some of them become.
std::map<std::string, Weights> write_gguf_keys(gguf::GgufWriter &writer,
                                               const nlohmann::json &config,
                                               const std::string &architecture,
                                               const GgufForm &form);

} // namespace quern

#endif // QUERN_TESTS_FRONTENDS_FAMILIES_GGUFKEYS_H
