// Where a sequence's state lies.
#ifndef QUERN_CODEGEN_CUDA_DEVICE_STATE_CUH
#define QUERN_CODEGEN_CUDA_DEVICE_STATE_CUH

#include "codegen/cuda/device/Base.cuh"

namespace quern {

/// A kv state's part of the page that holds page `page` of sequence `seq`.
QN_DEVICE u8 *kv_page(const QuernCudaStep &step, i64 group, i64 offset, int seq, int page) {
  const QuernCudaKvGroup &kv = step.kv[group];
  return kv.pages + kv.block_table[seq * kv.table_stride + page] * kv.page_bytes + offset;
}

/// A fixed-size state of sequence `seq`.
QN_DEVICE float *fixed_state(const QuernCudaStep &step, i64 offset, int seq) {
  return reinterpret_cast<float *>(step.fixed_state[seq] + offset);
}

} // namespace quern

#endif // QUERN_CODEGEN_CUDA_DEVICE_STATE_CUH
