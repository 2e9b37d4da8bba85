// RWKV's goldens as GGUF files, as llama.cpp's converter writes them: the matrices of low-rank
// products as linears have them, the mixes of a layer in one tensor.
#ifndef QUERN_TESTS_FRONTENDS_FAMILIES_GGUFRWKV_H
#define QUERN_TESTS_FRONTENDS_FAMILIES_GGUFRWKV_H

#include "tests/frontends/gguf/GgufWriter.h"

#include <nlohmann/json.hpp>

namespace quern {

/// Of RWKV-6 by the published models' names, or of RWKV-7 by the package's.
gguf::GgufWriter rwkv_to_gguf(const nlohmann::json &golden);

} // namespace quern

#endif // QUERN_TESTS_FRONTENDS_FAMILIES_GGUFRWKV_H
