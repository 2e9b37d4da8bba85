// The pages of one kv group: taken, shared by reference count, and given back.
#ifndef QUERN_RUNTIME_SESSION_PAGEPOOL_H
#define QUERN_RUNTIME_SESSION_PAGEPOOL_H

#include "runtime/device/Device.h"

#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace quern::session {

class PagePool {
public:
  /// Takes all memory. Error: ResourceExhausted.
  static absl::StatusOr<PagePool> create(device::Device &device, uint64_t page_bytes,
                                         uint64_t num_pages);

  /// A page of zeros with one holder. Requires in_use() < size(). Allocates nothing.
  int32_t take();
  /// One more holder of a page that has some.
  void share(int32_t page) { ++holders_[page]; }
  /// One holder less; without any the page is free again.
  void release(int32_t page);
  /// Exchanges the caller's hold on `page` for one on a page with the same content and no other
  /// holder. Requires in_use() < size() if the page has others.
  int32_t own(int32_t page);

  uint64_t page_bytes() const { return page_bytes_; }
  uint64_t size() const { return holders_.size(); }
  uint64_t in_use() const { return static_cast<uint64_t>(never_used_) - free_.size(); }
  uint8_t *base() const { return memory_->data(); }
  uint8_t *address(int32_t page) const {
    return base() + static_cast<uint64_t>(page) * page_bytes_;
  }

private:
  PagePool(device::Device &device, uint64_t page_bytes)
      : device_(&device), page_bytes_(page_bytes) {}

  device::Device *device_;
  uint64_t page_bytes_;
  std::unique_ptr<device::Allocation> memory_;
  std::vector<int32_t> holders_; ///< a page
  std::vector<int32_t> free_;    ///< pages that were used and are free again
  int32_t never_used_ = 0;       ///< pages from here on are still as allocated: zero
};

} // namespace quern::session

#endif // QUERN_RUNTIME_SESSION_PAGEPOOL_H
