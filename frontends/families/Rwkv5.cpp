// RWKV-5 (Peng et al., 2024) of generation 5.2, whose heads each have a decay and a bonus for every
// number of a key, as the `rwkv` package and the published models' own code compute it.
#include "frontends/families/Families.h"
#include "frontends/families/Rwkv.h"

#include <string>

namespace quern {

recipe::Decoder rwkv5_from_hf(ModelReader &model) {
  RwkvNames names{};
  RwkvSizes s;
  recipe::Decoder decoder = read_rwkv(model, "rwkv5", names, s);
  const bool package = is_rwkv_package(model);
  const std::string first = recipe::layer_name(names.time, 0);
  if (const auto decay = model.tensor_shape(first + ".time_decay");
      decay && stored_size(model, first + ".time_decay", 1, 1) == 1)
    model.problem(first + ".time_decay", "it has one number for each head",
                  "this is a model of generation 5.0 or 5.1; Quern knows 5.2 and later ones");
  for (int64_t i = 0; i < s.layers; ++i) {
    recipe::Rwkv6 time = rwkv_time_mixing(names, s, decoder.hidden, i);
    recipe::RwkvMlp channel = rwkv_channel_mixing(names, s, decoder.hidden, i);
    const auto mix = [&](const std::string &module, const char *name) {
      const std::string own = package ? std::string(1, name[0]) : std::string(name);
      return recipe::Vector{module + ".time_mix_" + own, decoder.hidden};
    };
    time.from_before = channel.from_before = true;
    time.mix_receptance = mix(time.module, "receptance");
    time.mix_key = mix(time.module, "key");
    time.mix_value = mix(time.module, "value");
    time.mix_gate = mix(time.module, "gate");
    time.decay = {time.module + ".time_decay", s.width};
    channel.mix_key = mix(channel.module, "key");
    channel.mix_receptance = mix(channel.module, "receptance");
    add_rwkv_layer(decoder, names, s, std::move(time), std::move(channel));
  }
  return decoder;
}

} // namespace quern
