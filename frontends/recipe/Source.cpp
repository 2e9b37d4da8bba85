#include "frontends/recipe/Source.h"

namespace quern::recipe {

Source synthetic_source(const std::vector<Tensor> &wanted, const std::string &format,
                        uint64_t seed) {
  return {{}, std::vector<Place>(wanted.size(), {-1, 0, format}), seed};
}

} // namespace quern::recipe
