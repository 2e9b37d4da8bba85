#include "frontends/families/Families.h"

#include <absl/strings/str_cat.h>

namespace quern {

namespace {
constexpr Family kFamilies[] = {
    {"llama", "LlamaForCausalLM", llama_from_hf, llama_from_gguf},
    {"mamba2", "Mamba2ForCausalLM", mamba2_from_hf, nullptr},
    {"qwen2", "Qwen2ForCausalLM", qwen2_from_hf, qwen2_from_gguf},
    {"qwen3", "Qwen3ForCausalLM", qwen3_from_hf, qwen3_from_gguf},
};

template <typename Has> const Family *find(std::string_view name, Has has) {
  for (const Family &family : kFamilies)
    if (family.name == name && has(family))
      return &family;
  return nullptr;
}

template <typename Has> std::string names(Has has) {
  std::string list;
  for (const Family &family : kFamilies)
    if (has(family))
      absl::StrAppend(&list, list.empty() ? "" : ", ", family.name);
  return list;
}

constexpr auto kHasHf = [](const Family &f) { return f.from_hf != nullptr; };
constexpr auto kHasGguf = [](const Family &f) { return f.from_gguf != nullptr; };
} // namespace

const Family *find_hf_family(std::string_view model_type) { return find(model_type, kHasHf); }
const Family *find_gguf_family(std::string_view name) { return find(name, kHasGguf); }
std::string hf_family_names() { return names(kHasHf); }
std::string gguf_family_names() { return names(kHasGguf); }

} // namespace quern
