// Matrix products of a few rows, as decoding has them: what takes the time is reading the weights,
// each once, so a block keeps as many of them on their way as it can (AsyncCopy.cuh). Each warp has
// a ring of its own and waits for nobody: its stream of weights goes on across panels, while the
// block adds up the parts of a panel and the kernel's epilogue runs.
//
// A product leaves a tile in shared memory, which the kernel's epilogue reads. It is made with the
// weights, its memory and the panels that the block will want, in order: from then on their weights
// are on their way. It says
//   kRows, kPanels  the most rows, and the panels, of a tile
//   kScratch        bytes of shared memory that it needs besides
//   kRowBytes       from one row of activations to the next
//   multiply<kWidth>(x, height, tile)
//                   called for one of those panels after the other by all threads of a block, which
//                   have met where someone else still used the tile: writes tile[m * kWidth +
//                   column] for `height` rows; when it returns the tile can be read
//   choose(which)   from here on row m is the one that which(m) says, of x on
// A tile's numbers depend on its row and on the weights alone. Of integer weights, each warp adds
// up its units' pairs of groups in four sums, pair p in sum p % 4, in order; of float ones each of
// 16 or 8 lanes its own inputs. These sums are added up in a fixed tree, then the warps' in order.
#ifndef QUERN_CODEGEN_CUDA_DEVICE_STREAMEDPRODUCTS_CUH
#define QUERN_CODEGEN_CUDA_DEVICE_STREAMEDPRODUCTS_CUH

#include "codegen/cuda/device/AsyncCopy.cuh"
#include "codegen/cuda/device/Packings.cuh"
#include "codegen/cuda/device/StreamedShape.h"

namespace quern {

template <bool kFirst, class First, class Second> struct SelectType {
  using Type = First;
};
template <class First, class Second> struct SelectType<false, First, Second> {
  using Type = Second;
};
template <bool kFirst, class First, class Second>
using Select = typename SelectType<kFirst, First, Second>::Type;

/// What integer and float products have in common: the stream of a warp's units, rows held in
/// shared memory, the sum over parts. `PanelOf`: int(int n), the first of the kPanels panels of the
/// block's n-th multiplication.
template <StreamedShape kShape, int kChannels, class PanelOf> class ProductStream {
public:
  static constexpr int kParts = kShape.parts();
  static constexpr int kUnits = static_cast<int>(kShape.units());
  static constexpr int kPanels = Packing::panels(kChannels);
  static constexpr i64 kPanelBytes = kShape.packing.panel_bytes(kShape.inputs);

  QN_DEVICE ProductStream(const u8 *weights, u8 *scratch, PanelOf panel_of, int count)
      : ring(scratch + warp() * kShape.stages() * kShape.stage_bytes()), weights_(weights),
        panel_of_(panel_of), count_(count), policy_(evict_first()) {
    begin_panel();
#pragma unroll 1
    for (int i = 0; i < kShape.stages(); ++i)
      fetch();
  }

  /// The warp's part of its panel, and the panel's number in the block.
  QN_DEVICE static int part() { return warp() % kParts; }
  QN_DEVICE static int slot() { return warp() / kParts; }
  /// The units of a panel that are this warp's.
  QN_DEVICE static int own_units() { return (kUnits - part() + kParts - 1) / kParts; }

  /// Begins the copy of the next unit, of this panel or one that comes later; after the last of
  /// them, an empty one.
  QN_DEVICE void fetch() {
    if (from_ != nullptr) {
      constexpr int kUnitBytes = kShape.unit_bytes();
      constexpr i64 kLast = kPanelBytes - kShape.head_bytes() - i64(kUnits - 1) * kUnitBytes;
      u8 *to = ring.next();
      if (kShape.head_bytes() != 0 && unit_ == part() &&
          lane() < kShape.head_bytes() / kChunk) // the panel's, with the warp's first unit
        copy(to + lane() * kChunk, panel_ + lane() * kChunk);
      if (kLast == kUnitBytes || unit_ != kUnits - 1)
        copy_unit<kUnitBytes>(to, from_);
      else
        copy_unit<static_cast<int>(kLast)>(to, from_);
      unit_ += kParts;
      from_ += i64(kParts) * kUnitBytes;
      if (unit_ >= kUnits) {
        ++fetching_;
        begin_panel();
      }
    }
    ring.submit();
  }

  /// Whether the warp's panel of a multiplication is one: the last of a block's may not be.
  QN_DEVICE bool has_panel(int n) const { return panel_of_(n) + slot() < kPanels; }

  /// Adds the parts' sums of the block's panels up; `sums`: [kWarps][kRows][kSumsStride], as they
  /// are in shared memory, all of them written.
  template <int kRows, int kWidth> QN_DEVICE static void add_parts(const float *sums, float *tile) {
    constexpr int kColumns = kShape.panels * kLanes;
    __syncthreads();
#pragma unroll 1
    for (int i = thread(); i < kRows * kColumns; i += kThreads) {
      const int m = i / kColumns, panel = i % kColumns / kLanes, channel = i % kLanes;
      const float *of = sums + (panel * kParts * kRows + m) * kShape.kSumsStride + channel;
      float sum = of[0];
#pragma unroll
      for (int k = 1; k < kParts; ++k)
        sum += of[k * kRows * kShape.kSumsStride];
      tile[m * kWidth + panel * kLanes + channel] = sum;
    }
    __syncthreads();
  }

  CopyRing<kShape.stages(), kShape.stage_bytes()> ring;

private:
  static constexpr int kChunk = 16;

  QN_DEVICE void copy(u8 *to, const u8 *from) const { copy_async(to, from, policy_); }

  template <int kBytes> QN_DEVICE void copy_unit(u8 *to, const u8 *from) const {
    constexpr int kChunks = kBytes / kChunk;
    // Where pairs are held further apart than they lie.
    constexpr bool kApart = kShape.is_integer() && kShape.pair_stride() != kShape.pair_bytes();
#pragma unroll
    for (int first = 0; first < kChunks; first += kWarpLanes) {
      const int chunk = first + lane();
      if (first + kWarpLanes > kChunks && chunk >= kChunks)
        break;
      int at = chunk * kChunk;
      if constexpr (kApart)
        at += chunk / (kShape.pair_bytes() / kChunk) * (kShape.pair_stride() - kShape.pair_bytes());
      copy(to + kShape.head_bytes() + at, from + chunk * kChunk);
    }
  }

  /// Points at the warp's first unit of the panel that is fetched next.
  QN_DEVICE void begin_panel() {
    unit_ = part();
    while (fetching_ < count_ && (!has_panel(fetching_) || unit_ >= kUnits))
      ++fetching_;
    from_ = nullptr;
    if (fetching_ >= count_)
      return;
    panel_ = weights_ + i64(panel_of_(fetching_) + slot()) * kPanelBytes;
    from_ = panel_ + kShape.head_bytes() + i64(unit_) * kShape.unit_bytes();
  }

  const u8 *weights_, *panel_ = nullptr, *from_ = nullptr;
  PanelOf panel_of_;
  int count_, fetching_ = 0, unit_ = 0;
  u64 policy_;
};

/// Calls into the second cache what a block's product begins with, and goes on with while its first
/// weights come: so much that memory is busy as long as what runs before the product takes.
template <StreamedShape kShape, class PanelOf>
QN_DEVICE void prefetch_panels(const u8 *weights, PanelOf panel_of, int count) {
  constexpr int kBytes = 128 << 10, kLine = 128;
  constexpr i64 kPanelBytes = kShape.packing.panel_bytes(kShape.inputs);
  constexpr i64 kGroupBytes = kShape.panels * kPanelBytes;
  constexpr int kGroups = static_cast<int>((kBytes + kGroupBytes - 1) / kGroupBytes);
  constexpr int kOfGroup = static_cast<int>(kGroupBytes < kBytes ? kGroupBytes : i64{kBytes});
  for (int n = 0; n < least(count, kGroups); ++n) {
    const u8 *from = weights + i64(panel_of(n)) * kPanelBytes;
    for (int at = thread() * kLine; at < kOfGroup; at += kThreads * kLine)
      asm volatile("prefetch.global.L2 [%0];" ::"l"(__cvta_generic_to_global(from + at)));
  }
}

/// Which rows a product takes: those that follow one another from the first on, or those of a list.
struct RowsInOrder {
  QN_DEVICE int operator()(int m) const { return m; }
};
struct ChosenRows {
  const int *rows;
  QN_DEVICE int operator()(int m) const { return rows[m]; }
};

/// Rows of activations that are read for many panels: held in shared memory where they fit, else
/// read where they lie. `kBytes` of a row are held, `kStride` from one to the next.
template <bool kHeld, i64 kRowBytes, int kBytes, int kStride> struct HeldRows {
  /// For all threads of a block, which meet.
  template <class Which> QN_DEVICE static void hold(u8 *to, const u8 *x, Which which, int height) {
    if constexpr (kHeld) {
      using Word = Select<kRowBytes % 16 == 0 && kBytes % 16 == 0, uint4, u32>;
      __syncthreads(); // whoever still reads what is held
#pragma unroll 1
      for (int m = 0; m < height; ++m)
        for (int i = thread(); i < kBytes / static_cast<int>(sizeof(Word)); i += kThreads)
          reinterpret_cast<Word *>(to + m * kStride)[i] =
              reinterpret_cast<const Word *>(x + which(m) * kRowBytes)[i];
      __syncthreads();
    }
  }
  /// Row m; those beyond `height` are the last one again.
  template <class Which>
  QN_DEVICE static const u8 *row(const u8 *held, const u8 *x, Which which, int m, int height) {
    const int at = least(m, height - 1);
    if constexpr (kHeld)
      return held + at * kStride;
    else
      return x + which(at) * kRowBytes;
  }
};

} // namespace quern

#endif // QUERN_CODEGEN_CUDA_DEVICE_STREAMEDPRODUCTS_CUH
