#include "runtime/artifact/MappedRange.h"

#include <atomic>
#include <mutex>

namespace quern::artifact {
namespace {

// All ranges. Changed under the mutex, walked without it by a signal handler.
std::mutex list_mutex;
std::atomic<MappedRange *> list{nullptr};

} // namespace

MappedRange::MappedRange(const void *data, size_t bytes, const std::string &path)
    : begin_(static_cast<const char *>(data)), end_(begin_ + bytes), path_(path.c_str()) {
  const std::lock_guard lock(list_mutex);
  next_ = list;
  list = this;
}

MappedRange::~MappedRange() {
  const std::lock_guard lock(list_mutex);
  MappedRange *before = nullptr;
  for (MappedRange *range = list; range != this; range = range->next_)
    before = range;
  if (before)
    before->next_ = next_;
  else
    list = next_;
}

const char *MappedRange::file_at(const void *address) {
  const auto *at = static_cast<const char *>(address);
  for (const MappedRange *range = list; range; range = range->next_)
    if (range->begin_ <= at && at < range->end_)
      return range->path_;
  return nullptr;
}

} // namespace quern::artifact
