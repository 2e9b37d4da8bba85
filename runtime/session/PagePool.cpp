#include "runtime/session/PagePool.h"

#include <absl/strings/str_cat.h>

#include <exception>
#include <utility>

namespace quern::session {

absl::StatusOr<PagePool> PagePool::create(device::Device &device, uint64_t page_bytes,
                                          uint64_t num_pages) {
  if (num_pages > INT32_MAX)
    return absl::ResourceExhaustedError(
        absl::StrCat(num_pages, " pages of state are more than can be numbered"));
  PagePool pool(device, page_bytes);
  auto memory = device.allocate(num_pages * page_bytes);
  if (!memory.ok())
    return memory.status();
  pool.memory_ = *std::move(memory);
  try {
    pool.holders_.resize(num_pages);
    pool.free_.reserve(num_pages);
  } catch (const std::exception &) { // bad_alloc or length_error
    return absl::ResourceExhaustedError(
        absl::StrCat("no memory to keep track of ", num_pages, " pages of state"));
  }
  return pool;
}

// What a freed page still holds must not leak into another sequence: attention masks positions
// beyond a sequence's end by a weight of zero, and zero times a stale NaN is NaN.
int32_t PagePool::take() {
  int32_t page;
  if (!free_.empty()) {
    page = free_.back();
    free_.pop_back();
    device_->zero(address(page), page_bytes_);
  } else {
    page = never_used_++;
  }
  holders_[page] = 1;
  return page;
}

void PagePool::release(int32_t page) {
  if (--holders_[page] == 0)
    free_.push_back(page); // reserved
}

int32_t PagePool::own(int32_t page) {
  if (holders_[page] == 1)
    return page;
  const int32_t copy = take();
  device_->copy(address(copy), address(page), page_bytes_);
  release(page);
  return copy;
}

} // namespace quern::session
