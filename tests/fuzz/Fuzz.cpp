// The entry that libFuzzer calls, and the bounds that it holds each input to: 64 MiB of memory
// beyond the input's size, and one second.
#include "tests/fuzz/Fuzz.h"

#include <sanitizer/allocator_interface.h>
#include <sanitizer/common_interface_defs.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <sys/mman.h>
#include <unistd.h>

namespace quern::fuzz {
namespace {

constexpr int64_t kMemory = int64_t{64} << 20;
/// Of the processor, not of the clock: other programs' work is not the input's. A sanitized build
/// takes several times as long as what is shipped.
constexpr double kSeconds = 1;

std::atomic<int64_t> live{0};
std::atomic<int64_t> ceiling{INT64_MAX};

void count_allocation(const volatile void *, size_t bytes) {
  const auto size = static_cast<int64_t>(bytes);
  if (live.fetch_add(size, std::memory_order_relaxed) + size <=
      ceiling.load(std::memory_order_relaxed))
    return;
  ceiling = INT64_MAX; // what reports it allocates too
  broken("it takes more than 64 MiB beyond its size");
}

void count_release(const volatile void *memory) {
  if (memory)
    live.fetch_sub(
        static_cast<int64_t>(__sanitizer_get_allocated_size(const_cast<const void *>(memory))),
        std::memory_order_relaxed);
}

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

} // namespace

void broken(std::string_view what) {
  std::fprintf(stderr, "fuzz: %.*s\n", static_cast<int>(what.size()), what.data());
  __sanitizer_print_stack_trace();
  std::abort(); // libFuzzer saves the input
}

MemoryFile::MemoryFile(std::string_view bytes, uint64_t zeros)
    : descriptor_(memfd_create("fuzz", MFD_CLOEXEC)),
      path_("/proc/self/fd/" + std::to_string(descriptor_)) {
  require(descriptor_ >= 0, "no file in memory");
  require(write(descriptor_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()),
          "cannot write a file in memory");
  require(ftruncate(descriptor_, static_cast<off_t>(bytes.size() + zeros)) == 0,
          "cannot lengthen a file in memory");
}

MemoryFile::~MemoryFile() { close(descriptor_); }

} // namespace quern::fuzz

extern "C" int LLVMFuzzerInitialize(int *, char ***) {
  const int installed = __sanitizer_install_malloc_and_free_hooks(quern::fuzz::count_allocation,
                                                                  quern::fuzz::count_release);
  quern::fuzz::require(installed != 0, "allocations cannot be counted");
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace quern::fuzz;
  const double begun = processor_seconds();
  ceiling = live + kMemory + static_cast<int64_t>(size);
  quern::fuzz::read({reinterpret_cast<const char *>(data), size});
  ceiling = INT64_MAX;
  require(processor_seconds() - begun < kSeconds, "it takes more than a second");
  return 0;
}
