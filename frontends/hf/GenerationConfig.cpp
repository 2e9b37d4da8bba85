// What generation_config.json asks of how tokens are chosen. None of it is in the artifact, so that
// run and chat choose alike for all models; what they would do otherwise is noted with the flags
// that say the same.
#include "frontends/hf/TokenizerParts.h"
#include "runtime/text/Message.h"

namespace quern::hf {
namespace {

using nlohmann::json;
using text::concat;

std::string shown(const json &value) {
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  return text.size() <= 60 ? text : value.is_array() ? "[...]" : "...";
}

/// A number that a flag of `run` takes, and what it is without the flag.
struct Number {
  const char *key, *flag;
  double otherwise;
  bool of_sampling; ///< of no meaning where `do_sample` is false
};
constexpr Number kNumbers[] = {
    {"temperature", "--temp", 0.8, true}, {"top_k", "--top-k", 40, true},
    {"top_p", "--top-p", 0.95, true},     {"min_p", "--min-p", 0.05, true},
    {"typical_p", "--typical", 1, true},  {"repetition_penalty", "--repeat-penalty", 1, false},
    {"max_new_tokens", "-n", -1, false},
};

/// What changes answers and has no flag, and the numbers that change nothing.
struct Other {
  const char *key;
  double nothing;
};
constexpr Other kOthers[] = {{"num_beams", 1},
                             {"num_beam_groups", 1},
                             {"penalty_alpha", 0},
                             {"no_repeat_ngram_size", 0},
                             {"encoder_no_repeat_ngram_size", 0},
                             {"encoder_repetition_penalty", 1},
                             {"min_length", 0},
                             {"min_new_tokens", 0},
                             {"guidance_scale", 1},
                             {"epsilon_cutoff", 0},
                             {"eta_cutoff", 0},
                             {"top_h", 0},
                             {"bad_words_ids", 0},
                             {"begin_suppress_tokens", 0},
                             {"sequence_bias", 0},
                             {"forced_bos_token_id", -1},
                             {"forced_eos_token_id", -1},
                             {"exponential_decay_length_penalty", 0},
                             {"watermarking_config", 0}};

/// The entries of a list, or the value itself.
json entries(const json &value) {
  return value.is_array() ? value : value.is_null() ? json::array() : json::array({value});
}

/// "FLAG a FLAG b", or what to do where there are many; "" where an entry cannot be given so.
std::string each(const char *flag, const json &values, bool texts) {
  std::string flags;
  if (values.size() > 4)
    return concat(" ", flag, " for each");
  for (const json &value : values) {
    if (texts ? !value.is_string() : !value.is_number_integer())
      return "";
    flags += concat(" ", flag, " ", shown(value));
  }
  return flags;
}

} // namespace

void note_sampling(const Config &config, Notes &notes) {
  const json generation = config;
  std::string asked, flags, without;
  const auto ask = [&](const char *key, const json &value) {
    asked += concat(asked.empty() ? "" : ", ", key, " ", shown(value));
  };
  const bool greedy = !flag_of(generation, "do_sample", true);
  if (greedy) {
    ask("do_sample", false);
    flags += " --temp 0";
  }
  for (const Number &number : kNumbers) {
    const json &value = member(generation, number.key);
    if (!value.is_number() || value.get<double>() == number.otherwise ||
        (greedy && number.of_sampling))
      continue;
    ask(number.key, value);
    flags += concat(" ", number.flag, " ", shown(value));
  }
  if (const json stops = entries(member(generation, "stop_strings")); !stops.empty()) {
    ask("stop_strings", stops);
    flags += each("--stop", stops, /*texts=*/true);
  }
  if (const json tokens = entries(member(generation, "suppress_tokens")); !tokens.empty()) {
    ask("suppress_tokens", tokens);
    if (tokens.size() > 4) {
      flags += " --logit-bias ID=-inf,.. for each";
    } else {
      std::string list;
      for (const json &id : tokens)
        list += concat(list.empty() ? "" : ",", shown(id), "=-inf");
      flags += " --logit-bias " + list;
    }
  }
  for (const Other &other : kOthers) {
    const json &value = member(generation, other.key);
    if (value.is_null() || (value.is_structured() && value.empty()) ||
        (value.is_boolean() && !value.get<bool>()) ||
        (value.is_number() && value.get<double>() == other.nothing))
      continue;
    ask(other.key, value);
    without += concat(without.empty() ? "" : ", ", other.key);
  }
  if (!asked.empty())
    notes.push_back(concat("generation_config.json asks for ", asked,
                           ", which run and chat do not take over",
                           flags.empty() ? "" : ": give them", flags,
                           without.empty() ? "" : "; no flag says ", without));
}

} // namespace quern::hf
