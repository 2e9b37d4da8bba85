#include "runtime/cli/Logprobs.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace quern::cli {

nlohmann::ordered_json logprobs_json(std::span<const float> logits, int32_t token, size_t count,
                                     const text::Tokenizer *tokenizer) {
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  auto logit = [&](int32_t id) { return std::isnan(logits[id]) ? kNever : logits[id]; };
  std::vector<int32_t> order(logits.size());
  float highest = kNever;
  for (size_t i = 0; i < order.size(); ++i) {
    order[i] = static_cast<int32_t>(i);
    highest = std::max(highest, logit(order[i]));
  }
  double total = 0;
  for (int32_t id : order)
    total += std::exp(static_cast<double>(logit(id)) - highest);
  auto entry = [&](int32_t id) {
    nlohmann::ordered_json json = {{"token", id}};
    if (tokenizer)
      json["piece"] = std::string(tokenizer->piece(id));
    json["logprob"] = static_cast<double>(logit(id)) - highest - std::log(total);
    return json;
  };
  count = std::min(count, order.size());
  std::partial_sort(
      order.begin(), order.begin() + static_cast<int64_t>(count), order.end(),
      [&](int32_t a, int32_t b) { return logit(a) != logit(b) ? logit(a) > logit(b) : a < b; });
  nlohmann::ordered_json json = entry(token);
  json["top"] = nlohmann::ordered_json::array();
  for (size_t i = 0; i < count; ++i)
    json["top"].push_back(entry(order[i]));
  return json;
}

} // namespace quern::cli
