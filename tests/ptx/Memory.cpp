#include "tests/ptx/Memory.h"

#include "tests/ptx/Words.h"

#include <absl/strings/str_format.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <sys/mman.h>

namespace quern::ptx {
namespace {

void *reserve_bytes(u64 bytes) {
  void *at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED)
    throw std::bad_alloc();
  return at;
}

} // namespace

Memory::Memory(u64 reserve, u64 limit) : reserve_(reserve), limit_(limit) {
  data_ = static_cast<u8 *>(reserve_bytes(reserve_));
  shadow_ = static_cast<Byte *>(reserve_bytes(reserve_));
  pages_ = static_cast<Page *>(reserve_bytes(reserve_ / kPage));
  written_ = static_cast<u16 *>(reserve_bytes(2 * (reserve_ / kPage)));
}

Memory::~Memory() {
  munmap(data_, reserve_);
  munmap(shadow_, reserve_);
  munmap(pages_, reserve_ / kPage);
  munmap(written_, 2 * (reserve_ / kPage));
}

u64 Memory::allocate(u64 bytes, std::string name) {
  if (bytes == 0 || bytes > limit_ - used_)
    return 0;
  // A page without memory stands between allocations.
  const u64 pages = (bytes + kPage - 1) / kPage + 1;
  if (pages * kPage > kDeviceBase + reserve_ - next_)
    return 0;
  const u64 address = next_;
  next_ += pages * kPage;
  used_ += bytes;
  allocations_[address] = {bytes, count_++, false, std::move(name)};
  std::memset(shadow(address), static_cast<int>(Byte::Allocated), bytes);
  std::fill_n(pages_ + (address - kDeviceBase) / kPage, pages - 1, Page::Partial);
  return address;
}

bool Memory::free(u64 address) {
  auto at = allocations_.find(address);
  if (at == allocations_.end() || at->second.freed)
    return false;
  at->second.freed = true;
  used_ -= at->second.bytes;
  const u64 pages = (at->second.bytes + kPage - 1) / kPage;
  std::fill_n(pages_ + (address - kDeviceBase) / kPage, pages, Page::Freed);
  madvise(host(address), pages * kPage, MADV_DONTNEED);
  madvise(shadow(address), pages * kPage, MADV_DONTNEED);
  return true;
}

const Memory::Allocation *Memory::live(u64 address, u64 bytes) const {
  auto at = allocations_.upper_bound(address);
  if (at == allocations_.begin())
    return nullptr;
  --at;
  const Allocation &found = at->second;
  const u64 offset = address - at->first;
  return !found.freed && offset <= found.bytes && bytes <= found.bytes - offset ? &found : nullptr;
}

bool Memory::contains(u64 address, u64 bytes) const { return live(address, bytes) != nullptr; }

bool Memory::store(u64 address, u64 bytes) {
  const u64 end = address + bytes;
  while (address < end) {
    const u64 page_end = std::min(end, (address / kPage + 1) * kPage);
    const u64 number = (address - kDeviceBase) / kPage;
    Page &page = pages_[number];
    if (page == Page::Partial) {
      Byte *states = shadow(address);
      const u64 count = page_end - address;
      u32 fresh = 0;
      bool there = true;
      for (u64 n = 0; n < count; ++n) {
        fresh += states[n] == Byte::Allocated ? 1 : 0;
        there &= states[n] != Byte::None;
      }
      if (!there)
        return false;
      if (fresh != 0) {
        std::memset(states, static_cast<int>(Byte::Written), count);
        written_[number] = static_cast<u16>(written_[number] + fresh);
        if (written_[number] == kPage)
          page = Page::Full;
      }
    } else if (page != Page::Full) {
      return false;
    }
    address = page_end;
  }
  return true;
}

bool Memory::written(u64 address, u64 bytes) const {
  const u64 end = address + bytes;
  while (address < end) {
    const u64 page_end = std::min(end, (address / kPage + 1) * kPage);
    const Page state = page(address);
    if (state == Page::Partial) {
      const Byte *states = shadow(address);
      bool all = true;
      for (u64 n = 0; n < page_end - address; ++n)
        all &= states[n] == Byte::Written;
      if (!all)
        return false;
    } else if (state != Page::Full && state != Page::Constant) {
      return false;
    }
    address = page_end;
  }
  return true;
}

// Whole pages that were written need no shadow any more.
void Memory::mark(u64 address, u64 bytes) {
  const u64 end = address + bytes;
  while (address < end) {
    const u64 page_end = std::min(end, (address / kPage + 1) * kPage);
    Page &page = pages_[(address - kDeviceBase) / kPage];
    if (page == Page::Partial && page_end - address == kPage)
      page = Page::Full;
    else
      store(address, page_end - address);
    address = page_end;
  }
}

bool Memory::write(u64 address, const void *from, u64 bytes) {
  if (!contains(address, bytes))
    return false;
  std::memcpy(host(address), from, bytes);
  mark(address, bytes);
  return true;
}

bool Memory::fill(u64 address, u8 value, u64 bytes) {
  if (!contains(address, bytes))
    return false;
  std::memset(host(address), value, bytes);
  mark(address, bytes);
  return true;
}

bool Memory::read(u64 address, void *into, u64 bytes) const {
  if (!contains(address, bytes))
    return false;
  std::memcpy(into, host(address), bytes);
  return true;
}

bool Memory::copy(u64 to, u64 from, u64 bytes) {
  if (!contains(to, bytes) || !contains(from, bytes))
    return false;
  std::memmove(host(to), host(from), bytes);
  for (u64 n = 0; n < bytes;) {
    const u64 bad = first_unwritten(from + n, bytes - n);
    const u64 good = bad == 0 ? bytes - n : bad - (from + n);
    mark(to + n, good);
    n += good;
    for (; n < bytes && check(from + n, 1, false) == Fault::Unwritten; ++n)
      if (page(to + n) == Page::Partial && *shadow(to + n) == Byte::Written) {
        *shadow(to + n) = Byte::Allocated;
        --written_[(to + n - kDeviceBase) / kPage];
      }
  }
  return true;
}

void Memory::make_constant(u64 address, u64 bytes) {
  std::fill_n(pages_ + (address - kDeviceBase) / kPage, (bytes + kPage - 1) / kPage,
              Page::Constant);
}

u64 Memory::first_unwritten(u64 address, u64 bytes) const {
  const u64 end = address + bytes;
  while (address < end) {
    const u64 page_end = std::min(end, (address / kPage + 1) * kPage);
    if (page(address) == Page::Partial) {
      const void *bad =
          std::memchr(shadow(address), static_cast<int>(Byte::Allocated), page_end - address);
      if (bad != nullptr)
        return address + static_cast<u64>(static_cast<const Byte *>(bad) - shadow(address));
    }
    address = page_end;
  }
  return 0;
}

Memory::Fault Memory::check(u64 address, u64 bytes, bool store) const {
  for (u64 n = 0; n < bytes; ++n) {
    const u64 at = address + n;
    if (!reserved(at))
      return Fault::Unmapped;
    switch (page(at)) {
    case Page::None:
      return Fault::Unmapped;
    case Page::Freed:
      return Fault::Freed;
    case Page::Constant:
      if (store)
        return Fault::ReadOnly;
      break;
    case Page::Full:
      break;
    case Page::Partial:
      if (*shadow(at) == Byte::None)
        return Fault::Unmapped;
      if (*shadow(at) == Byte::Allocated && !store)
        return Fault::Unwritten;
    }
  }
  return Fault::None;
}

std::string Memory::describe(u64 address) const {
  auto at = allocations_.upper_bound(address);
  if (at == allocations_.begin())
    return absl::StrFormat("at 0x%x, of no allocation", address);
  --at;
  const Allocation &found = at->second;
  const u64 offset = address - at->first;
  const std::string name = found.name.empty() ? concat("allocation ", found.number) : found.name;
  if (offset < found.bytes)
    return absl::StrFormat("at 0x%x, byte %d of %d of %s%s", address, offset, found.bytes,
                           found.freed ? "freed " : "", name);
  return absl::StrFormat("at 0x%x, %d bytes past the end of %s (%d bytes)", address,
                         offset - found.bytes, name, found.bytes);
}

} // namespace quern::ptx
