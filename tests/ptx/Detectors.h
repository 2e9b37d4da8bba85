// What watches a launch: races, and launches that wait for what never comes.
//
// The checks of a single access (bounds, alignment, written or not) are the interpreter's own;
// those here compare what several threads do.
#ifndef QUERN_TESTS_PTX_DETECTORS_H
#define QUERN_TESTS_PTX_DETECTORS_H

#include "tests/ptx/Observer.h"
#include "tests/ptx/memory/Races.h"

#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

namespace quern::ptx {

/// One for a device, through all its launches.
class Detectors : public Observer {
public:
  /// Watches addresses `base` to `base + bytes`: all that the device may ever allocate.
  Detectors(u64 base, u64 bytes);

  /// Order of streams, events and copies, told by the driver.
  memory::Streams &streams() { return races_.streams(); }
  /// The stream of the next launch.
  void use(memory::Streams::Stream stream) { stream_ = stream; }
  /// A copy from or to the host, or a fill. What it races with, if it does.
  std::optional<std::string> host_copy(memory::Streams::Stream stream, u64 address, u64 bytes,
                                       bool write);

  void begin_launch(const Launch &launch) override;
  void begin_block(const Block &block) override;
  void end_block(const Block &block) override;
  void access(const Warp &warp, const Instr &instr, const Access &access) override;
  void barrier_arrive(const Warp &warp, Mask mask, u32 barrier, u32 threads, bool waits) override;
  void barrier_complete(const Block &block, u32 barrier) override;
  void warp_sync(const Warp &warp, Mask mask) override;
  void fence(const Warp &warp, Mask mask, Order order, Scope scope) override;
  void async_issue(const Warp &warp, const Instr &instr,
                   std::span<const AsyncCopy> copies) override;
  void async_commit(const Warp &warp, Mask mask) override;
  void async_wait(const Warp &warp, Mask mask, u32 pending) override;

private:
  struct Watched {
    const Block *block = nullptr;
    std::unique_ptr<memory::BlockTime> time;
    std::vector<int> waiting[16]; ///< warps, by barrier
  };

  void progress() { polls_ = 0; }
  void poll(const Warp &warp, const Access &access);
  void matrices(const Warp &warp, const u32 *rows, const Access &access, const Instr &instr);
  Watched &watched(const Block &block);
  memory::BlockTime &time(const Warp &warp);
  void tell(const memory::RaceReport &report);
  void raise();

  memory::Races races_;
  memory::Streams::Stream stream_ = 0;
  const Launch *launch_ = nullptr;
  std::vector<Watched> blocks_;
  size_t last_ = 0;
  u64 polls_ = 0;                            ///< strong reads since anybody did anything else
  std::optional<memory::RaceReport> report_; ///< of the access under way
};

} // namespace quern::ptx

#endif // QUERN_TESTS_PTX_DETECTORS_H
