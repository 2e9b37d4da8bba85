/* What the fake model computes: shared by its code (FakeModel.c) and by the tests that know the
 * answer.
 *
 * Its logits after a sequence are a hash of the sequence, computed twice: from the kv pages (two
 * groups, so that offsets and page sizes differ; the second may have a window) and from recurrent
 * state (4 bytes of a 64-byte slot). A token that was lost, doubled, misplaced or taken from
 * another sequence changes every logit. Weights are a float for each logit, and the window. */
#ifndef QUERN_TESTS_RUNTIME_FAKE_FAKEMODEL_H
#define QUERN_TESTS_RUNTIME_FAKE_FAKEMODEL_H

#include <stdint.h>

#define FAKE_VOCAB 37u

static inline uint32_t fake_mix(uint32_t hash, uint32_t value) {
  hash ^= value + 0x9e3779b9u + (hash << 6) + (hash >> 2);
  return hash * 0x85ebca6bu;
}

/* The logit of token v, without its weight, after a sequence whose tokens hash to `seen` in the kv
 * pages and to `state` in the recurrent state. In [0, 1), exact in float32. */
static inline float fake_logit(uint32_t seen, uint32_t state, uint32_t v) {
  return (float)(fake_mix(fake_mix(seen, state), v) >> 16) / 65536.0f;
}

#endif // QUERN_TESTS_RUNTIME_FAKE_FAKEMODEL_H
