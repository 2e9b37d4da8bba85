#include "compiler/opt/QuernOpt.h"

int main(int argc, char **argv) { return quern::run_quern_opt(argc, argv); }
