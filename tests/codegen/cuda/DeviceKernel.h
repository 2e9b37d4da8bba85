// Kernels over the device library, compiled by NVRTC and run by the interpreter of PTX.
#ifndef QUERN_TESTS_CODEGEN_CUDA_DEVICEKERNEL_H
#define QUERN_TESTS_CODEGEN_CUDA_DEVICEKERNEL_H

#include "codegen/cuda/Nvrtc.h"
#include "tests/ptx/Interpreter.h"

#include <array>
#include <cstdint>
#include <set>
#include <string>

namespace quern::cuda {

/// Counts what launches read and how shared memory was accessed.
class Traffic : public ptx::Observer {
public:
  /// Bytes that were asked of [first, first + bytes), and 32-byte sectors of it for each warp's
  /// access.
  void watch(uint64_t first, uint64_t bytes) {
    first_ = first;
    end_ = first + bytes;
    asked = sectors = 0;
    worst_conflict = 1;
  }

  void access(const ptx::Warp &, const ptx::Instr &, const ptx::Access &access) override {
    if (access.space == ptx::Space::Shared && !access.asynchronous)
      count_conflicts(access);
    if (access.space != ptx::Space::Global || access.kind != ptx::Access::Kind::Load)
      return;
    std::set<uint64_t> touched;
    for (int lane = 0; lane < 32; ++lane)
      if (access.mask >> lane & 1 && access.address[lane] >= first_ &&
          access.address[lane] < end_) {
        asked += access.bytes;
        for (uint64_t at = access.address[lane] / 32; at * 32 < access.address[lane] + access.bytes;
             ++at)
          touched.insert(at);
      }
    sectors += touched.size();
  }

  uint64_t asked = 0, sectors = 0;
  /// The most words of one bank that lanes who are served together wanted.
  int worst_conflict = 1;

private:
  void count_conflicts(const ptx::Access &access) {
    // 128 bytes at a time: 32 lanes of 4 bytes, 16 of 8, 8 of 16.
    const int together = access.bytes <= 4 ? 32 : static_cast<int>(128 / access.bytes);
    for (int begin = 0; begin < 32; begin += together) {
      std::array<std::set<uint64_t>, 32> words;
      for (int lane = begin; lane < begin + together; ++lane)
        if (access.mask >> lane & 1)
          for (uint64_t word = access.address[lane] / 4;
               word * 4 < access.address[lane] + access.bytes; ++word)
            words[word % 32].insert(word);
      for (const auto &bank : words)
        worst_conflict = std::max(worst_conflict, static_cast<int>(bank.size()));
    }
  }

  uint64_t first_ = 0, end_ = 0;
};

} // namespace quern::cuda

#endif // QUERN_TESTS_CODEGEN_CUDA_DEVICEKERNEL_H
