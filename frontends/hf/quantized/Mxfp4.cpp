// Experts in microscaling fp4 (OCP MX), as GPT-OSS is published: `w_blocks` [experts, outputs,
// inputs / 32, 16] and `w_scales` [experts, outputs, inputs / 32], exponents, make the weight `w`.
#include "frontends/hf/quantized/Modules.h"
#include "frontends/hf/quantized/Quantized.h"

#include <absl/strings/str_cat.h>

#include <memory>

namespace quern::hf::quantized {
namespace {

constexpr std::string_view kBlocks = "_blocks", kScales = "_scales";

void make(const std::string &name, Modules &modules) {
  StoredTensors &tensors = modules.tensors();
  const std::string blocks = absl::StrCat(name, std::string(kBlocks));
  const std::string scales = absl::StrCat(name, std::string(kScales));
  const StoredTensor codes = tensors.list.at(blocks);
  const auto found = tensors.list.find(scales);
  const auto problem = [&](const std::string &tensor, std::string what) {
    modules.problems().add(tensor, std::move(what),
                           "the files may be incomplete, or not belong to this config: take all "
                           "of the model's files again");
    for (const std::string &part : {name, blocks, scales}) {
      tensors.reported.insert(part);
      tensors.list.erase(part);
    }
  };
  if (found == tensors.list.end())
    return problem(scales, "this tensor is missing, without which the quantized weight has no "
                           "values");
  const Shape &shape = codes.shape;
  if (codes.type != "U8" || shape.size() != 4 || shape[3] != 16)
    return problem(blocks, absl::StrCat("it is ", shape_text(shape), " of ", codes.type,
                                        ", and should be [experts, outputs, inputs / 32, 16] of "
                                        "U8"));
  for (const int64_t n : shape)
    if (n < 1 || n > int64_t{1} << 30)
      return problem(blocks, "it has a dimension that no weight has");
  if (found->second.type != "U8" || found->second.shape != Shape{shape[0], shape[1], shape[2]})
    return problem(scales, absl::StrCat("it is ", shape_text(found->second.shape), " of ",
                                        found->second.type, ", and should be ",
                                        shape_text({shape[0], shape[1], shape[2]}), " of U8"));
  weights::Coded coded{.layout = weights::Layout::Mxfp4, .bits = 4, .group = 32};
  coded.codes = {codes.file, codes.offset, weights::Element::U8};
  coded.scales = {found->second.file, found->second.offset, weights::Element::E8M0};
  StoredTensor made{.shape = {shape[0], shape[1], 32 * shape[2]},
                    .format = "mxfp4",
                    .type = "mxfp4",
                    .file = codes.file,
                    .offset = codes.offset};
  if (const auto bytes = tensors.store.part_bytes(coded, made.shape); !bytes.ok())
    return problem(blocks, std::string(bytes.status().message()));
  made.coded = std::make_shared<const weights::Coded>(coded);
  modules.count(coded, made.shape, made.format);
  tensors.list.erase(blocks);
  tensors.list.erase(scales);
  tensors.list[name] = std::move(made);
}

} // namespace

bool mxfp4(const ConfigJson &, ModelReader &reader, Modules &modules) {
  const std::vector<std::string> left_out = names_in(reader, key("modules_to_not_convert"));
  // Whether it is made into bfloat16 when it is loaded, and by which kernels it runs, elsewhere.
  reader.ignore({key("dequantize"), key("swizzle"), key("use_kernels")});
  if (modules.planned())
    modules.plan({[left_out](const std::string &module, int64_t, int64_t inputs, bool) {
                    const bool experts = module.find(".experts.") != module.npos;
                    return experts && inputs % 32 == 0 && !is_listed(left_out, module) ? "mxfp4"
                                                                                       : "";
                  },
                  "experts are quantized, and nothing else is"});
  std::vector<std::string> names;
  for (const auto &[name, tensor] : modules.tensors().list)
    if (name.ends_with(kBlocks))
      names.push_back(name.substr(0, name.size() - kBlocks.size()));
  for (const std::string &name : names)
    make(name, modules);
  return true;
}

} // namespace quern::hf::quantized
