// What microkernels are called that read packed weights.
#ifndef QUERN_CODEGEN_CPU_WEIGHTPACKING_H
#define QUERN_CODEGEN_CPU_WEIGHTPACKING_H

#include "ir/formats/Packing.h"

#include <string>

namespace quern::cpu {

/// The packing's name as it stands in microkernels' names: q4_g32_z8_f16.
std::string symbolOf(const formats::Packing &packing);

} // namespace quern::cpu

#endif // QUERN_CODEGEN_CPU_WEIGHTPACKING_H
