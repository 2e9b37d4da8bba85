// AWQ's checkpoints, as AutoAWQ writes them in its version "gemm" (Lin et al., 2023).
//
// A module has `qweight` and `qzeros` (words along the outputs, in an order of AWQ's own) and
// `scales`. Zero points are stored as they are.
#include "frontends/hf/quantized/Modules.h"
#include "frontends/hf/quantized/Quantized.h"

#include <absl/strings/str_cat.h>

namespace quern::hf::quantized {
namespace {

using weights::Element;

void make(int64_t group, Module module) {
  const Shape packed = module.shape("qweight", 2);
  if (packed.empty())
    return module.finish({}, 0, 0, "");
  const int64_t inputs = packed[0], outputs = packed[1] * 8;
  weights::Coded coded{.layout = weights::Layout::Awq, .group = group < 0 ? inputs : group};
  const int64_t groups = (inputs - 1) / coded.group + 1;
  coded.codes = module.part("qweight", {Element::I32}, {});
  coded.scales =
      module.part("scales", {Element::F16, Element::BF16, Element::F32}, {{groups, outputs}});
  coded.zeros = module.part("qzeros", {Element::I32}, {{groups, packed[1]}});
  module.finish(coded, outputs, inputs, "awq, 4 bits");
}

} // namespace

bool awq(const ConfigJson &, ModelReader &reader, Modules &modules) {
  const size_t before = reader.problems().size();
  const int64_t group = reader.integer(key("group_size"), -1, int64_t{1} << 30, 128);
  if (group == 0)
    reader.problem(key("group_size"), "groups of 0 inputs", "-1 stands for all inputs");
  // Old configs have short names for two of these.
  reader.expect_number(key("bits"), 4);
  reader.expect_number(key("w_bit"), 4);
  reader.expect(key("zero_point"), true);
  if (const std::string version = reader.text(key("version"), "gemm");
      version != "gemm" && version != "GEMM")
    reader.problem(key("version"),
                   absl::StrCat("AWQ checkpoints of the version '", version, "' are not read"),
                   "Quern reads gemm");
  for (const char *name : {"modules_to_not_convert", "do_fuse", "modules_to_fuse",
                           "fuse_max_seq_len", "backend", "exllama_config"})
    reader.ignore({key(name)});
  if (reader.problems().size() > before)
    return false;
  if (const auto &planned = modules.planned()) {
    const std::vector<std::string> left_out = names_in(reader, key("modules_to_not_convert"));
    IntegerPlan plan{.coded = {.layout = weights::Layout::Awq, .group = group}, .symmetric = false};
    plan.coded.scales.element = scales_of(planned->dtype);
    modules.plan({[=, head = planned->head](const std::string &module, int64_t outputs,
                                            int64_t inputs, bool linear) {
                    return linear && module != head && !is_listed(left_out, module)
                               ? planned_format(plan, outputs, inputs)
                               : std::string();
                  },
                  absl::StrCat("every linear but ", planned->head,
                               " and those in modules_to_not_convert is quantized")});
  }
  for (const std::string &name : modules.with("qweight"))
    make(group, Module(modules, name));
  return true;
}

} // namespace quern::hf::quantized
