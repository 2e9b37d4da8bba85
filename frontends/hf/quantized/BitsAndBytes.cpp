// bitsandbytes' 4-bit checkpoints, NF4 and FP4 (Dettmers et al., 2023: QLoRA).
//
// `weight` has two codes a byte, all rows as one; `weight.quant_map` what the 16 codes stand for;
// `weight.absmax` a scale for each `blocksize` of them. With double quantization these scales are
// codes in turn, of `weight.nested_quant_map` (256 floats) times `weight.nested_absmax`, off by
// `nested_offset`. That, block sizes and the shape are JSON in the tensor
// `weight.quant_state.bitsandbytes__nf4`.
#include "frontends/hf/JsonText.h"
#include "frontends/hf/quantized/Modules.h"
#include "frontends/hf/quantized/Quantized.h"

#include <absl/strings/str_cat.h>

#include <cmath>

namespace quern::hf::quantized {
namespace {

using nlohmann::json;
using weights::Element;

constexpr const char *kStates[] = {"weight.quant_state.bitsandbytes__nf4",
                                   "weight.quant_state.bitsandbytes__fp4"};

/// The numbers in a module's JSON, each a problem where it is no such number.
class State {
public:
  State(Module &module, const char *suffix) : module_(module), suffix_(suffix) {
    const auto bytes = module.bytes(suffix, 4096);
    const auto parsed =
        parse_json({reinterpret_cast<const char *>(bytes.data()), bytes.size()}, "its JSON");
    if (!module.ok())
      return;
    if (parsed.ok() && parsed->is_object())
      state_ = *parsed;
    else
      module.problem(suffix,
                     parsed.ok() ? "it is no JSON object" : std::string(parsed.status().message()));
  }

  int64_t size(const char *name, int64_t most) {
    return size(name, state_.value(name, json()), most);
  }
  Shape shape() {
    const json list = state_.value("shape", json());
    if (!list.is_array() || list.size() != 2)
      return problem("shape"), Shape{1, 1};
    constexpr int64_t kMost = int64_t{1} << 40;
    return {size("shape", list[0], kMost), size("shape", list[1], kMost)};
  }
  float number(const char *name) {
    const json value = state_.value(name, json());
    const auto number = value.is_number() ? static_cast<float>(value.get<double>()) : NAN;
    if (std::isfinite(number))
      return number;
    problem(name);
    return 0;
  }

private:
  int64_t size(const char *name, const json &value, int64_t most) {
    if (value.is_number_unsigned() && value.get<uint64_t>() >= 1 &&
        value.get<uint64_t>() <= static_cast<uint64_t>(most))
      return value.get<int64_t>();
    problem(name);
    return 1;
  }
  void problem(const char *name) {
    if (module_.ok()) // else it may follow from what was said already
      module_.problem(suffix_, absl::StrCat("its JSON has no usable '", name, "'"),
                      "take all of the model's files again");
  }

  Module &module_;
  const char *suffix_;
  json state_ = json::object();
};

void make(const char *state_name, Module module) {
  State state(module, state_name);
  const Shape shape = state.shape();
  weights::Coded coded{.layout = weights::Layout::Nibbles,
                       .group = state.size("blocksize", 1 << 20)};
  const bool nested = module.has("weight.nested_absmax");
  if (nested) {
    coded.scale_offset = state.number("nested_offset");
    coded.scale_group = state.size("nested_blocksize", 1 << 20);
  }
  if (!module.ok() || shape[0] > (int64_t{1} << 44) / shape[1])
    return module.finish({}, 0, 0, "");
  const int64_t count = shape[0] * shape[1], bytes = (count - 1) / 2 + 1;
  const int64_t scales = (count - 1) / coded.group + 1;
  coded.codes = module.part("weight", {Element::U8}, {{bytes, 1}, {1, bytes}, {bytes}});
  coded.table = module.part("weight.quant_map", {Element::F32}, {{16}});
  coded.scales = module.part("weight.absmax", {nested ? Element::U8 : Element::F32}, {{scales}});
  if (nested) {
    coded.scale_table = module.part("weight.nested_quant_map", {Element::F32}, {{256}});
    coded.scale_scales = module.part("weight.nested_absmax", {Element::F32},
                                     {{(scales - 1) / coded.scale_group + 1}});
  }
  module.finish(coded, shape[0], shape[1], "bitsandbytes, 4 bits");
}

} // namespace

bool bits_and_bytes(const ConfigJson &, ModelReader &reader, Modules &modules) {
  const size_t before = reader.problems().size();
  const bool eight = reader.boolean(key("load_in_8bit"), false);
  const bool four = reader.boolean(key("load_in_4bit"), !eight);
  if (eight || !four)
    reader.problem(key(eight ? "load_in_8bit" : "load_in_4bit"),
                   "of bitsandbytes' weights only those of 4 bits are read",
                   "take the unquantized model, and quantize with --quant int8");
  // Of these the tensors tell, or they are how a program runs the model.
  for (const char *name :
       {"_load_in_4bit", "_load_in_8bit", "bnb_4bit_quant_type", "bnb_4bit_use_double_quant",
        "bnb_4bit_compute_dtype", "bnb_4bit_quant_storage", "llm_int8_enable_fp32_cpu_offload",
        "llm_int8_has_fp16_weight", "llm_int8_skip_modules", "llm_int8_threshold",
        "modules_to_not_convert"})
    reader.ignore({key(name)});
  if (reader.problems().size() > before)
    return false;
  if (const auto &planned = modules.planned()) {
    std::vector<std::string> left_out = names_in(reader, key("llm_int8_skip_modules"));
    if (left_out.empty())
      left_out = names_in(reader, key("modules_to_not_convert"));
    modules.plan(
        {[=, head = planned->head](const std::string &module, int64_t, int64_t, bool linear) {
           return linear && module != head && !is_listed(left_out, module) ? "f32" : "";
         },
         absl::StrCat("every linear but ", planned->head,
                      " and those in llm_int8_skip_modules is quantized")});
  }
  for (const char *state : kStates)
    for (const std::string &name : modules.with(state))
      make(state, Module(modules, name));
  return true;
}

} // namespace quern::hf::quantized
