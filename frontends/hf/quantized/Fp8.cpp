// Weights of eight-bit floats (e4m3) with a float scale for each block, row or tensor, as
// transformers' "fp8" has them (DeepSeek-V3's layout).
//
// `weight_scale_inv` is what the codes are multiplied with, its name notwithstanding. Activations
// are quantized when such a model runs elsewhere; here they stay what they are.
#include "frontends/hf/quantized/Modules.h"
#include "frontends/hf/quantized/Quantized.h"

#include <absl/strings/str_cat.h>

namespace quern::hf::quantized {
namespace {

using weights::Element;

void make(const Shape &block, const char *scale_name, Module module) {
  const Shape shape = module.shape("weight", 2);
  if (shape.empty())
    return module.finish({}, 0, 0, "");
  const int64_t outputs = shape[0], inputs = shape[1];
  weights::Coded coded{.layout = weights::Layout::Bytes,
                       .bits = 8,
                       .group = block.empty() ? inputs : block[1],
                       .group_rows = block.empty() ? outputs : block[0]};
  coded.codes = module.part("weight", {Element::E4M3}, {});
  const std::initializer_list<Element> elements = {Element::F32, Element::BF16, Element::F16,
                                                   Element::E8M0};
  if (!block.empty())
    coded.scales =
        module.part(scale_name, elements,
                    {{(outputs - 1) / coded.group_rows + 1, (inputs - 1) / coded.group + 1}});
  else
    coded.scales = module.part(scale_name, elements, {{}, {1}, {1, 1}});
  module.finish(coded, outputs, inputs, "fp8, e4m3");
}

} // namespace

bool fp8(const ConfigJson &, ModelReader &reader, Modules &modules) {
  const size_t before = reader.problems().size();
  Shape block;
  for (const double size : reader.numbers(key("weight_block_size")))
    block.push_back(size >= 1 && size <= 1 << 20 ? static_cast<int64_t>(size) : 0);
  if (!block.empty() && (block.size() != 2 || block[0] < 1 || block[1] < 1))
    reader.problem(key("weight_block_size"), "it should be two sizes");
  if (const std::string format = reader.text(key("fmt"), "e4m3"); format != "e4m3")
    reader.problem(key("fmt"), absl::StrCat("floats of the format '", format, "' are not read"),
                   "take the unquantized model, and quantize with --quant");
  if (const std::string scheme = reader.text(key("activation_scheme"), "dynamic");
      scheme != "dynamic")
    reader.problem(key("activation_scheme"),
                   absl::StrCat("Quern does not read models with activations quantized by '",
                                scheme, "' scales"),
                   "take the unquantized model, and quantize with --quant");
  for (const char *name : {"modules_to_not_convert", "ignored_layers", "scale_fmt", "dequantize"})
    reader.ignore({key(name)});
  if (reader.problems().size() > before)
    return false;
  if (const auto &planned = modules.planned()) {
    const bool powers = reader.text(key("scale_fmt"), "") == "ue8m0";
    std::vector<std::string> left_out = names_in(reader, key("modules_to_not_convert"));
    if (left_out.empty())
      left_out = names_in(reader, key("ignored_layers"));
    modules.plan(
        {[=, head = planned->head](const std::string &module, int64_t, int64_t, bool linear) {
           return !linear || module == head || is_listed(left_out, module) ? ""
                  : powers                                                 ? "bf16"
                                                                           : "f32";
         },
         absl::StrCat("every linear but ", planned->head,
                      " and those in modules_to_not_convert is quantized, with scales "
                      "that are ",
                      powers ? "" : "no ", "powers of two")});
  }
  for (const char *scale : {"weight_scale_inv", "weight_scale"})
    for (const std::string &name : modules.with(scale))
      make(block, scale, Module(modules, name));
  return true;
}

} // namespace quern::hf::quantized
