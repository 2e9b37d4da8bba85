#include "frontends/hf/quantized/Quantized.h"

#include "frontends/hf/quantized/Modules.h"

#include <absl/strings/str_cat.h>

namespace quern::hf {
namespace {

struct Scheme {
  const char *method;
  bool (*make)(const ConfigJson &, ModelReader &, quantized::Modules &);
};
constexpr Scheme kSchemes[] = {
    {"gptq", quantized::gptq},
    {"awq", quantized::awq},
    {"compressed-tensors", quantized::compressed_tensors},
    {"bitsandbytes", quantized::bits_and_bytes},
    {"fp8", quantized::fp8},
};

std::string method_names() {
  std::string names;
  for (const Scheme &scheme : kSchemes)
    absl::StrAppend(&names, names.empty() ? "" : ", ", scheme.method);
  return names;
}

} // namespace

bool make_quantized_weights(const ConfigJson &config, ModelReader &reader, StoredTensors &tensors,
                            std::vector<std::string> &notes) {
  const std::string method = reader.text(quantized::key("quant_method"), "");
  const Scheme *found = nullptr;
  for (const Scheme &scheme : kSchemes)
    if (method == scheme.method)
      found = &scheme;
  quantized::Modules modules(tensors, reader.problems());
  const size_t before = reader.problems().size();
  if (found && found->make(config, reader, modules)) {
    if (const auto it = modules.formats().find("f32"); it != modules.formats().end())
      notes.push_back(absl::StrCat(
          it->second, it->second == 1 ? " weight has" : " weights have", " codes of ", method,
          " that no packing holds exactly: packed as f32, unless --quant says otherwise"));
    return true;
  }
  if (!found && reader.problems().size() == before)
    reader.problem(quantized::key("quant_method"),
                   method.empty()
                       ? "quantization_config does not say how"
                       : absl::StrCat("weights quantized by '", method, "' are not read"),
                   absl::StrCat("Quern reads ", method_names(),
                                "; or take the unquantized model, and quantize with --quant"));
  reader.ignore({"quantization_config"}); // one problem is enough
  return false;
}

} // namespace quern::hf
