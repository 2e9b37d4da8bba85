// Bytes that end right before a page nobody may touch: reading one byte too far crashes the test,
// with or without a sanitizer.
#ifndef QUERN_TESTS_SUPPORT_GUARDEDBYTES_H
#define QUERN_TESTS_SUPPORT_GUARDEDBYTES_H

#include <cstddef>
#include <cstring>
#include <new>
#include <span>
#include <string_view>
#include <sys/mman.h>
#include <unistd.h>

namespace quern::testing_support {

class GuardedBytes {
public:
  explicit GuardedBytes(std::string_view text) : size_(text.size()) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t usable = (size_ + page - 1) / page * page;
    mapped_ = usable + page;
    void *base = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
      throw std::bad_alloc();
    base_ = static_cast<std::byte *>(base);
    mprotect(base_ + usable, page, PROT_NONE);
    data_ = base_ + usable - size_;
    if (size_ != 0)
      std::memcpy(data_, text.data(), size_);
  }
  ~GuardedBytes() { munmap(base_, mapped_); }
  GuardedBytes(const GuardedBytes &) = delete;
  GuardedBytes &operator=(const GuardedBytes &) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char *>(data_), size_}; }

private:
  size_t size_;
  size_t mapped_;
  std::byte *base_;
  std::byte *data_;
};

} // namespace quern::testing_support

#endif // QUERN_TESTS_SUPPORT_GUARDEDBYTES_H
