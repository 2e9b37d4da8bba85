// Happens-before on a device, and the accesses that it does not order.
//
// Two accesses to the same byte, one of them a write, by different threads are a race unless one
// happens before the other or both are strong, of the same place and size, with scopes that reach
// each other (PTX ISA, Memory Consistency Model). Happens-before is program order and what
// synchronises:
//
//   - bar.sync, bar.red, bar.arrive: everything of those who arrive before everything after the
//   wait;
//   - bar.warp.sync: among the lanes of its mask. Nothing else that a warp does together orders
//   memory:
//     not shfl, vote, match, redux, ldmatrix nor mma, and certainly not that lanes run in step
//     here;
//   - a release (st/red/atom.release, or a fence and then a strong write) that an acquire
//   (ld/atom.acquire,
//     or a strong read and then a fence) reads from, directly or through atomics that read it in
//     turn, where the scopes of all that takes part reach the other thread. It is cumulative;
//   - a launch comes after those before it on its stream, and after what was waited for.
//
// An asynchronous copy (cp.async) is an access of its own, after what its thread did before, and
// before what the thread does after waiting for its group; others need a barrier after that wait.
// Bytes that ld.global.nc reads may not be written in the same launch, in whatever order.
//
// What is reported is what no barrier orders, not what happened to collide: a report does not
// depend on the order that blocks and warps were run in, and lanes run in step hide nothing.
#ifndef QUERN_TESTS_PTX_MEMORY_RACES_H
#define QUERN_TESTS_PTX_MEMORY_RACES_H

#include "tests/ptx/memory/Clock.h"
#include "tests/ptx/memory/Readers.h"
#include "tests/ptx/memory/Streams.h"

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <unordered_map>

namespace quern::ptx::memory {

enum class Act : uint8_t { Load, Store, Update };
enum class Order : uint8_t { Weak, Relaxed, Acquire, Release, AcquireRelease };
enum class Reach : uint8_t { Cta, Gpu }; ///< scopes; sys counts as gpu, cluster as cta

/// How an instruction accesses memory. A volatile access is Relaxed, Gpu.
struct Access {
  Act act = Act::Load;
  Order order = Order::Weak;
  Reach reach = Reach::Gpu;
  bool nc = false;
  uint8_t element = 4; ///< bytes of one element: what a strong access is atomic in
};

struct RaceReport {
  enum class Kind : uint8_t { Race, NonCoherentRead };
  struct Side {
    std::string kernel; ///< empty: a copy of the host's
    uint32_t operation = 0;
    uint32_t block = 0;  ///< linear in the grid
    uint32_t thread = 0; ///< linear in the block
    uint32_t pc = kMaxPc;
    bool write = false;
    bool copy = false; ///< cp.async
  };
  Kind kind = Kind::Race;
  bool shared = false;
  uint64_t address = 0; ///< in shared memory, from its beginning
  Side earlier;         ///< of the two, what was run first here
  Side later;
  std::string why;           ///< what is missing between them
  uint32_t sync_pc = kMaxPc; ///< the synchronisation that `why` speaks of
};

/// Words of memory and the stamps of each: `words` of its last write, and of the reads since.
struct Watched {
  uint64_t base = 0, bytes = 0;
  uint64_t *writes = nullptr, *reads = nullptr;
};

class Races;

/// What a release made known, at one place in memory.
struct Released {
  ClockRef wide;                                     ///< by releases of scope gpu
  std::vector<std::pair<uint32_t, ClockRef>> narrow; ///< by block, of any scope
  uint32_t block = 0, thread = 0;                    ///< who wrote last
  bool written = false;                              ///< by a strong write
};

struct WarpTime {
  struct Fence {
    ClockRef clock;
    Ref<const BlockView> base;
    uint32_t epoch = 0, warp_known = 0, warp_copies = 0, copies_done = 0;
    Reach reach = Reach::Cta;
  };
  struct Pending {
    ClockRef wide, narrow;
  };
  enum class Near : uint8_t {
    None,
    NothingReleased,
    ReleaseTooNarrow,
    AcquireTooNarrow,
    NotAcquired
  };

  uint32_t epoch = 1, segment = 0;
  uint32_t warp_known = 0;  ///< epochs of all lanes that all lanes know
  uint32_t warp_copies = 0; ///< groups of copies of all lanes that all lanes know
  uint32_t live = kAllLanes;
  ClockRef clock;                            ///< beyond the block's; where `lanes` is null
  std::unique_ptr<ClockRef[]> lanes;         ///< of each lane, where they differ
  std::unique_ptr<uint32_t[]> committed;     ///< groups of copies, by lane; null: none yet
  std::unique_ptr<uint32_t[]> done;          ///< of these, waited for
  std::unique_ptr<Fence[]> fences;           ///< the last of each lane
  std::unique_ptr<Pending[]> pending;        ///< read by strong reads, not yet acquired
  uint32_t copy_segment = 0, copy_group = 0; ///< the segment of copies of this group
  /// Segments that all lanes were found to come after: the last two, and more of them by their low
  /// bits.
  uint32_t recent[2] = {};
  uint32_t past[512] = {};
  Near near = Near::None; ///< a synchronisation that failed
  uint32_t near_pc = 0;
};

/// A resident block: its warps' times, its shared memory.
struct BlockTime {
  uint32_t index = 0;
  std::vector<WarpTime> warps;
  Ref<const BlockView> base; ///< what all threads know of the block since its last full barrier
  uint32_t floor = 0;        ///< the first segment after that
  Watched shared;
  std::vector<uint64_t> stamps;
  Readers readers;
  std::unordered_map<uint32_t, Released> released; ///< in shared memory
  std::map<uint32_t, ClockRef> arrived;            ///< by barrier: who will not wait
};

class Races {
public:
  using Report = std::function<void(const RaceReport &)>;
  explicit Races(Report report) : report_(std::move(report)) {}
  ~Races();
  Races(const Races &) = delete;
  Races &operator=(const Races &) = delete;

  Streams &streams() { return streams_; }

  /// Watches an allocation of device memory; the base is a multiple of 4.
  void add(uint64_t base, uint64_t bytes);
  void remove(uint64_t base);

  /// A launch begins; its blocks may be begun, in any order, until the next operation.
  void begin_launch(Streams::Stream stream, std::string kernel);
  /// The host copies or sets device memory on a stream.
  void host_copy(Streams::Stream stream, uint64_t address, uint64_t bytes, bool write);

  /// `threads` of the last warp may be fewer than 32.
  std::unique_ptr<BlockTime> begin_block(uint32_t index, uint32_t threads, uint32_t shared_bytes);
  /// Gives back what a block used, for the next one.
  void end_block(std::unique_ptr<BlockTime> block);
  /// Lanes of a warp are done.
  void exit(BlockTime &block, int warp, uint32_t lanes) { block.warps[warp].live &= ~lanes; }

  /// Lanes access `bytes` at each of their addresses (global), offsets (shared), aligned to their
  /// size. To be told before the access is carried out, after those that it comes after.
  void global(BlockTime &block, int warp, uint32_t lanes, const uint64_t *addresses, uint32_t bytes,
              Access access, uint32_t pc);
  void shared(BlockTime &block, int warp, uint32_t lanes, const uint32_t *offsets, uint32_t bytes,
              Access access, uint32_t pc);

  /// cp.async: issued, committed to a group, waited for until at most `left` groups are not done.
  void copy(BlockTime &block, int warp, uint32_t lanes, const uint32_t *offsets, uint32_t bytes,
            const uint64_t *sources, const uint32_t *source_bytes, uint32_t pc);
  void commit(BlockTime &block, int warp, uint32_t lanes);
  void wait(BlockTime &block, int warp, uint32_t lanes, uint32_t left);
  /// cp.async.wait_all: also what was not committed.
  void wait_all(BlockTime &block, int warp, uint32_t lanes);

  /// bar.warp.sync.
  void warp_barrier(BlockTime &block, int warp, uint32_t lanes);
  /// bar.arrive, when the warp arrives.
  void arrive(BlockTime &block, int warp, uint32_t barrier);
  /// A barrier completes for the warps that wait at it, and with those that arrived.
  void barrier(BlockTime &block, uint32_t barrier, std::span<const int> waiting);
  /// fence, membar: of the order AcquireRelease, or one of the two.
  void fence(BlockTime &block, int warp, uint32_t lanes, Reach reach,
             Order order = Order::AcquireRelease);

private:
  struct Segment {
    uint32_t operation, block, epoch;
    uint8_t warp;
    bool copy;
  };
  struct Context;
  struct HostCopy {
    Streams::Operation operation;
    uint32_t segment;
    uint64_t address, bytes;
    bool write;
  };
  static constexpr uint32_t kHost = ~0u; ///< as a block

  // Words of memory (Words.cpp).
  template <class Address>
  void accesses(Context &context, uint32_t lanes, const Address *addresses, uint32_t bytes);
  template <class Address>
  bool in_a_row(Context &context, const Address *addresses, uint32_t bytes);
  void one(const Context &context, uint64_t offset, uint32_t bytes, uint32_t lanes);
  void read_word(const Context &context, uint64_t index, uint64_t stamp, uint32_t lanes);
  void write_word(const Context &context, uint64_t index, uint64_t stamp, int lane);
  void check_write(const Context &context, uint64_t index, uint64_t stamp, uint32_t lanes);
  void check_reads(const Context &context, uint64_t index, uint64_t stamp, int lane);
  void put_write(const Context &context, uint64_t &cell, uint64_t stamp);
  bool orders(const Context &context, uint64_t prior, int prior_lane, bool copy, int lane) const;
  bool is_past(const Context &context, const Reader &prior) const;
  bool orders_all(const Context &context, const Reader &prior, uint32_t lanes) const;
  bool check(const Context &context, const Reader &prior, bool prior_write, uint64_t index,
             uint64_t stamp, uint32_t lanes);
  void tell(const Context &context, const Reader &prior, int prior_lane, bool prior_write, int lane,
            uint64_t index, uint32_t bytes, RaceReport::Kind kind);
  std::string reason(const Context &context, uint64_t prior, int prior_lane, bool copy,
                     int lane) const;
  bool same_launch(uint64_t stamp) const;
  Watched *find(uint64_t address);

  // Time (Races.cpp, Synchronisation.cpp).
  uint32_t begin_segment(uint32_t block, int warp, uint32_t epoch, bool copy);
  void next_epoch(BlockTime &block, int warp);
  const Segment &segment(uint64_t stamp) const {
    return segments_[segment_of(stamp) - first_segment_];
  }
  void begin_operation(Streams::Stream stream, const std::string &name);
  void forget();
  void stamp_host_copies();
  WarpTime::Fence now(const BlockTime &block, int warp, int lane, Reach reach) const;
  ClockRef clock_of(const BlockTime &block, int warp, int lane, const WarpTime::Fence &at) const;
  Ref<const BlockView> view_of(const BlockTime &block, int warp, uint32_t lanes) const;
  void learn(WarpTime &warp, int lane, const ClockRef &what);
  void meet(WarpTime &warp);
  void synchronise(const Context &context, int lane, Released &place);

  Report report_;
  Streams streams_;
  std::map<uint64_t, Watched> watched_; ///< by base
  Watched *last_ = nullptr;
  std::vector<Segment> segments_;
  uint32_t first_segment_ = 1;
  Streams::Operation operation_ = 0;
  uint32_t floor_ = 1;                     ///< of global memory in this launch
  std::vector<const std::string *> names_; ///< by operation, from 1
  std::set<std::string> all_names_;
  std::vector<uint32_t> first_segments_; ///< by operation, from 1
  std::vector<HostCopy> host_copies_;
  std::set<std::tuple<uint32_t, uint32_t, bool, RaceReport::Kind>> told_; ///< in this launch
  Readers readers_;
  std::vector<std::array<uint64_t, 4>> splits_; ///< writes of words, by byte
  std::vector<uint32_t> free_splits_;
  std::unordered_map<uint64_t, Released> released_;
  std::vector<std::unique_ptr<BlockTime>> idle_;
  ClockRef learnt_[3]; ///< the last join of an acquire: of two, and what came out
};

} // namespace quern::ptx::memory

#endif // QUERN_TESTS_PTX_MEMORY_RACES_H
