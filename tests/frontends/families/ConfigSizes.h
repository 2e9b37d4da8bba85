// The sizes that config.json says by the names of many families.
#ifndef QUERN_TESTS_FRONTENDS_FAMILIES_CONFIGSIZES_H
#define QUERN_TESTS_FRONTENDS_FAMILIES_CONFIGSIZES_H

#include <nlohmann/json.hpp>

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>

namespace quern {

class ConfigSizes {
public:
  explicit ConfigSizes(const nlohmann::json &config)
      : config_(config), type_(config["model_type"]) {}

  bool has(const std::string &key) const {
    return config_.contains(key) && !config_[key].is_null();
  }
  std::optional<double> number(std::initializer_list<const char *> keys) const {
    for (const char *key : keys)
      if (has(key))
        return config_[key].get<double>();
    return std::nullopt;
  }
  double mlp() const {
    if (type_ == "lfm2" && config_["block_auto_adjust_ff_dim"]) {
      const double part = std::floor(2 * config_["intermediate_size"].get<double>() / 3);
      const double multiple = config_["block_multiple_of"];
      return std::ceil(part / multiple) * multiple;
    }
    if (type_ == "dbrx")
      return config_["ffn_config"]["ffn_hidden_size"];
    return number({"intermediate_size", "ffn_hidden_size", "n_inner"})
        .value_or(4 * double(hidden()));
  }
  int64_t hidden() const {
    return static_cast<int64_t>(*number({"hidden_size", "n_embd", "d_model"}));
  }
  int64_t heads() const {
    return static_cast<int64_t>(*number({"num_attention_heads", "n_head", "n_heads"}));
  }
  int64_t kv_heads() const {
    if (type_ == "falcon" && config_["multi_query"] && !config_["new_decoder_architecture"])
      return 1;
    if (type_ == "dbrx")
      return config_["attn_config"]["kv_n_heads"];
    const auto n = number({"num_key_value_heads", "num_kv_heads"});
    return n ? static_cast<int64_t>(*n) : heads();
  }

protected:
  const nlohmann::json &config_;
  const std::string type_;
};

} // namespace quern

#endif // QUERN_TESTS_FRONTENDS_FAMILIES_CONFIGSIZES_H
