// What a thread knows to have happened: vector clocks, compressed for how kernels synchronise.
//
// A warp's time is counted in epochs. Knowing warp w up to epoch e is knowing every access of its
// 32 lanes in epochs up to e; a single thread that was met alone (a release, a partial warp
// barrier) is an exception to that. Asynchronous copies are counted apart, by the number of the
// group that they were committed in, since neither barrier nor release of their thread orders them
// before they were waited for. Clocks do not change once made, so that threads share them.
#ifndef QUERN_TESTS_PTX_MEMORY_CLOCK_H
#define QUERN_TESTS_PTX_MEMORY_CLOCK_H

#include <cstdint>
#include <utility>
#include <vector>

namespace quern::ptx::memory {

/// Counts references without atomics: an interpreter is one thread.
template <class T> class Ref {
public:
  Ref() = default;
  explicit Ref(T *object) : object_(object) {
    if (object_ != nullptr)
      ++object_->references;
  }
  Ref(const Ref &other) : Ref(other.object_) {}
  Ref(Ref &&other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref &operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_ != nullptr && --object_->references == 0)
      delete object_;
  }
  T *operator->() const { return object_; }
  T &operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }
  bool operator==(const Ref &other) const { return object_ == other.object_; }

private:
  T *object_ = nullptr;
};

/// What is known of one block of a launch.
struct BlockView {
  /// A thread of the block and whether its copies are meant: 2 * thread + copies.
  using Key = uint32_t;

  mutable uint32_t references = 0;
  uint32_t block = 0;
  std::vector<uint32_t> epochs; ///< by warp
  std::vector<uint32_t> copies; ///< by warp: groups of each of its threads
  /// Threads that more is known of, by rising keys.
  std::vector<std::pair<Key, uint32_t>> threads;

  /// At least `epoch` of one thread.
  void know(Key key, uint32_t epoch);
  bool knows(int warp, int lane, bool copies, uint32_t epoch) const;
  bool covers(const BlockView &other) const;
  void join(const BlockView &other);
};

struct Clock {
  mutable uint32_t references = 0;
  std::vector<Ref<const BlockView>> blocks; ///< by rising numbers

  const BlockView *find(uint32_t block) const;
};

using ClockRef = Ref<const Clock>;

/// What both know; null is knowing nothing. Returns one of the two where it has all of the other.
ClockRef join(const ClockRef &a, const ClockRef &b);

/// A clock that also has a view of one block.
ClockRef join(const ClockRef &clock, Ref<const BlockView> view);

} // namespace quern::ptx::memory

#endif // QUERN_TESTS_PTX_MEMORY_CLOCK_H
