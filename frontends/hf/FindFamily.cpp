#include "frontends/hf/FindFamily.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <optional>
#include <string_view>

namespace quern::hf {
namespace {

/// What the names of classes with other heads, or that see the whole text at once, have in them.
constexpr std::string_view kOtherHeads[] = {
    "forsequenceclassification",
    "fortokenclassification",
    "forquestionanswering",
    "formultiplechoice",
    "fornextsentenceprediction",
    "formaskedlm",
    "formntp",
    "forimageclassification",
    "foraudioclassification",
    "forreward",
    "rewardmodel",
    "forprocessreward",
    "forscore",
    "valuehead",
    "bidirectional",
    "encodermodel",
};

/// And what those of encoders may have: they score texts, or were trained with such a head.
constexpr std::string_view kHeadsOfEncoders[] = {"forsequenceclassification", "formaskedlm"};

bool has_another_head(const Family &family, const std::string &name) {
  const std::string lower = absl::AsciiStrToLower(name);
  const auto has = [&](std::string_view part) { return lower.find(part) != std::string::npos; };
  if (family.encodes && std::ranges::any_of(kHeadsOfEncoders, has))
    return false;
  return std::ranges::any_of(kOtherHeads, has);
}

/// `architectures`: a list, or one name. Empty if it says nothing.
std::vector<std::string> class_names(const ConfigJson &config, Problems &problems) {
  if (config.is_string("architectures"))
    return {config.get_string("architectures").value_or("")};
  if (!config.has("architectures"))
    return {};
  absl::StatusOr<std::vector<std::string>> names = config.get_strings("architectures");
  if (!names.ok())
    problems.add("architectures", names.status());
  return std::move(names).value_or(std::vector<std::string>());
}

const Family *family_of_type(const std::string &type, Problems &problems) {
  if (const Family *family = find_hf_family(type))
    return family;
  const Family *near = find_hf_family(absl::AsciiStrToLower(type));
  problems.add("model_type", absl::StrCat("the family '", type, "' is not known"),
               near ? absl::StrCat("did you mean '", near->name, "'?")
                    : absl::StrCat("Quern knows ", hf_family_names()));
  return nullptr;
}

/// Whether it is a config of the package `mamba_ssm`, which has no model_type and no architectures.
bool is_of_mamba_ssm(const ConfigJson &config) {
  return config.has("d_model") && config.has("n_layer") && config.has("ssm_cfg");
}

} // namespace

const Family *find_family(const ConfigJson &config, Problems &problems,
                          std::vector<std::string> &notes) {
  const std::vector<std::string> names = class_names(config, problems);
  const Family *family = nullptr;
  if (config.has("model_type")) {
    absl::StatusOr<std::string> type = config.get_string("model_type");
    if (!type.ok()) {
      problems.add("model_type", type.status());
      return nullptr;
    }
    const absl::StatusOr<ConfigJson> text = config.get_object("text_config");
    const std::string of_text =
        text.ok() ? text->get_string("model_type").value_or("") : std::string();
    if (!find_hf_family(*type) && find_hf_family(of_text)) {
      problems.add("model_type", absl::StrCat("the family '", *type, "' is not known"),
                   absl::StrCat("Quern knows its language model, a ", of_text, ", but not what a ",
                                *type, " makes of it: save the language model by itself"));
      return nullptr;
    }
    family = family_of_type(*type, problems);
  } else if (config.has("ssm_cfg")) { // which no other config has
    family = find_hf_family("mamba_ssm");
    notes.push_back("config.json has no model_type: the model is taken for one of mamba_ssm's, by "
                    "its ssm_cfg");
  } else {
    for (const std::string &name : names)
      if (const Family *found = find_hf_architecture(name)) {
        if (family && family != found) {
          family = nullptr; // they do not agree
          break;
        }
        family = found;
      }
    if (family) {
      notes.push_back(absl::StrCat("config.json has no model_type: the model is taken for ",
                                   family->name, ", by its architectures"));
    } else if (is_of_mamba_ssm(config)) {
      family = find_hf_family("mamba_ssm");
    }
    if (!family)
      problems.add("model_type", "this key is missing, and architectures names no family",
                   absl::StrCat("take the file as it was published with the model; Quern knows ",
                                hf_family_names()));
  }
  if (!family || names.empty())
    return family;
  if (std::ranges::all_of(names,
                          [&](const std::string &name) { return has_another_head(*family, name); }))
    problems.add("architectures",
                 absl::StrCat("the model is a ", absl::StrJoin(names, ", "),
                              ", which has another head than ",
                              family->encodes ? "those that Quern reads" : "a language model's"),
                 family->encodes ? absl::StrCat("of this family Quern compiles encoders, ",
                                                family->hf_architecture,
                                                ", and classes ForSequenceClassification")
                                 : absl::StrCat("Quern compiles language models of this family, ",
                                                family->hf_architecture));
  for (const std::string &name : names)
    if (const Family *other = find_hf_architecture(name); other && other != family)
      notes.push_back(absl::StrCat("architectures names ", name,
                                   ", of another family; model_type '", family->name,
                                   "' decides, as in transformers"));
  return family;
}

} // namespace quern::hf
