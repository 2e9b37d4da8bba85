// Other names of keys in config.json: the `attribute_map` of transformers' configuration classes.
#ifndef QUERN_FRONTENDS_FAMILIES_ALIASES_H
#define QUERN_FRONTENDS_FAMILIES_ALIASES_H

#include <span>
#include <string_view>

namespace quern {

struct Alias {
  const char *alias; ///< what a file may call it
  const char *key;   ///< what the family does
};

/// Of a family by its name; none for most. tests/frontends/families/config_classes.json, made from
/// transformers, holds the table to be complete.
std::span<const Alias> hf_aliases(std::string_view family);

} // namespace quern

#endif // QUERN_FRONTENDS_FAMILIES_ALIASES_H
