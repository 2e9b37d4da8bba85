// Samba (Ren et al., 2024), as fla writes it: Mamba, and attention in a sliding window, in turns.
#include "frontends/families/Families.h"
#include "frontends/families/Fla.h"
#include "frontends/families/Hybrids.h"

#include <absl/strings/str_cat.h>

namespace quern {

using recipe::kMaxWidth;

namespace {
recipe::Mamba1 read_mixer(ModelReader &model, int64_t hidden) {
  recipe::Mamba1 m;
  const double expand = model.number("expand", 1.0 / double(kMaxWidth), double(kMaxWidth), 2.0);
  const double inner = static_cast<double>(hidden) * expand;
  if (inner >= 1 && inner <= double(kMaxWidth))
    m.inner = static_cast<int64_t>(inner);
  else
    model.wrong_size("expand", absl::StrCat("hidden_size times it is ", inner));
  // Of the mixers, that is; the MLPs' is in hidden_ratio.
  model.expect_number("intermediate_size", static_cast<double>(m.inner));
  m.state = model.integer("state_size", 1, recipe::kMaxHeadDim, 16);
  m.kernel = model.integer("conv_kernel", 1, recipe::kMaxKernel, 4);
  m.conv_bias = true; // the class hands on neither this nor an activation
  m.rank = read_time_step_rank(model, "time_step_rank", hidden);
  return m;
}
} // namespace

recipe::Decoder samba_from_hf(ModelReader &model) {
  if (!model.mentions("attn"))
    model.problem("attn", "this key is missing",
                  "it names the layers that have attention, or is null");
  const Fla fla = read_fla(model, "samba",
                           {.eps = 1e-5,
                            .sized = false,
                            .model = "backbone",
                            .final_norm = "norm_f",
                            .norm = "mixer_norm",
                            .mixer = "mixer"});
  recipe::Mamba1 m = read_mixer(model, fla.hidden);
  const bool bias = model.boolean("use_bias", false);
  model.expect("use_conv_bias", true);
  // How weights were initialized, and sums are rounded.
  model.ignore({"time_step_scale", "time_step_min", "time_step_max", "time_step_init_scheme",
                "time_step_floor", "rescale_prenorm_residual", "residual_in_fp32"});
  return fla_decoder(fla, [&](const std::string &module, int64_t) {
    name_mamba1(m, module, fla.hidden, bias);
    return m;
  });
}

} // namespace quern
