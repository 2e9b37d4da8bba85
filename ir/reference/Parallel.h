// Work that is shared out among threads (internal to ir/reference).
#ifndef QUERN_IR_REFERENCE_PARALLEL_H
#define QUERN_IR_REFERENCE_PARALLEL_H

#include <absl/status/status.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace quern::reference {

/// Runs work(0) .. work(count - 1) on up to `threads` threads until one fails.
template <class Work> absl::Status parallel(int64_t count, int threads, Work work) {
  std::atomic<int64_t> next = 0;
  std::mutex mutex;
  absl::Status failure;
  auto run = [&] {
    for (int64_t i = next++; i < count; i = next++)
      if (absl::Status status = work(i); !status.ok()) {
        std::lock_guard lock(mutex);
        failure.Update(status);
        next = count;
      }
  };
  std::vector<std::thread> others;
  for (int64_t i = 1; i < std::min<int64_t>(threads, count); ++i)
    others.emplace_back(run);
  run();
  for (std::thread &thread : others)
    thread.join();
  return failure;
}

} // namespace quern::reference

#endif // QUERN_IR_REFERENCE_PARALLEL_H
