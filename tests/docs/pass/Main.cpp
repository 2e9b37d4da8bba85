// quern-opt with the pass that docs/guides/adding-a-pass.md adds. Its registration with the others
// is in a library that was made without it.
#include "compiler/opt/QuernOpt.h"
#include "passes/normalize/Passes.h"

int main(int argc, char **argv) {
  quern::registerMergeClamps();
  return quern::run_quern_opt(argc, argv);
}
