// How generated code says how weights are packed.
#ifndef QUERN_CODEGEN_CUDA_WEIGHTPACKING_H
#define QUERN_CODEGEN_CUDA_WEIGHTPACKING_H

#include "ir/formats/Packing.h"

#include <string>

namespace quern::cuda {

/// The packing as a template's argument: "packing(4, 32, 0, true, Scale::U8, kWholeRow)"
/// (device/Packings.cuh).
std::string packingText(const formats::Packing &packing);

} // namespace quern::cuda

#endif // QUERN_CODEGEN_CUDA_WEIGHTPACKING_H
