// How generated code says how weights are packed.
#ifndef QUERN_CODEGEN_CUDA_WEIGHTPACKING_H
#define QUERN_CODEGEN_CUDA_WEIGHTPACKING_H

#include "ir/formats/Packing.h"

#include <string>

namespace quern::cuda {

/// The packing as a template's argument: "packings::q4_g32_z0_min_u8_row"
/// (device/Packings.cuh).
std::string packingText(const formats::Packing &packing);

} // namespace quern::cuda

#endif // QUERN_CODEGEN_CUDA_WEIGHTPACKING_H
