// Formats of kv state, as the device library names them.
#ifndef QUERN_CODEGEN_CUDA_KVFORMAT_H
#define QUERN_CODEGEN_CUDA_KVFORMAT_H

#include "ir/quern/QuernDialect.h"

#include <string>

namespace quern::cuda {

/// Of codegen/cuda/device/KvPage.cuh.
inline std::string deviceName(StateFormat format) {
  return "KvFormat::" + stringifyStateFormat(format).str();
}

} // namespace quern::cuda

#endif // QUERN_CODEGEN_CUDA_KVFORMAT_H
