#include "tests/runtime/fake/FakeModel.h"

#include "tests/runtime/fake/FakeArtifact.h"

namespace quern::test {

std::vector<float> fake_logits(std::span<const int32_t> tokens, bool recurrent, uint32_t window) {
  uint32_t seen = 0, state = 0;
  for (size_t p = 0; p < tokens.size(); ++p) {
    const auto token = static_cast<uint32_t>(tokens[p]);
    state = !recurrent ? 0 : fake_mix(state, token);
    seen = fake_mix(seen, token);
    if (window == 0 || p + window >= tokens.size())
      seen = fake_mix(seen, token);
  }
  std::vector<float> logits(FAKE_VOCAB);
  for (uint32_t v = 0; v < FAKE_VOCAB; ++v)
    logits[v] = fake_logit(seen, state, v) + fake_weight(v);
  return logits;
}

std::vector<float> fake_logits_of_all(std::span<const int32_t> tokens, bool recurrent,
                                      uint32_t window) {
  std::vector<float> all;
  for (size_t n = 1; n <= tokens.size(); ++n)
    for (float logit : fake_logits(tokens.first(n), recurrent, window))
      all.push_back(logit);
  return all;
}

} // namespace quern::test
