// GPTQ's checkpoints, as AutoGPTQ and GPTQModel write them (Frantar et al., 2022).
//
// A module has `qweight` (words of codes down the inputs), `scales`, `qzeros` (words along the
// outputs) and `g_idx`, the group of each input: in order, unless columns were quantized in the
// order of their importance (desc_act). In the format "gptq" zero points are stored less one,
// modulo 2^bits: what was 0 is all ones; in "gptq_v2" they are stored as they are.
#include "frontends/hf/quantized/Modules.h"
#include "frontends/hf/quantized/Quantized.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

namespace quern::hf::quantized {
namespace {

using weights::Element;

static_assert(std::endian::native == std::endian::little, "codes are read as they lie");

struct Settings {
  int bits;
  int64_t group; // -1: all inputs
  bool zeros_less_one;
};

void make(const Settings &settings, Module module) {
  const Shape packed = module.shape("qweight", 2);
  if (packed.empty())
    return module.finish({}, 0, 0, "");
  const int64_t outputs = packed[1], codes = packed[0] * 32;
  const int64_t inputs = codes / settings.bits;
  if (codes % settings.bits || outputs * settings.bits % 32)
    module.problem("qweight",
                   absl::StrCat(shape_text(packed), " words hold no whole number of ",
                                settings.bits, "-bit codes"),
                   "config.json may have the bits of another model");
  weights::Coded coded{.layout = weights::Layout::Gptq,
                       .bits = settings.bits,
                       .group = settings.group < 0 ? inputs : settings.group,
                       .zeros_less_one = settings.zeros_less_one};
  const int64_t groups = (inputs - 1) / coded.group + 1;
  coded.codes = module.part("qweight", {Element::I32}, {});
  coded.scales =
      module.part("scales", {Element::F16, Element::BF16, Element::F32}, {{groups, outputs}});
  coded.zeros = module.part("qzeros", {Element::I32}, {{groups, outputs * settings.bits / 32}});
  if (module.has("g_idx"))
    coded.groups = module.part("g_idx", {Element::I32}, {{inputs}});
  module.finish(coded, outputs, inputs, absl::StrCat("gptq, ", settings.bits, " bits"));
}

/// Of a layer's linears those that are quantized; none: all are.
std::vector<std::string> chosen_modules(const ConfigJson &config, ModelReader &reader) {
  constexpr std::string_view kKey = "modules_in_block_to_quantize";
  const auto settings = config.get_object("quantization_config");
  if (!settings.ok() || !settings->is_array(kKey))
    return {};
  auto names = settings->get_all_strings(kKey);
  if (names.ok())
    return *std::move(names);
  reader.problem(key(kKey), std::string(names.status().message()));
  return {};
}

/// A zero point of the weight that is not `zero`; none where all of them are.
std::optional<int> other_zero(const StoredTensors &tensors, const StoredTensor &weight, int zero) {
  const weights::Coded &coded = *weight.coded;
  if (!coded.zeros)
    return std::nullopt;
  const int mask = (1 << coded.bits) - 1, less = coded.zeros_less_one ? 1 : 0;
  // Rows fill whole words, so that all of them are one string of codes: 8 of them a unit.
  const auto unit_bytes = static_cast<size_t>(coded.bits);
  const int64_t groups = (weight.shape[1] - 1) / coded.group + 1;
  const auto bytes = tensors.store.file(coded.zeros->file)
                         .range(coded.zeros->offset,
                                static_cast<uint64_t>(groups * weight.shape[0] * coded.bits / 8));
  if (!bytes.ok())
    return std::nullopt; // said where the weight is placed
  for (size_t at = 0; at + unit_bytes <= bytes->size(); at += unit_bytes) {
    uint64_t unit = 0;
    std::memcpy(&unit, bytes->data() + at, unit_bytes);
    for (int i = 0; i < 8; ++i)
      if (const int found = ((static_cast<int>(unit >> (i * coded.bits)) & mask) + less) & mask;
          found != zero)
        return found;
  }
  return std::nullopt;
}

/// The zero points are computed with as they are stored, as everywhere; but files are known whose
/// zeros are stored in the way of one format under the name of the other.
void note_zeros(const Settings &settings, const std::vector<std::string> &names,
                const StoredTensors &tensors, ModelReader &reader) {
  const int zero = 1 << (settings.bits - 1);
  int others = 0;
  std::string first;
  bool misnamed = true;
  for (const std::string &name : names) {
    const auto weight = tensors.list.find(name + ".weight");
    if (weight == tensors.list.end() || !weight->second.coded)
      continue;
    const std::optional<int> other = other_zero(tensors, weight->second, zero);
    if (!other)
      continue;
    if (others++ == 0)
      first = absl::StrCat(name, " has ", *other);
    misnamed &= *other == zero + (settings.zeros_less_one ? 1 : -1);
  }
  if (others > 0)
    reader.note(absl::StrCat(
        key("sym"), " says that every zero point is ", zero, ", and ", others, " of ", names.size(),
        " quantized weights have others (", first, "): they are computed with as stored",
        misnamed ? absl::StrCat("; all are off by one, as if the zeros were stored as in the "
                                "format ",
                                settings.zeros_less_one ? "gptq_v2" : "gptq",
                                ": if the model's answers make no sense, set ",
                                key("checkpoint_format"), " to that in config.json")
                 : std::string()));
}

/// AutoGPTQ wrote a bias for every linear it quantized, of zeros where the model has none.
void pass_over_zero_biases(const std::vector<std::string> &names, StoredTensors &tensors) {
  for (const std::string &name : names)
    if (const auto values = tensors.values(name + ".bias");
        values.ok() &&
        std::all_of(values->begin(), values->end(), [](float value) { return value == 0; }))
      tensors.harmless[name + ".bias"] = "biases of zeros add nothing to a model that has none";
}

} // namespace

bool gptq(const ConfigJson &config, ModelReader &reader, Modules &modules) {
  const size_t before = reader.problems().size();
  Settings settings{
      .bits = static_cast<int>(reader.integer(key("bits"), 2, 8)),
      .group = reader.integer(key("group_size"), -1, int64_t{1} << 30, 128),
      .zeros_less_one = true,
  };
  if (settings.group == 0)
    reader.problem(key("group_size"), "groups of 0 inputs", "-1 stands for all inputs");
  for (const char *name : {"checkpoint_format", "format"}) {
    const std::string format = reader.text(key(name), "gptq");
    if (format == "gptq_v2")
      settings.zeros_less_one = false;
    else if (format != "gptq")
      reader.problem(key(name),
                     absl::StrCat("GPTQ checkpoints of the format '", format, "' are not read"),
                     "Quern reads gptq and gptq_v2");
  }
  reader.expect(key("is_marlin_format"), false);
  if (const std::string words = reader.text(key("pack_dtype"), "int32"); words != "int32")
    reader.problem(key("pack_dtype"), absl::StrCat("codes packed in ", words, " are not read"),
                   "Quern reads int32");
  const auto settings_of = config.get_object("quantization_config");
  // What would make modules differ from what the settings above say.
  for (const char *name : {"dynamic", "adapter", "rotation"}) {
    const auto object = settings_of.ok() && settings_of->is_object(name)
                            ? settings_of->get_object(name)
                            : absl::StatusOr<ConfigJson>(absl::NotFoundError(""));
    if (reader.has(key(name)) && !(object.ok() && object->keys().empty()))
      reader.problem(key(name), "Quern does not read GPTQ checkpoints that have this");
    reader.ignore({key(name)});
  }
  // Whether zero points are symmetric, and columns in order, the tensors say.
  for (const char *name : {"sym",
                           "desc_act",
                           "method",
                           "lm_head",
                           "static_groups",
                           "true_sequential",
                           "damp_percent",
                           "damp_auto_increment",
                           "act_group_aware",
                           "hyb_act",
                           "mse",
                           "meta",
                           "tokenizer",
                           "dataset",
                           "batch_size",
                           "pad_token_id",
                           "model_seqlen",
                           "block_name_to_quantize",
                           "module_name_preceding_first_block",
                           "modules_in_block_to_quantize",
                           "cache_block_outputs",
                           "model_name_or_path",
                           "model_file_base_name",
                           "use_cuda_fp16",
                           "use_exllama",
                           "disable_exllama",
                           "exllama_config",
                           "max_input_length",
                           "backend",
                           "v2",
                           "failsafe",
                           "modules_to_not_convert"})
    reader.ignore({key(name)});
  if (reader.problems().size() > before)
    return false;
  if (const auto &planned = modules.planned()) {
    const bool symmetric = reader.boolean(key("sym"), true);
    const bool reordered = reader.boolean(key("desc_act"), false);
    const bool with_head = reader.boolean(key("lm_head"), false);
    const std::vector<std::string> left_out = names_in(reader, key("modules_to_not_convert"));
    const std::vector<std::string> chosen = chosen_modules(config, reader);
    IntegerPlan plan{.coded = {.layout = weights::Layout::Gptq,
                               .bits = settings.bits,
                               .group = settings.group,
                               .zeros_less_one = settings.zeros_less_one},
                     .symmetric = symmetric,
                     .reordered = reordered};
    plan.coded.scales.element = scales_of(planned->dtype);
    const std::string head = with_head ? "" : planned->head;
    modules.plan({[=](const std::string &module, int64_t outputs, int64_t inputs, bool linear) {
                    return linear && module != head && !is_listed(left_out, module) &&
                                   (chosen.empty() || is_listed(chosen, module))
                               ? planned_format(plan, outputs, inputs)
                               : std::string();
                  },
                  absl::StrCat(chosen.empty() ? "every linear"
                                              : "every linear of modules_in_block_to_quantize",
                               head.empty() ? "" : " but " + head, " is quantized, with scales of ",
                               std::string(weights::element_name(plan.coded.scales.element)),
                               symmetric   ? ""
                               : reordered ? ", and columns are out of order"
                                           : ", and zero points differ",
                               symmetric && reordered ? ", and columns are out of order" : "")});
  }
  const std::vector<std::string> names = modules.with("qweight");
  for (const std::string &name : names)
    make(settings, Module(modules, name));
  if (reader.has(key("sym")) && reader.boolean(key("sym"), true))
    note_zeros(settings, names, modules.tensors(), reader);
  pass_over_zero_biases(names, modules.tensors());
  return true;
}

} // namespace quern::hf::quantized
