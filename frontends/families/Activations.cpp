#include "frontends/families/Activations.h"

#include "frontends/families/ModelReader.h"

#include <absl/strings/str_cat.h>

namespace quern {

const std::map<std::string, std::string, std::less<>> &known_activations() {
  static const std::map<std::string, std::string, std::less<>> kKnown = {
      {"silu", "silu"},
      {"swish", "silu"},
      {"sigmoid", "sigmoid"},
      {"gelu", "gelu_erf"},
      {"gelu_python", "gelu_erf"},
      {"gelu_new", "gelu_tanh"},
      {"gelu_fast", "gelu_tanh"},
      {"gelu_accurate", "gelu_tanh"},
      {"gelu_pytorch_tanh", "gelu_tanh"},
      {"gelu_python_tanh", "gelu_tanh"},
      {"relu", "relu"},
      {"tanh", "tanh"},
      {"relu2", "relu2"},
      {"quick_gelu", "quick_gelu"},
      {"mish", "mish"},
      {"relu6", "relu6"},
      {"leaky_relu", "leaky_relu"},
      {"hardswish", "hardswish"},
      {"gelu_10", "gelu_10"},
  };
  return kKnown;
}

std::string read_activation(ModelReader &model, std::string_view key, std::string_view fallback) {
  std::string name = model.text(key, std::string(fallback));
  if (auto it = known_activations().find(name); it != known_activations().end())
    return it->second;
  std::string known;
  for (const auto &entry : known_activations())
    absl::StrAppend(&known, known.empty() ? "" : ", ", entry.first);
  model.problem(key, absl::StrCat("the activation '", name, "' is not known"),
                absl::StrCat("Quern knows ", known));
  return "silu";
}

} // namespace quern
