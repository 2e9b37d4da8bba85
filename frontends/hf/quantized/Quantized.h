// Checkpoints whose weights are quantized: what `quantization_config` in config.json says.
//
// Each scheme has a file here that finds the tensors its modules are stored as and describes the
// weight they make (ir/weights/CodedWeight.h). Families know nothing of it: they ask for `m.weight`
// and find it. What is quantized the files themselves say, by the tensors a module has; modules
// that were left out (lm_head, `modules_to_not_convert`, `ignore`) have a plain `m.weight`.
#ifndef QUERN_FRONTENDS_HF_QUANTIZED_QUANTIZED_H
#define QUERN_FRONTENDS_HF_QUANTIZED_QUANTIZED_H

#include "frontends/families/ModelReader.h"
#include "frontends/hf/ConfigJson.h"

#include <functional>
#include <string>
#include <vector>

namespace quern::hf {

/// What quantization_config alone says of the weights.
struct PlannedFormats {
  /// The format that the weight [outputs, inputs] of a module will have; "": it is not quantized.
  /// Null where nothing can be told.
  std::function<std::string(const std::string &module, int64_t outputs, int64_t inputs,
                            bool linear)>
      format_of;
  /// What the settings do not say and is taken to be so, for a note; empty: nothing.
  std::string assumed;
};

/// The same settings as make_quantized_weights reads, where there are no tensors. `dtype`: what the
/// config says that floats are, "" where it does not. `head`: the module of the logits.
PlannedFormats plan_quantized_weights(const ConfigJson &config, ModelReader &reader,
                                      const std::string &dtype, const std::string &head);

/// Puts the weights of quantized modules into `tensors`, in the place of the tensors they are made
/// of. Settings are read through `reader`, of which `config` is the config. Notes are for the user.
/// False: the scheme is none that Quern reads, which is a problem, and nothing was done.
bool make_quantized_weights(const ConfigJson &config, ModelReader &reader, StoredTensors &tensors,
                            std::vector<std::string> &notes);

/// A tensor that only quantized modules have, whatever the scheme; "" where there is none.
std::string quantized_tensor(const StoredTensors &tensors);

/// Gives a config that has no quantization_config the one in quantize_config.json or
/// quant_config.json beside it, where AutoGPTQ and AutoAWQ wrote it, if there are quantized tensors
/// or none at all (weights are made up). A file that cannot be read is a problem.
void adopt_quantization(const std::string &folder, const ConfigJson &config,
                        const StoredTensors &tensors, Problems &problems,
                        std::vector<std::string> &notes);

namespace quantized {

class Modules;

/// The path of a key in quantization_config.
inline std::string key(std::string_view name) { return "quantization_config." + std::string(name); }

// One a file. What is wrong with the settings goes to the reader's problems; false if there was
// such. What of it is quantized the tensors say; where there are none, Modules::plan is told.
bool gptq(const ConfigJson &config, ModelReader &reader, Modules &modules);
bool awq(const ConfigJson &config, ModelReader &reader, Modules &modules);
bool compressed_tensors(const ConfigJson &config, ModelReader &reader, Modules &modules);
bool bits_and_bytes(const ConfigJson &config, ModelReader &reader, Modules &modules);
bool fp8(const ConfigJson &config, ModelReader &reader, Modules &modules);
bool mxfp4(const ConfigJson &config, ModelReader &reader, Modules &modules);

} // namespace quantized
} // namespace quern::hf

#endif // QUERN_FRONTENDS_HF_QUANTIZED_QUANTIZED_H
