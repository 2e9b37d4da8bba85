#include "runtime/text/Message.h"
#include "runtime/text/TokenizerSpec.h"
#include "runtime/text/Utf8.h"

#include <absl/container/flat_hash_map.h>

#include <algorithm>

namespace quern::text {
namespace {

using Ids = absl::flat_hash_map<std::string_view, int32_t, std::hash<std::string_view>>;

} // namespace

absl::StatusOr<std::vector<Merge>> resolve_merges(const std::vector<std::string> &tokens,
                                                  const std::vector<MergeText> &merges,
                                                  size_t continuation) {
  Ids ids;
  ids.reserve(tokens.size());
  for (size_t i = 0; i < tokens.size(); ++i)
    ids.try_emplace(tokens[i], static_cast<int32_t>(i));
  std::vector<Merge> resolved;
  resolved.reserve(merges.size());
  std::string result;
  for (const MergeText &merge : merges) {
    result.assign(merge.left);
    result += merge.right.substr(std::min(continuation, merge.right.size()));
    Merge ids_of_merge;
    for (const auto &[part, id] :
         {std::pair{merge.left, &ids_of_merge.left}, std::pair{merge.right, &ids_of_merge.right},
          std::pair{std::string_view(result), &ids_of_merge.result}}) {
      const auto it = ids.find(part);
      if (it == ids.end())
        return absl::InvalidArgumentError(concat("tokenizer: merge ", resolved.size(), " (\"",
                                                 merge.left, "\" + \"", merge.right, "\") uses \"",
                                                 part, "\", which is not a token"));
      *id = it->second;
    }
    resolved.push_back(ids_of_merge);
  }
  return resolved;
}

std::vector<Merge> merges_from_scores(const std::vector<std::string> &tokens,
                                      const std::vector<TokenKind> &kinds,
                                      const std::vector<float> &scores,
                                      std::vector<uint32_t> &ranks) {
  Ids ids;
  ids.reserve(tokens.size());
  std::vector<int32_t> order; // tokens by score
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (kinds[i] == TokenKind::Control || kinds[i] == TokenKind::Unknown)
      continue;
    ids.try_emplace(tokens[i], static_cast<int32_t>(i));
    order.push_back(static_cast<int32_t>(i));
  }
  const auto score = [&](int32_t id) { return scores[static_cast<size_t>(id)]; };
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return score(a) != score(b) ? score(a) > score(b) : a < b;
  });
  std::vector<Merge> merges;
  std::vector<uint32_t> places;
  uint32_t place = 0;
  bool equals = false;
  for (size_t n = 0; n < order.size(); ++n) {
    if (n > 0 && score(order[n]) != score(order[n - 1]))
      place = static_cast<uint32_t>(n);
    const std::string_view token = tokens[static_cast<size_t>(order[n])];
    for (size_t cut = 1; cut < token.size(); ++cut) {
      if ((static_cast<uint8_t>(token[cut]) & 0xc0) == 0x80)
        continue;
      const auto left = ids.find(token.substr(0, cut));
      const auto right = left == ids.end() ? left : ids.find(token.substr(cut));
      if (right == ids.end())
        continue;
      equals = equals || (place != n && !places.empty() && places.back() == place);
      merges.push_back({left->second, right->second, order[n]});
      places.push_back(place);
    }
  }
  ranks = equals ? std::move(places) : std::vector<uint32_t>();
  return merges;
}

} // namespace quern::text
