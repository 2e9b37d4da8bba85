// The goldens of tests/frontends/goldens, by name.
#ifndef QUERN_TESTS_FRONTENDS_FAMILIES_GOLDENFILES_H
#define QUERN_TESTS_FRONTENDS_FAMILIES_GOLDENFILES_H

#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace quern {

inline const std::string kGoldens = QUERN_SOURCE_DIR "/tests/frontends/goldens/";

/// Those in `folder`, "names/" being models that differ from others in what their files call
/// things.
inline std::vector<std::string> golden_names(const std::string &folder = "") {
  std::vector<std::string> names;
  for (const auto &entry : std::filesystem::directory_iterator(kGoldens + folder))
    if (entry.path().extension() == ".json")
      names.push_back(folder + entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

inline nlohmann::json read_golden(const std::string &name) {
  return nlohmann::json::parse(std::ifstream(kGoldens + name + ".json"));
}

/// Makes a quantized golden's checkpoint one of a single type of floats, as published ones are: the
/// scales' type is that of the weights that are not quantized, and the config's.
inline void make_uniform(nlohmann::json &golden) {
  std::string type = "F32";
  for (const auto &[name, tensor] : golden["tensors"].items())
    if (name.ends_with(".scales") || name.ends_with(".weight_scale"))
      type = tensor["dtype"];
  golden["config"]["dtype"] = type == "F16" ? "float16" : type == "BF16" ? "bfloat16" : "float32";
  for (auto &[name, tensor] : golden["tensors"].items()) {
    if ((name.ends_with(".weight") || name.ends_with(".bias")) && tensor.contains("mean"))
      tensor["dtype"] = type;
    if (name.ends_with(".weight_scale_inv") && tensor["dtype"] == "F8_E8M0")
      golden["config"]["quantization_config"]["scale_fmt"] = "ue8m0";
  }
}

} // namespace quern

#endif // QUERN_TESTS_FRONTENDS_FAMILIES_GOLDENFILES_H
