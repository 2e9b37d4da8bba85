// All who look on while a device runs, as one.
#ifndef QUERN_TESTS_PTX_WATCH_H
#define QUERN_TESTS_PTX_WATCH_H

#include "tests/ptx/Detectors.h"
#include "tests/ptx/counters/Counters.h"

#include <memory>

namespace quern::ptx {

/// Detectors, always, and counters, while they are on.
class Watch : public Observer {
public:
  Watch(u64 base, u64 bytes) : detectors_(base, bytes), base_(base), bytes_(bytes) {}

  Detectors &detectors() { return detectors_; }
  /// Counts from now on, from nothing; or no more.
  void count(bool on) { counting_ = on ? std::make_unique<Counting>(base_, bytes_) : nullptr; }
  /// Null while nobody counts.
  Counting *counting() { return counting_.get(); }

  void begin_launch(const Launch &launch) override {
    each([&](Observer &one) { one.begin_launch(launch); });
  }
  void end_launch(const Launch &launch) override {
    each([&](Observer &one) { one.end_launch(launch); });
  }
  void begin_block(const Block &block) override {
    each([&](Observer &one) { one.begin_block(block); });
  }
  void end_block(const Block &block) override {
    each([&](Observer &one) { one.end_block(block); });
  }
  void access(const Warp &warp, const Instr &instr, const Access &access) override {
    each([&](Observer &one) { one.access(warp, instr, access); });
  }
  void barrier_arrive(const Warp &warp, Mask mask, u32 barrier, u32 threads, bool waits) override {
    each([&](Observer &one) { one.barrier_arrive(warp, mask, barrier, threads, waits); });
  }
  void barrier_complete(const Block &block, u32 barrier) override {
    each([&](Observer &one) { one.barrier_complete(block, barrier); });
  }
  void warp_sync(const Warp &warp, Mask mask) override {
    each([&](Observer &one) { one.warp_sync(warp, mask); });
  }
  void fence(const Warp &warp, Mask mask, Order order, Scope scope) override {
    each([&](Observer &one) { one.fence(warp, mask, order, scope); });
  }
  void async_issue(const Warp &warp, const Instr &instr,
                   std::span<const AsyncCopy> copies) override {
    each([&](Observer &one) { one.async_issue(warp, instr, copies); });
  }
  void async_commit(const Warp &warp, Mask mask) override {
    each([&](Observer &one) { one.async_commit(warp, mask); });
  }
  void async_wait(const Warp &warp, Mask mask, u32 pending) override {
    each([&](Observer &one) { one.async_wait(warp, mask, pending); });
  }
  bool asks_instructions() const override { return counting_ != nullptr; }
  void instruction(const Warp &warp, const Instr &instr, Mask mask) override {
    counting_->instruction(warp, instr, mask);
  }

private:
  template <class Tell> void each(const Tell &tell) {
    tell(static_cast<Observer &>(detectors_));
    if (counting_ != nullptr)
      tell(static_cast<Observer &>(*counting_));
  }

  Detectors detectors_;
  std::unique_ptr<Counting> counting_;
  u64 base_, bytes_;
};

} // namespace quern::ptx

#endif // QUERN_TESTS_PTX_WATCH_H
