#include "frontends/hf/quantized/Quantized.h"

#include "frontends/hf/JsonText.h"
#include "frontends/hf/quantized/Modules.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <filesystem>
#include <utility>

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
    {"mxfp4", quantized::mxfp4},
};

std::string method_names() {
  std::string names;
  for (const Scheme &scheme : kSchemes)
    absl::StrAppend(&names, names.empty() ? "" : ", ", scheme.method);
  return names;
}

/// Reads the settings of the scheme that the config names, and makes the weights of its modules.
/// False, and a problem, where there is none that is read.
bool make(const ConfigJson &config, ModelReader &reader, quantized::Modules &modules) {
  const std::string method = reader.text(quantized::key("quant_method"), "");
  const size_t before = reader.problems().size();
  for (const Scheme &scheme : kSchemes)
    if (method == scheme.method && scheme.make(config, reader, modules))
      return true;
  if (reader.problems().size() == before)
    reader.problem(quantized::key("quant_method"),
                   method.empty()
                       ? "quantization_config does not say how"
                       : absl::StrCat("weights quantized by '", method, "' are not read"),
                   absl::StrCat("Quern reads ", method_names(),
                                "; or take the unquantized model, and quantize with --quant"));
  reader.ignore({"quantization_config"}); // one problem is enough
  return false;
}

/// What weights of one format take, and why, where that is more than in the files.
std::string sizes_note(const std::string &method, const std::string &format,
                       const quantized::Modules::Sizes &sizes) {
  const double times = static_cast<double>(sizes.packed) / static_cast<double>(sizes.in_files);
  const char *why = "";
  if (format == "f32")
    why = ": no packing holds its codes exactly; --quant int8 or int4 would round them";
  else if (times > 1.1)
    why = ": no packing of fewer bits holds its values exactly";
  return absl::StrFormat("%d weight%s of %s: %d bytes in the files, %d packed as %s (%.2f times)%s",
                         sizes.weights, sizes.weights == 1 ? "" : "s", method, sizes.in_files,
                         sizes.packed, format, times, why);
}

} // namespace

bool make_quantized_weights(const ConfigJson &config, ModelReader &reader, StoredTensors &tensors,
                            std::vector<std::string> &notes) {
  quantized::Modules modules(tensors, reader.problems());
  if (!make(config, reader, modules))
    return false;
  for (const auto &[format, sizes] : modules.formats())
    notes.push_back(sizes_note(reader.text(quantized::key("quant_method"), ""), format, sizes));
  return true;
}

std::string quantized_tensor(const StoredTensors &tensors) {
  for (const auto &[name, tensor] : tensors.list)
    for (const char *end : {".qweight", ".weight_packed", ".weight_scale", ".weight_scale_inv",
                            ".weight.absmax", "_proj_blocks"})
      if (absl::EndsWith(name, end))
        return name;
  return "";
}

void adopt_quantization(const std::string &folder, const ConfigJson &config,
                        const StoredTensors &tensors, Problems &problems,
                        std::vector<std::string> &notes) {
  constexpr uint64_t kMaxBytes = 1'000'000;
  if (config.has("quantization_config") ||
      (!tensors.list.empty() && quantized_tensor(tensors).empty()))
    return;
  for (const auto &[file, method] :
       {std::pair{"quantize_config.json", "gptq"}, {"quant_config.json", "awq"}}) {
    const std::string path = absl::StrCat(folder, "/", file);
    std::error_code error;
    if (!std::filesystem::exists(path, error))
      continue;
    auto settings = read_json(path, kMaxBytes);
    if (!settings.ok())
      return problems.add_file(path, settings.status());
    if (!settings->is_object())
      return problems.add(path, "it is no JSON object", "download it again");
    if (!settings->contains("quant_method"))
      (*settings)["quant_method"] = settings->contains("w_bit") ? "awq" : method;
    if (settings->contains("q_group_size") && !settings->contains("group_size")) {
      (*settings)["group_size"] = (*settings)["q_group_size"]; // AutoAWQ's own name
      settings->erase("q_group_size");
    }
    config.add("quantization_config", *std::move(settings));
    notes.push_back(absl::StrCat(file, " is read as the quantization_config that config.json does "
                                       "not have"));
    return;
  }
}

PlannedFormats plan_quantized_weights(const ConfigJson &config, ModelReader &reader,
                                      const std::string &dtype, const std::string &head) {
  StoredTensors none;
  quantized::Modules modules(none, reader.problems());
  modules.plan_for({dtype, head});
  make(config, reader, modules);
  return modules.take_plan();
}

} // namespace quern::hf
