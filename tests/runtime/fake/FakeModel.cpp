#include "tests/runtime/fake/FakeModel.h"
#include "tests/runtime/fake/FakeArtifact.h"

namespace quern::test {

std::vector<float> fake_logits(std::span<const int32_t> tokens, bool recurrent) {
  uint32_t seen = 0, state = 0;
  for (int32_t token : tokens) {
    state = !recurrent ? 0 : fake_mix(state, static_cast<uint32_t>(token));
    seen = fake_mix(fake_mix(seen, static_cast<uint32_t>(token)), static_cast<uint32_t>(token));
  }
  std::vector<float> logits(FAKE_VOCAB);
  for (uint32_t v = 0; v < FAKE_VOCAB; ++v)
    logits[v] = fake_logit(seen, state, v) + fake_weight(v);
  return logits;
}

std::vector<float> fake_logits_of_all(std::span<const int32_t> tokens, bool recurrent) {
  std::vector<float> all;
  for (size_t n = 1; n <= tokens.size(); ++n)
    for (float logit : fake_logits(tokens.first(n), recurrent))
      all.push_back(logit);
  return all;
}

} // namespace quern::test
