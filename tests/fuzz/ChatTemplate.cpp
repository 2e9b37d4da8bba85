// A chat template: parsed, and rendered within its bounds.
#include "tests/fuzz/Fuzz.h"
#include "tests/fuzz/UseTokenizer.h"

void quern::fuzz::read(std::string_view bytes) { render_template(bytes); }
