// compressed-tensors, as llm-compressor writes it: weight-only integers, e4m3 floats, and
// microscaling fp4.
//
// config_groups says by name or class which modules are quantized how. Packed, a module has
// `weight_packed` (words along the inputs), `weight_shape`, `weight_scale`, `weight_zero_point` if
// asymmetric and `weight_g_idx` if columns were reordered; unpacked, `weight` is i8 or e4m3. The
// library multiplies in the type of the scales; here products of a 16-bit scale are exact.
#include "frontends/hf/quantized/Modules.h"
#include "frontends/hf/quantized/Quantized.h"
#include "runtime/text/Regex.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstring>

namespace quern::hf::quantized {
namespace {

using weights::Element;

/// How the modules that `targets` name are quantized.
struct Scheme {
  std::vector<std::string> targets;
  int bits = 8;
  bool e4m3 = false;
  bool mxfp4 = false;
  bool symmetric = true;
  std::string strategy; ///< of scales: tensor, channel, group or block
  int64_t group = 0;
  std::vector<int64_t> block;
  bool reordered = false; ///< columns are out of order (actorder "group")
};

/// Whether `target` is the module's name, or `re:` and a pattern that matches from its beginning.
absl::StatusOr<bool> names(const std::string &target, const std::string &module) {
  if (!absl::StartsWith(target, "re:"))
    return target == module;
  const absl::StatusOr<text::Regex> pattern = text::Regex::create(target.substr(3));
  if (!pattern.ok())
    return pattern.status();
  text::Regex::Matches matches(*pattern, module);
  const bool found = matches.next() && matches.begin() == 0;
  return matches.status().ok() ? absl::StatusOr<bool>(found) : matches.status();
}

/// Reads quantization_config; problems go to the reader.
class Config {
public:
  Config(const ConfigJson &config, ModelReader &reader) : config_(config), reader_(reader) {}

  void read() {
    const std::string format = reader_.text(key("format"), "");
    check_format("format", format);
    for (const char *name : {"sparsity_config", "transform_config"})
      check_absent(name);
    if (reader_.has(key("kv_cache_scheme")))
      reader_.note(absl::StrCat(key("kv_cache_scheme"),
                                " is passed over: it is for a cache that is quantized as it says, "
                                "and Quern's holds keys and values as they are computed"));
    reader_.ignore({key("kv_cache_scheme")});
    ignored_ = reader_.texts(key("ignore"));
    for (const char *name :
         {"global_compression_ratio", "quantization_status", "version", "compression_ratio"})
      reader_.ignore({key(name)});
    const auto top = config_.get_object("quantization_config");
    const auto groups = top.ok() ? top->get_object("config_groups") : top.status();
    if (!groups.ok() || groups->keys().empty()) {
      reader_.ignore({key("config_groups")});
      return reader_.problem(key("config_groups"), "it should say how modules are quantized",
                             "take config.json as it was published with the model");
    }
    for (const std::string &name : groups->keys())
      read_group("config_groups." + name);
  }

  bool ignores(const std::string &module) const {
    for (const std::string &target : ignored_)
      if (absl::StatusOr<bool> is = names(target, module); is.ok() && *is)
        return true;
    return false;
  }

  /// The scheme of a module: of the group that names it, else of one for all of its class.
  const Scheme *scheme_of(const std::string &module, bool linear) const {
    const Scheme *found = nullptr;
    for (const Scheme &scheme : schemes_)
      for (const std::string &target : scheme.targets) {
        if (absl::StatusOr<bool> is = names(target, module); is.ok() && *is)
          return &scheme;
        if (!found && target == (linear ? "Linear" : "Embedding"))
          found = &scheme;
      }
    return found;
  }

private:
  void check_format(const std::string &where, const std::string &format) {
    if (format != "" && format != "pack-quantized" && format != "int-quantized" &&
        format != "naive-quantized" && format != "float-quantized" &&
        format != "mxfp4-pack-quantized")
      reader_.problem(key(where),
                      absl::StrCat("compressed-tensors of the format '", format, "' are not read"),
                      "Quern reads pack-quantized, int-quantized, naive-quantized, "
                      "float-quantized and mxfp4-pack-quantized; or take the unquantized model, "
                      "and quantize with --quant");
  }

  /// A section that would change what is computed; empty, or dense, it does not.
  void check_absent(const char *name) {
    const std::string path = key(name);
    if (reader_.has(path) && reader_.text(path + ".format", "") != "dense") {
      const auto top = config_.get_object("quantization_config");
      const auto object = top.ok() && top->is_object(name) ? top->get_object(name) : top;
      if (!object.ok() || !top->is_object(name) || !object->keys().empty())
        reader_.problem(path, "Quern does not read compressed-tensors that have this",
                        "take the unquantized model, and quantize with --quant");
    }
    reader_.ignore({path});
  }

  void read_group(const std::string &group) {
    Scheme scheme;
    scheme.targets = reader_.texts(key(group + ".targets"));
    for (const std::string &target : scheme.targets)
      if (absl::StatusOr<bool> is = names(target, ""); !is.ok())
        reader_.problem(key(group + ".targets"), std::string(is.status().message()));
    check_format(group + ".format", reader_.text(key(group + ".format"), ""));
    const std::string weights = group + ".weights.", type_key = weights + "type";
    scheme.bits = static_cast<int>(reader_.integer(key(weights + "num_bits"), 1, 8, 8));
    const std::string type = reader_.text(key(type_key), "int");
    scheme.e4m3 = type == "float" && scheme.bits == 8;
    scheme.mxfp4 = type == "float" && scheme.bits == 4;
    if (type != "int" && !scheme.e4m3 && !scheme.mxfp4)
      reader_.problem(key(type_key),
                      absl::StrCat("weights of ", scheme.bits, "-bit ", type, "s are not read"),
                      "take the unquantized model, and quantize with --quant");
    check_activations(group + ".input_activations", scheme.e4m3);
    check_activations(group + ".output_activations", false);
    scheme.symmetric = reader_.boolean(key(weights + "symmetric"), true);
    reader_.expect(key(weights + "dynamic"), false);
    const int64_t group_size =
        reader_.integer(key(weights + "group_size"), -1, int64_t{1} << 30, 0);
    scheme.strategy = reader_.text(key(weights + "strategy"), group_size > 0     ? "group"
                                                              : group_size == -1 ? "channel"
                                                                                 : "tensor");
    if (scheme.strategy == "group" && (scheme.group = group_size) < 1)
      reader_.problem(key(weights + "group_size"), "groups have no size");
    if (scheme.mxfp4 && (scheme.group != 32 || !scheme.symmetric))
      reader_.problem(key(weights + "group_size"),
                      "4-bit floats are read in groups of 32, whose scales are powers of two",
                      "take the unquantized model, and quantize with --quant");
    for (const double size : reader_.numbers(key(weights + "block_structure")))
      scheme.block.push_back(size >= 1 && size <= 1 << 20 ? static_cast<int64_t>(size) : 0);
    if (scheme.strategy == "block"
            ? scheme.block.size() != 2 || scheme.block[0] < 1 || scheme.block[1] < 1
            : scheme.strategy != "group" && scheme.strategy != "channel" &&
                  scheme.strategy != "tensor")
      reader_.problem(key(weights + "strategy"),
                      absl::StrCat("scales by '", scheme.strategy, "' are not read"),
                      "Quern reads tensor, channel, group and block, of two sizes");
    // Columns that were reordered say so by weight_g_idx; this is for where there are no tensors.
    scheme.reordered = orders_by_group(weights);
    for (const char *name : {"actorder", "observer", "observer_kwargs", "scale_dtype", "zp_dtype"})
      reader_.ignore({key(weights + name)});
    schemes_.push_back(std::move(scheme));
  }

  /// Whether actorder keeps columns in the order in which they were quantized.
  bool orders_by_group(std::string_view weights) const {
    absl::StatusOr<ConfigJson> object = config_.get_object("quantization_config");
    for (size_t dot; object.ok() && (dot = weights.find('.')) != weights.npos;
         weights.remove_prefix(dot + 1))
      object = object->get_object(weights.substr(0, dot));
    if (!object.ok() || !object->is_string("actorder"))
      return false;
    const absl::StatusOr<std::string> order = object->get_string("actorder");
    return order.ok() && (*order == "group" || *order == "dynamic");
  }

  /// Rows of activations are no business of the weights'; but only floats quantized on the fly are
  /// so close to what they were that leaving them alone is not another model.
  void check_activations(const std::string &where, bool floats) {
    if (reader_.has(key(where))) {
      if (!floats || !reader_.boolean(key(where + ".dynamic"), false))
        reader_.problem(key(where), "Quern does not read models with quantized activations",
                        "take one with quantized weights alone, or the unquantized model, and "
                        "quantize with --quant");
    }
    reader_.ignore({key(where)});
  }

  const ConfigJson &config_;
  ModelReader &reader_;
  std::vector<std::string> ignored_;
  std::vector<Scheme> schemes_;
};

/// The format of a module's weight, as far as the settings say.
std::string planned(const Scheme &scheme, const std::string &dtype, int64_t outputs,
                    int64_t inputs) {
  if (scheme.e4m3)
    return "f32";
  if (scheme.mxfp4)
    return "mxfp4";
  IntegerPlan plan{.coded = {.layout = weights::Layout::Words,
                             .bits = scheme.bits,
                             .group = scheme.strategy == "group"   ? scheme.group
                                      : scheme.strategy == "block" ? scheme.block[1]
                                                                   : -1},
                   .symmetric = scheme.symmetric,
                   .reordered = scheme.reordered};
  plan.coded.scales.element = scales_of(dtype);
  return planned_format(plan, outputs, inputs);
}

/// The two numbers of `weight_shape`.
Shape written_shape(Module &module) {
  const auto bytes = module.bytes("weight_shape", 16);
  Shape shape;
  if (bytes.size() == 16) {
    shape.resize(2);
    std::memcpy(shape.data(), bytes.data(), 16);
  } else if (bytes.size() == 8) {
    int32_t narrow[2];
    std::memcpy(narrow, bytes.data(), 8);
    shape = {narrow[0], narrow[1]};
  }
  const auto bad = [](int64_t n) { return n < 1 || n >= int64_t{1} << 40; };
  if (module.ok() && (shape.size() != 2 || bad(shape[0]) || bad(shape[1])))
    module.problem("weight_shape", "it should be two sizes", "take all of the model's files again");
  return module.ok() ? shape : Shape{1, 1};
}

/// Two codes a byte, the first in the low bits, and exponents.
void make_mxfp4(Module module) {
  const Shape stored = module.shape("weight_packed", 2);
  if (!module.ok())
    return module.finish({}, 0, 0, "");
  const int64_t outputs = stored[0], inputs = 2 * stored[1];
  weights::Coded coded{.layout = weights::Layout::Mxfp4, .bits = 4, .group = 32};
  coded.codes = module.part("weight_packed", {Element::U8}, {});
  coded.scales =
      module.part("weight_scale", {Element::U8, Element::E8M0}, {{outputs, (inputs + 31) / 32}});
  coded.scales.element = Element::E8M0;
  module.finish(coded, outputs, inputs, "compressed-tensors, 4 bits (mxfp4)");
}

void make(const Scheme &scheme, bool packed, Module module) {
  const char *codes_name = packed ? "weight_packed" : "weight";
  const Shape stored = module.shape(codes_name, 2);
  Shape shape = packed ? written_shape(module) : stored;
  if (!module.ok())
    return module.finish({}, 0, 0, "");
  const int64_t outputs = shape[0], inputs = shape[1];
  weights::Coded coded{.layout = packed ? weights::Layout::Words : weights::Layout::Bytes,
                       .bits = scheme.bits,
                       .group = scheme.strategy == "group"   ? scheme.group
                                : scheme.strategy == "block" ? scheme.block[1]
                                                             : inputs,
                       .group_rows = scheme.strategy == "block"    ? scheme.block[0]
                                     : scheme.strategy == "tensor" ? outputs
                                                                   : 1};
  const int64_t groups = (inputs - 1) / coded.group + 1;
  const int64_t row_groups = (outputs - 1) / coded.group_rows + 1;
  Shape scales = {row_groups, groups}, one = scheme.strategy == "tensor" ? Shape{1} : scales,
        none = scheme.strategy == "tensor" ? Shape{} : scales;
  if (packed)
    coded.codes =
        module.part(codes_name, {Element::I32}, {{outputs, (inputs * scheme.bits - 1) / 32 + 1}});
  else
    coded.codes = module.part(codes_name, {scheme.e4m3 ? Element::E4M3 : Element::I8}, {});
  coded.scales =
      module.part("weight_scale", {Element::F16, Element::BF16, Element::F32}, {scales, one, none});
  if (!scheme.symmetric && !scheme.e4m3) {
    const bool words = packed && scheme.strategy != "tensor";
    if (words)
      coded.zeros = module.part("weight_zero_point", {Element::I32},
                                {{(row_groups * scheme.bits - 1) / 32 + 1, groups}});
    else
      coded.zeros = module.part("weight_zero_point", {Element::I8}, {scales, one, none});
  }
  if (module.has("weight_g_idx"))
    coded.groups = module.part("weight_g_idx", {Element::I32}, {{inputs}});
  module.finish(
      coded, outputs, inputs,
      absl::StrCat("compressed-tensors, ", scheme.bits, scheme.e4m3 ? " bits (e4m3)" : " bits"));
}

/// What belongs to kv_cache_scheme: how a cache would round, not what the weights are.
void pass_over_cache_scales(StoredTensors &tensors) {
  for (const auto &[name, tensor] : tensors.list)
    for (const char *of : {".k_", ".v_", ".q_", ".kv_", ".k_proj.output_", ".v_proj.output_"})
      for (const char *what : {"scale", "zero_point"})
        if (absl::EndsWith(name, absl::StrCat(of, what)))
          tensors.harmless[name] = "numbers of a quantized cache are not used";
}

} // namespace

bool compressed_tensors(const ConfigJson &json, ModelReader &reader, Modules &modules) {
  const size_t before = reader.problems().size();
  Config config(json, reader);
  config.read();
  if (reader.problems().size() > before)
    return false;
  if (const auto &plan = modules.planned())
    modules.plan({[config, dtype = plan->dtype](const std::string &module, int64_t outputs,
                                                int64_t inputs, bool linear) {
                    const Scheme *scheme = config.scheme_of(module, linear);
                    return scheme && !config.ignores(module)
                               ? planned(*scheme, dtype, outputs, inputs)
                               : std::string();
                  },
                  absl::StrCat("modules are quantized as config_groups and ignore say, with scales "
                               "of ",
                               std::string(weights::element_name(scales_of(plan->dtype))))});
  for (const bool packed : {true, false})
    for (const std::string &name : modules.with("weight_scale")) {
      Module module(modules, name);
      if (module.has("weight_packed") != packed)
        continue;
      // By name, as files have no classes; an embedding's is quantized seldom, and then so called.
      const Scheme *scheme = config.scheme_of(name, !absl::EndsWith(name, "embed_tokens"));
      if (!scheme || config.ignores(name))
        modules.problems().add(name, "the files have it quantized, and config.json has it not",
                               "take all of the model's files again");
      else if (scheme->mxfp4)
        make_mxfp4(std::move(module));
      else
        make(*scheme, packed, std::move(module));
    }
  pass_over_cache_scales(modules.tensors());
  return true;
}

} // namespace quern::hf::quantized
