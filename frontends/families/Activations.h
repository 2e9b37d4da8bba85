// The activation functions that config.json names.
#ifndef QUERN_FRONTENDS_FAMILIES_ACTIVATIONS_H
#define QUERN_FRONTENDS_FAMILIES_ACTIVATIONS_H

#include <map>
#include <string>
#include <string_view>

namespace quern {

class ModelReader;

/// Names of transformers' ACT2FN, and what quern.unary calls the function; several are one function
/// under many names.
const std::map<std::string, std::string, std::less<>> &known_activations();

/// hidden_act and the like, as quern.unary calls it. What is not known is a problem.
std::string read_activation(ModelReader &model, std::string_view key, std::string_view fallback);

} // namespace quern

#endif // QUERN_FRONTENDS_FAMILIES_ACTIVATIONS_H
