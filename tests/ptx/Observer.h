// Where detectors, counters and schedules hook into execution.
//
// All calls come from the thread that runs the launch, in the order in which things happen.
#ifndef QUERN_TESTS_PTX_OBSERVER_H
#define QUERN_TESTS_PTX_OBSERVER_H

#include "tests/ptx/Program.h"

#include <cstddef>
#include <span>

namespace quern::ptx {

struct Warp;
struct Block;
struct Launch;
struct AsyncCopy;

/// One instruction's access to memory, of all lanes in `mask`.
struct Access {
  enum class Kind : u8 { Load, Store, Atomic };
  Kind kind = Kind::Load;
  Space space = Space::Global; ///< never Generic: accesses of several spaces come one by one
  u32 bytes = 0;               ///< a lane
  Mask mask = 0;
  const u64 *address =
      nullptr; ///< [32]: of Global and Const on the device; of Shared and Local in the space
  Order order = Order::Weak;
  Scope scope = Scope::None;
  bool read_only = false;    ///< ld.global.nc
  bool asynchronous = false; ///< of cp.async: async_issue() tells more
  int line = 0;
};

/// All functions may throw Fault, which ends the launch with it as its report.
class Observer {
public:
  virtual ~Observer() = default;
  virtual void begin_launch(const Launch &) {}
  virtual void end_launch(const Launch &) {}
  virtual void begin_block(const Block &) {}
  virtual void end_block(const Block &) {}
  /// Checked: in bounds, aligned, and what is read was written. Before it is done.
  virtual void access(const Warp &, const Instr &, const Access &) {}
  /// Lanes of a warp come to a barrier of their block. `waits`: false of bar.arrive.
  virtual void barrier_arrive(const Warp &, Mask, u32 barrier, u32 threads, bool waits) {}
  /// All have come, and the waiting warps go on.
  virtual void barrier_complete(const Block &, u32 barrier) {}
  /// bar.warp.sync. Other instructions that lanes execute together order no memory.
  virtual void warp_sync(const Warp &, Mask) {}
  virtual void fence(const Warp &, Mask, Order, Scope) {}
  /// cp.async: issued, committed, waited for (all but the `pending` newest groups), landed in
  /// shared memory.
  virtual void async_issue(const Warp &, const Instr &, std::span<const AsyncCopy>) {}
  virtual void async_commit(const Warp &, Mask) {}
  virtual void async_wait(const Warp &, Mask, u32 pending) {}
  /// After every instruction that was executed by `mask`, when asks_instructions().
  virtual bool asks_instructions() const { return false; }
  virtual void instruction(const Warp &, const Instr &, Mask) {}
};

/// Decides who runs next.
class Scheduler {
public:
  virtual ~Scheduler() = default;
  /// An index below `ready.size()`: the warp of a block that runs next.
  virtual size_t choose_warp(const Block &, std::span<Warp *const> ready) { return 0; }
  /// The same among the resident blocks of a cooperative launch.
  virtual size_t choose_block(std::span<Block *const> ready) { return 0; }
  /// Order in which the blocks of a launch that is not cooperative run: block `n` of `count`.
  virtual u32 block(u32 n, u32 count) { return n; }
  /// Instructions that a warp may run before another is chosen.
  virtual u64 slice() { return 4096; }
};

} // namespace quern::ptx

#endif // QUERN_TESTS_PTX_OBSERVER_H
