// quern: see Verbs.h for the table of verbs, and one file for each.
#include "compiler/driver/Verbs.h"

int main(int argc, char **argv) { return quern::driver::run_quern(argc, argv); }
