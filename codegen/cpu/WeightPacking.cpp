// See WeightPacking.h.
#include "codegen/cpu/WeightPacking.h"

#include <algorithm>

using namespace quern;

std::string cpu::symbolOf(const formats::Packing &packing) {
  std::string name = formats::packing_name(packing);
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}
