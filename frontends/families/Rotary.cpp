#include "frontends/families/Rotary.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>
#include <string>

namespace quern {

namespace {

constexpr double kMinTheta = 1.01;
constexpr double kMaxTheta = 1e15;
constexpr double kMaxFactor = 1e9;

/// theta^(-2i/dim), the unscaled frequencies.
std::vector<double> plain(ModelReader &model, std::string_view key, double theta, int64_t dim) {
  std::vector<double> frequencies;
  if (dim < 2 || dim % 2)
    model.problem(key, absl::StrCat(dim, " columns of a head cannot be rotated in pairs"));
  for (int64_t i = 0; i < dim; i += 2)
    frequencies.push_back(std::pow(theta, -double(i) / double(dim)));
  return frequencies;
}

/// YaRN (Peng et al., 2023), "NTK by parts": frequencies that turn more than `fast` times within
/// the original context stay, those that turn less than `slow` times are divided by the factor, and
/// between the two they blend.
struct Yarn {
  double theta;
  int64_t dim;
  double factor;
  double original; ///< context of the pretraining
  double fast = 32;
  double slow = 1;
  bool truncate = true; ///< the blend's ends to whole frequencies

  double index_of(double turns) const {
    return double(dim) * std::log(original / (turns * 2 * M_PI)) / (2 * std::log(theta));
  }
  void apply(std::vector<double> &frequencies) const {
    double low = index_of(fast), high = index_of(slow);
    if (truncate) {
      low = std::floor(low);
      high = std::ceil(high);
    }
    low = std::max(low, 0.0);
    high = std::min(high, double(dim - 1));
    if (low == high)
      high += 0.001;
    for (size_t i = 0; i < frequencies.size(); ++i) {
      double scaled = std::clamp((double(i) - low) / (high - low), 0.0, 1.0);
      frequencies[i] *= scaled / factor + (1 - scaled);
    }
  }
};

/// The paper's attention temperature; `weight` is DeepSeek's mscale.
double yarn_attention(double factor, double weight = 1) {
  return factor <= 1 ? 1 : 0.1 * weight * std::log(factor) + 1;
}

/// Llama 3.1's scaling: long wavelengths are divided by the factor, short ones stay, those between
/// blend.
void apply_llama3(std::vector<double> &frequencies, double factor, double low, double high,
                  double original) {
  for (double &f : frequencies) {
    double turns = original * f / (2 * M_PI);
    double keep = turns < low ? 0 : turns > high ? 1 : (turns - low) / (high - low);
    f *= (1 - keep) / factor + keep;
  }
}

/// Which set of LongRoPE's factors is taken is decided for all sequences at once: one that changed
/// as a sequence grew would make its logits depend on how it was cut into steps.
void note_long_factors(ModelReader &model, int64_t original) {
  model.note(absl::StrCat("positions are rotated as for sequences of more than ", original,
                          " tokens, short ones too; -c ", original,
                          " takes the factors for short sequences"));
}

recipe::Rope rope_of(const std::vector<double> &frequencies, double scale) {
  recipe::Rope rope;
  rope.inv_freq.assign(frequencies.begin(), frequencies.end());
  rope.scale = scale;
  return rope;
}

/// Refuses rope_parameters by kinds of layers where the family has no kinds, and the other way
/// round: which of its keys are meant is not to be guessed, and to pass over them is to compute
/// something else. `section`: the family's kind that scalings are of; `has_old`: rope_scaling
/// counts.
void check_kinds(ModelReader &model, const std::string &section, bool has_old) {
  constexpr const char *kKey = "rope_parameters";
  const bool by_kinds =
      model.has("rope_parameters.full_attention") || model.has("rope_parameters.sliding_attention");
  if (section.empty() && by_kinds) {
    model.problem(kKey, "it is by kinds of layers, and this family rotates all layers alike",
                  "the keys belong in rope_parameters itself");
    model.ignore({kKey});
  } else if (!section.empty() && !by_kinds && model.has(kKey) && !model.is_empty(kKey)) {
    model.problem(kKey, "it is not by kinds of layers, and this family rotates each in its own way",
                  "the keys belong in rope_parameters.full_attention and "
                  "rope_parameters.sliding_attention");
    model.ignore({kKey});
  } else if (!section.empty() && by_kinds && has_old) {
    model.problem("rope_scaling", "it is there beside rope_parameters by kinds of layers",
                  absl::StrCat("the keys belong in rope_parameters.", section));
    model.ignore({"rope_scaling"});
  }
}

} // namespace

recipe::Rope plain_rope(ModelReader &model, std::string_view key, double theta, int64_t dim) {
  return rope_of(plain(model, key, theta, dim), 1);
}

recipe::Rope rope_from_hf(ModelReader &model, int64_t head_dim, int64_t max_positions,
                          int64_t context, const RopeKeys &keys) {
  // transformers gives the old spelling precedence where a config has both. What is false or empty
  // is none there.
  const bool has_old = model.has("rope_scaling") && !model.is_empty("rope_scaling");
  if (!has_old)
    model.ignore({"rope_scaling"});
  if (keys.scaled)
    check_kinds(model, keys.section, has_old);
  std::string in = "rope_parameters.";
  if (!keys.section.empty() && (model.has(in + keys.section) || !keys.scaled))
    in += keys.section + ".";
  else if (has_old)
    in = "rope_scaling.";
  else if (!keys.section.empty()) // what is not of a kind of layers is of none
    in += keys.section + ".";
  if (in == "rope_scaling." && model.has("rope_parameters"))
    model.ignore({"rope_parameters"});
  // Settings of a scaling that is not the one in use, which transformers passes over.
  for (const char *key :
       {"factor", "original_max_position_embeddings", "attention_factor", "beta_fast", "beta_slow",
        "mscale", "mscale_all_dim", "truncate", "low_freq_factor", "high_freq_factor",
        "short_factor", "long_factor", "finetuned"})
    model.ignore({in + key});

  double theta = model.number(keys.theta_key, kMinTheta, kMaxTheta, keys.theta);
  theta = model.number(in + "rope_theta", kMinTheta, kMaxTheta, theta);
  int64_t dim = head_dim;
  if (keys.partial) {
    double part = model.number(keys.partial_key, 0, 1,
                               model.mentions(keys.partial_key) ? 1.0 : *keys.partial); // null: all
    part = model.number(in + "partial_rotary_factor", 0, 1, part);
    dim = static_cast<int64_t>(double(head_dim) * part);
  } else {
    model.expect_number(keys.partial_key, 1);
    model.expect_number(in + "partial_rotary_factor", 1);
  }
  std::string type = model.text(in + "type", "default");
  type = model.text(in + "rope_type", type);

  if (type == "yarn" && keys.yarn_is_longrope)
    type = "longrope";

  std::vector<double> frequencies = plain(model, "head_dim", theta, dim);
  if (type == "default")
    return rope_of(frequencies, 1);

  // The pretraining's context; a key outside of the object wins, as in transformers.
  auto original = [&] {
    int64_t value = model.integer(in + "original_max_position_embeddings", 1, recipe::kMaxContext,
                                  max_positions);
    return model.integer("original_max_position_embeddings", 1, recipe::kMaxContext,
                         keys.original.value_or(value));
  };
  if (type == "linear") {
    double factor = model.number(in + "factor", 1 / kMaxFactor, kMaxFactor);
    for (double &f : frequencies)
      f /= factor;
    return rope_of(frequencies, 1);
  }
  if (type == "dynamic" && model.has(in + "alpha")) {
    // Hunyuan's: a base stretched once and for all. The rest is of scalings it does not use.
    double alpha = model.number(in + "alpha", 1 / kMaxFactor, kMaxFactor);
    model.ignore(
        {in + "factor", in + "beta_fast", in + "beta_slow", in + "mscale", in + "mscale_all_dim"});
    theta *= std::pow(alpha, double(dim) / double(dim - 2));
    return plain_rope(model, "head_dim", theta, dim);
  }
  if (type == "longrope" || type == "su") {
    std::vector<double> short_factor = model.numbers(in + "short_factor");
    std::vector<double> long_factor = model.numbers(in + "long_factor");
    const int64_t limit = original();
    double factor = model.number(in + "factor", 1 / kMaxFactor, kMaxFactor,
                                 double(max_positions) / double(limit));
    double scale = factor <= 1 ? 1 : std::sqrt(1 + std::log(factor) / std::log(double(limit)));
    scale = model.number(in + "attention_factor", 1 / kMaxFactor, kMaxFactor, scale);
    const bool is_long = context > limit;
    if (is_long && long_factor != short_factor)
      note_long_factors(model, limit);
    const std::vector<double> &factors = is_long ? long_factor : short_factor;
    const char *which = is_long ? "long_factor" : "short_factor";
    if (factors.size() != frequencies.size()) {
      model.problem(in + which, absl::StrCat("it has ", factors.size(), " factors for ",
                                             frequencies.size(), " frequencies"));
      return rope_of(frequencies, scale);
    }
    for (size_t i = 0; i < frequencies.size(); ++i) {
      if (!(factors[i] >= 1 / kMaxFactor && factors[i] <= kMaxFactor)) {
        model.problem(in + which, absl::StrCat("factor ", i, " is not above 0"));
        break;
      }
      frequencies[i] /= factors[i];
    }
    return rope_of(frequencies, scale);
  }
  if (type == "dynamic") {
    model.number(in + "factor", 1 / kMaxFactor, kMaxFactor);
    original();
    // Up to max_positions the scaled base is the base itself.
    if (context > max_positions)
      model.problem(in + "rope_type",
                    absl::StrCat("dynamic scaling changes every position's angle once a sequence "
                                 "is longer than ",
                                 max_positions, ", and ", context, " are asked for"),
                    absl::StrCat("compile with -c ", max_positions));
    return rope_of(frequencies, 1);
  }
  if (type == "llama3") {
    double factor = model.number(in + "factor", 1 / kMaxFactor, kMaxFactor);
    double low = model.number(in + "low_freq_factor", 1 / kMaxFactor, kMaxFactor);
    double high = model.number(in + "high_freq_factor", 1 / kMaxFactor, kMaxFactor);
    if (high <= low)
      model.problem(in + "high_freq_factor", "it is not above low_freq_factor");
    else
      apply_llama3(frequencies, factor, low, high, double(original()));
    return rope_of(frequencies, 1);
  }
  if (type == "yarn") {
    Yarn yarn{theta, dim, 0, double(original())};
    yarn.factor = model.number(in + "factor", 1 / kMaxFactor, kMaxFactor,
                               double(max_positions) / yarn.original);
    // 0 stands for the default here, as in transformers.
    if (double fast = model.number(in + "beta_fast", 0, kMaxFactor, 0.0))
      yarn.fast = fast;
    if (double slow = model.number(in + "beta_slow", 0, kMaxFactor, 0.0))
      yarn.slow = slow;
    yarn.truncate = model.boolean(in + "truncate", true);
    double mscale = model.number(in + "mscale", 0, kMaxFactor, 0.0);
    double mscale_all = model.number(in + "mscale_all_dim", 0, kMaxFactor, 0.0);
    double scale = mscale != 0 && mscale_all != 0 ? yarn_attention(yarn.factor, mscale) /
                                                        yarn_attention(yarn.factor, mscale_all)
                                                  : yarn_attention(yarn.factor);
    scale = model.number(in + "attention_factor", 1 / kMaxFactor, kMaxFactor, scale);
    yarn.apply(frequencies);
    return rope_of(frequencies, scale);
  }
  model.problem(in + "rope_type", absl::StrCat("the scaling '", type, "' is not known"),
                "Quern knows default, linear, dynamic, llama3, longrope and yarn");
  return rope_of(frequencies, 1);
}

namespace {

/// Divides frequencies by the values of one of GGUF's tensors of factors.
void divide_by_tensor(ModelReader &model, const std::string &tensor,
                      std::vector<double> &frequencies) {
  absl::StatusOr<std::vector<float>> factors = model.tensor_values(tensor);
  if (!factors.ok()) {
    model.problems().add(tensor, factors.status());
    return;
  }
  if (factors->size() != frequencies.size()) {
    model.problems().add(tensor, absl::StrCat("it has ", factors->size(), " factors for ",
                                              frequencies.size(), " frequencies"));
    return;
  }
  for (size_t i = 0; i < frequencies.size(); ++i) {
    if (!((*factors)[i] > 0)) {
      model.problems().add(tensor, absl::StrCat("factor ", i, " is not above 0"));
      return;
    }
    frequencies[i] /= (*factors)[i];
  }
}

/// The tensors of factors: one for all lengths (Llama 3), or one of two (LongRoPE).
void apply_factors(ModelReader &model, int64_t original, int64_t context,
                   std::vector<double> &frequencies) {
  static const std::string kAll = "rope_freqs.weight";
  static const std::string kLong = "rope_factors_long.weight";
  static const std::string kShort = "rope_factors_short.weight";
  if (model.has_tensor(kAll))
    divide_by_tensor(model, kAll, frequencies);
  if (!model.has_tensor(kLong) && !model.has_tensor(kShort))
    return;
  const bool is_long = context > original;
  for (const std::string &tensor : {kLong, kShort})
    if (model.has_tensor(tensor)) {
      if ((tensor == kLong) == is_long)
        divide_by_tensor(model, tensor, frequencies);
      else
        (void)model.tensor_values(tensor); // it has its place, and is not used
    }
  if (is_long)
    note_long_factors(model, original);
}

} // namespace

double gguf_rope_base(ModelReader &model) {
  const GgufRopeKeys keys;
  return model.number(keys.base_key, kMinTheta, kMaxTheta, keys.base);
}

recipe::Rope rope_from_gguf(ModelReader &model, int64_t dim, int64_t max_positions, int64_t context,
                            const GgufRopeKeys &keys) {
  double theta = model.number(keys.base_key, kMinTheta, kMaxTheta, keys.base);
  if (const double alpha =
          keys.alpha ? model.number("rope.scaling.alpha", 0, kMaxFactor, 0.0) : 0.0;
      alpha > 0 && dim > 2)
    theta *= std::pow(alpha, double(dim) / double(dim - 2));
  std::vector<double> frequencies = plain(model, "rope.dimension_count", theta, dim);
  if (!keys.scaled)
    return rope_of(frequencies, 1);

  const int64_t original =
      model.integer("rope.scaling.original_context_length", 1, recipe::kMaxContext, max_positions);
  apply_factors(model, original, context, frequencies);
  std::string type = model.text("rope.scaling.type", "linear");
  // rope.scale_linear is how files from before rope.scaling spelled the factor; 0 means none.
  double factor = model.number("rope.scale_linear", 0, kMaxFactor, 0.0);
  factor = model.number("rope.scaling.factor", 0, kMaxFactor, factor);
  if (factor == 0)
    factor = 1;
  const double attention =
      model.number("rope.scaling.attn_factor", 1 / kMaxFactor, kMaxFactor, 1.0);
  model.ignore({"rope.scaling.finetuned"});
  // llama.cpp has YaRN with the paper's values in architectures where it does not read these keys.
  if (!keys.yarn_keys || type != "yarn")
    model.ignore({"rope.scaling.yarn_beta_fast", "rope.scaling.yarn_beta_slow",
                  "rope.scaling.yarn_ext_factor", "rope.scaling.yarn_attn_factor",
                  "rope.scaling.yarn_log_multiplier"});

  if (type == "none")
    return rope_of(frequencies, attention);
  if (type == "linear" || type == "longrope") {
    for (double &f : frequencies)
      f /= factor;
    return rope_of(frequencies, attention);
  }
  if (type == "yarn") {
    Yarn yarn{theta, dim, factor, double(original)};
    double scale = yarn_attention(factor);
    if (keys.yarn_keys) {
      yarn.fast = model.number("rope.scaling.yarn_beta_fast", 1 / kMaxFactor, kMaxFactor, 32.0);
      yarn.slow = model.number("rope.scaling.yarn_beta_slow", 1 / kMaxFactor, kMaxFactor, 1.0);
      // DeepSeek's mscale_all_dim, over an mscale of 1.
      if (double weight = model.number("rope.scaling.yarn_log_multiplier", 0, kMaxFactor, 0.0))
        scale = keys.yarn_of_scores ? 1 : scale / yarn_attention(factor, weight);
      model.ignore({"rope.scaling.yarn_ext_factor", "rope.scaling.yarn_attn_factor"});
    }
    yarn.apply(frequencies);
    return rope_of(frequencies, attention * scale);
  }
  model.problem("rope.scaling.type", absl::StrCat("the scaling '", type, "' is not known"),
                "Quern knows none, linear, longrope and yarn");
  return rope_of(frequencies, 1);
}

} // namespace quern
