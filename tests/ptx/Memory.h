// A device's memory: allocations at addresses of its own, with a shadow that knows of every byte
// whether it is there and whether it was written.
//
// Addresses are never given twice, so that what was freed stays known as such. Pages of 4 KiB carry
// a state, so that most accesses are one look: only of pages that are partly written is each byte
// asked.
#ifndef QUERN_TESTS_PTX_MEMORY_H
#define QUERN_TESTS_PTX_MEMORY_H

#include "tests/ptx/Syntax.h"

#include <absl/status/statusor.h>

#include <map>
#include <string>

namespace quern::ptx {

/// Generic addresses of the other spaces. Nothing on the device lies below kDeviceBase.
constexpr u64 kWindowBytes = u64{1} << 32;
constexpr u64 kSharedWindow = 1 * kWindowBytes;
constexpr u64 kLocalWindow = 2 * kWindowBytes;
constexpr u64 kParamWindow = 3 * kWindowBytes;
constexpr u64 kDeviceBase = u64{1} << 40;

class Memory {
public:
  static constexpr u64 kPage = 4096;
  enum class Page : u8 { None, Partial, Full, Constant, Freed };
  enum class Byte : u8 { None, Allocated, Written };

  /// Keeps addresses for `reserve` bytes; memory is taken as it is touched. `limit`: of the bytes
  /// allocated at once.
  Memory(u64 reserve, u64 limit);
  ~Memory();
  Memory(const Memory &) = delete;
  Memory &operator=(const Memory &) = delete;

  /// 256-byte aligned; 0 when there is no room.
  u64 allocate(u64 bytes, std::string name = "");
  /// False if `address` is not the beginning of an allocation.
  bool free(u64 address);

  u64 used() const { return used_; }
  u64 limit() const { return limit_; }
  /// Addresses from kDeviceBase on that allocations may ever have.
  u64 reserve() const { return reserve_; }

  /// Whether all these bytes are of one live allocation.
  bool contains(u64 address, u64 bytes) const;
  bool write(u64 address, const void *from, u64 bytes);
  bool fill(u64 address, u8 value, u64 bytes);
  /// Bytes as they lie, written or not.
  bool read(u64 address, void *into, u64 bytes) const;
  /// Within the device: bytes never written stay so.
  bool copy(u64 to, u64 from, u64 bytes);
  /// What may only be read from now on.
  void make_constant(u64 address, u64 bytes);
  /// Address of the first of these bytes that was never written; 0 if all were.
  u64 first_unwritten(u64 address, u64 bytes) const;

  /// Where an address lies on the host; only of bytes in bounds of the reserved addresses.
  u8 *host(u64 address) const { return data_ + (address - kDeviceBase); }
  bool reserved(u64 address) const { return address - kDeviceBase < reserve_; }
  bool reserved(u64 first, u64 last) const {
    return first >= kDeviceBase && last < kDeviceBase + reserve_;
  }
  Page page(u64 address) const { return pages_[(address - kDeviceBase) / kPage]; }
  /// Whether every byte from `first` to `last`, both reserved, is there and written: looked up by
  /// page.
  bool plain(u64 first, u64 last) const {
    u64 at = (first - kDeviceBase) / kPage;
    const u64 end = (last - kDeviceBase) / kPage;
    if (end - at > 64)
      return false;
    for (; at <= end; ++at)
      if (pages_[at] != Page::Full && pages_[at] != Page::Constant)
        return false;
    return true;
  }
  bool plain_store(u64 first, u64 last) const {
    u64 at = (first - kDeviceBase) / kPage;
    const u64 end = (last - kDeviceBase) / kPage;
    if (end - at > 64)
      return false;
    for (; at <= end; ++at)
      if (pages_[at] != Page::Full)
        return false;
    return true;
  }
  /// Whether all these bytes, in reserved addresses, are there and written.
  bool written(u64 address, u64 bytes) const;
  /// Marks a store's bytes, in reserved addresses, as written; false if one of them is not there
  /// for it.
  bool store(u64 address, u64 bytes);

  enum class Fault : u8 { None, Unmapped, Freed, Unwritten, ReadOnly };
  /// What is wrong with an access of one lane.
  Fault check(u64 address, u64 bytes, bool store) const;
  /// An address in words: "at +4096 of allocation 3 (4096 bytes at 0x...)".
  std::string describe(u64 address) const;

private:
  struct Allocation {
    u64 bytes;
    u64 number;
    bool freed;
    std::string name;
  };
  Byte *shadow(u64 address) const { return shadow_ + (address - kDeviceBase); }
  const Allocation *live(u64 address, u64 bytes) const;
  void mark(u64 address, u64 bytes);

  u8 *data_ = nullptr;
  Byte *shadow_ = nullptr;
  Page *pages_ = nullptr;
  u16 *written_ = nullptr; ///< bytes of each Partial page: with the last one it is Full
  u64 reserve_, limit_, next_ = kDeviceBase, used_ = 0, count_ = 0;
  std::map<u64, Allocation> allocations_;
};

} // namespace quern::ptx

#endif // QUERN_TESTS_PTX_MEMORY_H
