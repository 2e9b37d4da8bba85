// quern-run: see Verbs.h for the table of verbs, and one file for each.
#include "runtime/cli/Verbs.h"

int main(int argc, char **argv) {
  return quern::cli::run_program(quern::cli::quern_run(), argc, argv);
}
