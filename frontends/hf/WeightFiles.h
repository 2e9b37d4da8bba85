// Which of a folder's files are the model's weights.
//
// Folders have more in them than one model: a second set of weights in another layout, shards that
// were left over, an adapter, an unfinished download. What is read is what transformers would read;
// what else is there is said.
#ifndef QUERN_FRONTENDS_HF_WEIGHTFILES_H
#define QUERN_FRONTENDS_HF_WEIGHTFILES_H

#include <absl/status/statusor.h>

#include <map>
#include <string>
#include <vector>

namespace quern::hf {

struct WeightsChoice {
  std::string path;               ///< a .safetensors file, or an index
  std::vector<std::string> notes; ///< what else there is, and that it is not read
};

/// model.safetensors, else model.safetensors.index.json, else the only .safetensors file that is no
/// adapter and in no other naming. The error says what the folder has instead.
absl::StatusOr<WeightsChoice> choose_weights(const std::string &folder);

/// An index's files by tensor; every name is that of a file beside the index.
absl::StatusOr<std::map<std::string, std::string>> read_weights_index(const std::string &path);

/// What to do with weights in a .pth file, in which those of the `rwkv` package come.
std::string pth_hint(const std::string &file);
/// The first .pth file of a folder; "" where it has none.
std::string find_pth(const std::string &folder);

/// What a folder that has adapter_config.json says about itself, as an error's text with its hint;
/// "" where it has none.
std::string adapter_text(const std::string &folder);

} // namespace quern::hf

#endif // QUERN_FRONTENDS_HF_WEIGHTFILES_H
