// Other names of keys in config.json: the `attribute_map` of transformers' configuration classes,
// and the names that models' first code had, from before transformers knew the family.
#ifndef QUERN_FRONTENDS_FAMILIES_ALIASES_H
#define QUERN_FRONTENDS_FAMILIES_ALIASES_H

#include <span>
#include <string_view>

namespace quern {

/// Which of an alias and its key counts.
enum class AliasKind {
  Map,       ///< transformers reads both, and the alias counts where both are there
  FirstCode, ///< transformers does not read it: it counts where the key is not there
  PassedOver ///< it never counts: the family's default may be meant where the key is not there
};

struct Alias {
  const char *alias; ///< what a file may call it
  const char *key;   ///< what the family does
  AliasKind kind = AliasKind::Map;
};

/// Of a family by its name; none for most. `model_type` is what the file says: a name of the
/// family's own first code is a file in that code's words. tests/frontends/families/
/// config_classes.json, made from transformers, holds the maps to be complete.
std::span<const Alias> hf_aliases(std::string_view family, std::string_view model_type = "");

} // namespace quern

#endif // QUERN_FRONTENDS_FAMILIES_ALIASES_H
