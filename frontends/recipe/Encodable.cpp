#include "frontends/recipe/Encodable.h"

#include <algorithm>

namespace quern::recipe {
namespace {

struct IsEncodable {
  bool operator()(const Attention &a) const {
    // A causal window of one position would be `left` 0, which is none.
    return a.alibi.empty() && a.sinks.empty() && a.state.empty() && (a.both_sides || a.window != 1);
  }
  bool operator()(const GatedMlp &) const { return true; }
  bool operator()(const Mlp &) const { return true; }
  bool operator()(const Moe &) const { return true; }
  bool operator()(const Linear &) const { return true; }
  template <typename Other> bool operator()(const Other &) const { return false; }
};

} // namespace

bool can_encode(const Decoder &decoder) {
  return std::ranges::all_of(decoder.layers, [](const Layer &layer) {
    return std::ranges::all_of(layer.sublayers, [](const Sublayer &sublayer) {
      return std::visit(IsEncodable(), sublayer.block);
    });
  });
}

} // namespace quern::recipe
