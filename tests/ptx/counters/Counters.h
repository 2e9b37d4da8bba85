// What a launch did, counted: instructions, bytes at each level, conflicts, divergence.
//
// Counted exactly are the instructions of warps, the bytes that lanes ask for, the sectors of 32
// bytes that a warp's request touches (what passes between a multiprocessor's L1 and its lanes),
// the distinct sectors of the launch (what DRAM has to move at least), and the passes that shared
// memory takes. Not modelled: which sectors the caches keep. So the truth of DRAM traffic lies
// between the distinct sectors and those of all requests.
#ifndef QUERN_TESTS_PTX_COUNTERS_COUNTERS_H
#define QUERN_TESTS_PTX_COUNTERS_COUNTERS_H

#include "tests/ptx/Observer.h"

#include <array>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace quern::ptx {

enum class Unit : u8 {
  Integer,
  Float, ///< float32, half and bfloat16 arithmetic
  Double,
  Special, ///< ex2, rcp, rsqrt, sin ...
  Convert,
  Tensor, ///< mma
  Global, ///< loads, stores, atomics, asynchronous copies
  Shared,
  Local,
  Constant, ///< ld.param, ld.const
  Exchange, ///< shfl, vote, redux, match
  Barrier,
  Control,
  Other, ///< mov, setp, selp
};
constexpr int kUnits = static_cast<int>(Unit::Other) + 1;
std::string_view name_of(Unit unit);
Unit unit_of(std::string_view opcode);
/// Multiplications and additions of an mma, from its shape: m16n8k16 is 4096.
u64 operations_of(std::string_view opcode);

struct Counters {
  std::string kernel;
  u64 launches = 0;
  u64 blocks = 0;         ///< of a launch
  u32 threads = 0;        ///< of a block
  u32 shared_bytes = 0;   ///< of a block
  u32 register_bytes = 0; ///< of a thread's frame here: not what ptxas takes
  bool cooperative = false;
  u64 warp_instructions = 0;
  u64 lane_instructions = 0; ///< lanes that were active, summed
  std::array<u64, kUnits> by_unit{};
  u64 divergent = 0; ///< instructions of warps that not all live lanes executed

  u64 load_bytes = 0, store_bytes = 0; ///< that lanes asked for in global memory
  u64 requests = 0;                    ///< instructions of warps on global memory
  u64 sectors = 0;                     ///< of each request, 32 bytes
  u64 ideal_sectors = 0;               ///< of each request, were its bytes side by side
  u64 distinct_load_sectors = 0;       ///< of the launch
  u64 distinct_store_sectors = 0;
  u64 distinct_lines = 0; ///< of 128 bytes, read or written
  u64 bursts = 0;         ///< loads of a warp that it has in flight at once, counted as one
  u64 burst_bytes = 0;    ///< sectors of all of them, in bytes

  u64 shared_requests = 0, shared_bytes_moved = 0;
  u64 shared_passes = 0, ideal_shared_passes = 0;
  u32 worst_conflict = 1; ///< n-way: passes over what they should be
  int worst_line = 0;     ///< of the PTX text

  u64 local_bytes = 0;
  u64 atomics = 0;
  u64 barriers = 0; ///< arrivals of warps
  u64 tensor_operations = 0;

  void add(const Counters &other);
  double active_lanes() const {
    return warp_instructions == 0
               ? 0
               : static_cast<double>(lane_instructions) / static_cast<double>(warp_instructions);
  }
};

/// Passes of shared memory for one request: banks of 4 bytes; 32 lanes of 4 bytes at once, 16 of 8,
/// 8 of 16. Lanes at the same word share it.
struct Passes {
  u32 taken = 0, ideal = 0;
};
Passes shared_passes(const u64 *addresses, Mask mask, u32 bytes);

/// Counts launches one by one, and sums by kernel.
class Counting : public Observer {
public:
  /// Counts sectors of addresses `base` to `base + bytes`.
  Counting(u64 base, u64 bytes);
  ~Counting() override;
  Counting(const Counting &) = delete;
  Counting &operator=(const Counting &) = delete;

  /// By kernel, in the order of their first launch; since the last clear().
  const std::vector<Counters> &kernels() const { return kernels_; }
  void clear() { kernels_.clear(); }

  void begin_launch(const Launch &launch) override;
  void end_launch(const Launch &launch) override;
  void begin_block(const Block &block) override;
  void access(const Warp &warp, const Instr &instr, const Access &access) override;
  void barrier_arrive(const Warp &, Mask, u32, u32, bool) override { ++now_.barriers; }
  void async_issue(const Warp &warp, const Instr &instr,
                   std::span<const AsyncCopy> copies) override;
  void async_wait(const Warp &warp, Mask mask, u32 pending) override;
  bool asks_instructions() const override { return true; }
  void instruction(const Warp &warp, const Instr &instr, Mask mask) override;

private:
  struct Known {
    Unit unit;
    u64 operations;
  };
  /// Loads of a warp whose results nobody has asked for yet.
  struct Flight {
    std::vector<u32> registers;
    u64 bytes = 0;
    bool asynchronous = false;
  };

  void touch(const u64 *addresses, Mask mask, u32 bytes, bool store, u64 &sectors);
  void land(Flight &flight);
  Flight &flight_of(const Warp &warp);

  u64 base_, bytes_;
  u32 *loaded_ = nullptr, *stored_ = nullptr; ///< by sector, the launch that touched it last
  u32 launch_ = 0;
  Counters now_;
  std::vector<Counters> kernels_;
  std::unordered_map<const char *, Known> known_;
  std::unordered_map<const Warp *, Flight> flights_;
  const Warp *last_warp_ = nullptr;
  Flight *last_flight_ = nullptr;
};

} // namespace quern::ptx

#endif // QUERN_TESTS_PTX_COUNTERS_COUNTERS_H
