// A config.json, and what the families make of it.
#include "frontends/hf/HfModel.h"
#include "tests/fuzz/Fuzz.h"
#include "tests/fuzz/UseWeights.h"

void quern::fuzz::read(std::string_view bytes) {
  const MemoryFile file(bytes);
  Problems problems;
  const LoadedModel model = hf::load_model(file.path(), {.synthetic = 1}, problems);
  if (problems.empty())
    use_weights(model);
}
