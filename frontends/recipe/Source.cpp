#include "frontends/recipe/Source.h"

#include <utility>

namespace quern::recipe {

Source synthetic_source(const std::vector<Tensor> &wanted, const std::string &format,
                        uint64_t seed) {
  return {{}, std::vector<Place>(wanted.size(), {-1, 0, format}), seed};
}

Source made_up_like(const std::vector<Tensor> &wanted, const StoredFormats &formats) {
  Source source = synthetic_source(wanted, "f32", 0);
  for (size_t i = 0; i < wanted.size(); ++i) {
    const auto found = formats.find(wanted[i].file_names().front());
    if (found == formats.end())
      continue;
    const bool upright = found->second.upright && wanted[i].transposed;
    std::vector<int64_t> shape = wanted[i].shape;
    if (!wanted[i].parts.empty())
      shape.erase(shape.begin());
    if (upright)
      std::swap(shape[shape.size() - 2], shape.back());
    if (found->second.shape != shape && found->second.shape != wanted[i].stored)
      continue;
    source.places[i].format = found->second.format;
    source.places[i].upright = upright;
  }
  return source;
}

} // namespace quern::recipe
