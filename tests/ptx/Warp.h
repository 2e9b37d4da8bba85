// A launch as it runs: blocks, warps, and the lanes of a warp that went different ways.
//
// A warp runs one *split* at a time: lanes at the same place. A branch that lanes do not take
// together makes two splits, which meet again at the branch's post-dominator in a *join*: the first
// ones there wait for the rest. So lanes may also wait for one another in different ways of a
// branch, as since Volta they may, at the instructions that say so (.sync with a mask of members).
#ifndef QUERN_TESTS_PTX_WARP_H
#define QUERN_TESTS_PTX_WARP_H

#include "tests/ptx/Observer.h"
#include "tests/ptx/Program.h"

#include <array>
#include <deque>
#include <memory>
#include <new>
#include <string>
#include <vector>

namespace quern::ptx {

class Memory;
struct Block;
struct Launch;

/// What went wrong, thrown from where it is seen; the launch ends with it as its report.
struct Fault {
  std::string kind; ///< "out of bounds", "misaligned" ...
  std::string what;
  int lane = -1;
};

struct FrameDelete {
  void operator()(u8 *frame) const { ::operator delete[](frame, std::align_val_t{64}); }
};
/// Aligned as vectors of lanes want it.
using FrameStorage = std::unique_ptr<u8[], FrameDelete>;
inline FrameStorage new_frame(size_t bytes) {
  return FrameStorage(new (std::align_val_t{64}) u8[bytes]());
}

/// Where splits of a warp meet, or a call returns.
struct Join {
  int parent = -1;
  bool used = false;
  bool call = false;
  Mask expected = 0, arrived = 0;
  u32 pc = 0; ///< where they go on
  const Function *function = nullptr;
  u8 *frame = nullptr;
  const Call *from = nullptr;
  FrameStorage storage; ///< of the callee
};

struct Split {
  /// Place: for members at this very instruction; Members: for those at any of its kind.
  enum class State : u8 { Ready, Barrier, Members, Place };
  State state = State::Ready;
  Mask mask = 0;
  Mask members = 0; ///< whom it waits for
  u32 pc = 0;
  int join = -1;
  const Function *function = nullptr;
  u8 *frame = nullptr;
};

/// One copy of cp.async of a lane, on its way.
struct AsyncCopy {
  u32 to;   ///< in shared memory
  u64 from; ///< in global memory
  u8 bytes;
  u8 valid; ///< bytes read; the rest are zeros
  u8 lane;
};
struct AsyncGroup {
  Mask lanes = 0; ///< whose group it is
  std::vector<AsyncCopy> copies;
};

/// A strong read of one lane, in a warp that may be waiting for what it reads to change.
struct Poll {
  const Instr *by = nullptr;
  const u8 *at = nullptr;
  u32 bytes = 0;
  u64 value = 0;
  bool again = false; ///< it read the same before
};

struct Warp {
  // The split that runs.
  u8 *frame = nullptr;
  const Instr *code = nullptr;
  u32 pc = 0;
  u32 rejoin = ~0u; ///< pc of its join
  Mask mask = 0;
  bool stop = false; ///< set by what ends its turn
  int join = -1;
  const Function *function = nullptr;

  std::vector<Split> others; ///< that do not run
  std::vector<Join> joins;
  Mask live = 0; ///< lanes that have not exited
  int index = 0;
  Block *block = nullptr;
  Launch *launch = nullptr;
  Mask carry = 0;      ///< of add.cc and the like
  u8 *local = nullptr; ///< [32][local bytes]
  u8 *local_state = nullptr;
  FrameStorage frame_storage;
  std::vector<u8> local_storage;
  Poll poll;                            ///< its last
  std::vector<AsyncCopy> open_copies;   ///< not yet committed
  std::vector<AsyncGroup> async_groups; ///< oldest first
  std::array<u32, kLanes> tid[3];

  bool done() const { return live == 0; }
  template <class T> T *reg(u32 offset) { return reinterpret_cast<T *>(frame + offset); }
  Mask &pred(u32 offset) { return *reinterpret_cast<Mask *>(frame + offset); }
};

/// What a barrier instruction gives back, as Instr::sub: nothing, or of the threads' predicates.
enum BarrierResult : u8 { kBarrierOnly, kBarrierCount, kBarrierAnd, kBarrierOr };

/// A barrier of a block.
struct Barrier {
  u32 arrived = 0;  ///< threads
  u32 expected = 0; ///< 0: all of the block
  u32 votes = 0;    ///< threads whose predicate held, of bar.red
};

struct Block {
  Launch *launch = nullptr;
  u32 id[3] = {0, 0, 0};
  u32 index = 0;
  u32 threads = 0;
  std::vector<u8> shared, shared_state; ///< state: 1 where written
  std::vector<Warp> warps;
  Barrier barriers[16];
  u32 live_threads = 0;
  int last_warp = -1;
  bool polls = false; ///< its warps only wait for words to change, when it was looked at last
};

/// Generators of what approximate instructions may give. 0: the nearest float32 of the exact value.
struct Numerics {
  u32 perturbation = 0;
};

struct Launch {
  const Module *module = nullptr;
  const Function *entry = nullptr;
  u32 grid[3] = {1, 1, 1};
  u32 size[3] = {1, 1, 1};
  u32 dynamic_shared = 0;
  bool cooperative = false;
  std::vector<u8> parameters;
  const Warp *running = nullptr;
  Memory *memory = nullptr;
  Observer *observer = nullptr;
  Scheduler *scheduler = nullptr;
  Numerics numerics;
  std::deque<Block> blocks; ///< those that are resident
  u64 limit = ~u64{0};      ///< instructions of warps after which the launch counts as endless
  u64 executed = 0;
  u64 turns = 0;
  u64 clock = 0; ///< reads of clocks so far
  u32 multiprocessors = 1;
  u32 local_bytes = 0, shared_bytes = 0;
};

/// Lets the running split give way: to others of the warp, and to other warps.
inline void yield(Warp &warp) { warp.stop = true; }
/// The same after a strong read of bytes on the host by the lanes of `mask`.
void polled(Warp &warp, const Instr &instr, Mask mask, const u8 *at, u32 bytes);

// Of Splits.cpp, for Execute.cpp.
/// Takes the running split to its join if it is there, and another one if it waits.
void next_split(Warp &warp);
/// Another split that is ready runs, if there is one.
void rotate(Warp &warp);
void wait_at_barrier(Warp &warp, u32 barrier);

} // namespace quern::ptx

#endif // QUERN_TESTS_PTX_WARP_H
