/* Continues a prompt of ids: what a program in any language does with libquern.
 *
 *     cc example.c -I runtime -lquern -o example && ./example model.quern 504 3575 282
 */
#include "quern.h"

#include <stdio.h>
#include <stdlib.h>

static int fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, quern_last_error());
  return 1;
}

/* Feeds the prompt, then eight greedy tokens, printing each. */
static int generate(QuernModel *model, const int32_t *prompt, size_t length, float *logits) {
  QuernSampling greedy;
  quern_sampling_defaults(&greedy);
  greedy.temperature = 0;
  QuernSampler *sampler = NULL;
  QuernSlot slot;
  if (quern_sampler_create(model, &greedy, &sampler) != QUERN_OK ||
      quern_slot_create(model, &slot) != QUERN_OK)
    return fail("prepare");

  QuernSequence sequence = {slot, QUERN_ROWS_LAST, prompt, length};
  int32_t token;
  int code = 0;
  for (int i = 0; i < 8; ++i) {
    if (quern_step(model, &sequence, 1, logits, 1) != QUERN_OK ||
        quern_sample(sampler, model, slot, logits, &token) != QUERN_OK) {
      code = fail("step");
      break;
    }
    if (quern_is_end(model, token))
      break;
    printf("%d\n", token);
    sequence.tokens = &token;
    sequence.num_tokens = 1;
  }
  quern_sampler_free(sampler);
  return code;
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: %s MODEL ID...\n", argv[0]);
    return 2;
  }
  QuernModel *model;
  if (quern_open(argv[1], NULL, &model) != QUERN_OK)
    return fail("open");
  size_t length = (size_t)argc - 2;
  int32_t *prompt = malloc(length * sizeof *prompt);
  float *logits = malloc(quern_vocab(model) * sizeof *logits);
  int code = 1;
  if (prompt && logits) {
    for (size_t i = 0; i < length; ++i)
      prompt[i] = (int32_t)strtol(argv[i + 2], NULL, 10);
    code = generate(model, prompt, length, logits);
  }
  free(logits);
  free(prompt);
  quern_close(model);
  return code;
}
