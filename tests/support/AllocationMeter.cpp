#include "tests/support/AllocationMeter.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {
std::atomic<size_t> total{0};
} // namespace

namespace quern::testing_support {
size_t allocated_bytes() { return total.load(std::memory_order_relaxed); }
} // namespace quern::testing_support

void *operator new(size_t size) {
  total.fetch_add(size, std::memory_order_relaxed);
  if (void *memory = std::malloc(size == 0 ? 1 : size))
    return memory;
  throw std::bad_alloc();
}
void *operator new[](size_t size) { return operator new(size); }
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, size_t) noexcept { std::free(memory); }
void operator delete[](void *memory) noexcept { std::free(memory); }
void operator delete[](void *memory, size_t) noexcept { std::free(memory); }
