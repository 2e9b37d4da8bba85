// Threads that run one function together, again and again.
//
// A step is a few hundred microseconds, so workers spin shortly for the next one before they sleep;
// asleep they cost nothing. The calling thread is worker 0.
#ifndef QUERN_RUNTIME_DEVICE_CPU_WORKERPOOL_H
#define QUERN_RUNTIME_DEVICE_CPU_WORKERPOOL_H

#include <absl/status/statusor.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <pthread.h>
#include <vector>

namespace quern::device {

class WorkerPool {
public:
  using Function = void (*)(void *context, int worker, int num_workers);

  /// `num_workers` in [1, kMaxWorkers], the caller among them. Each thread has an 8 MiB stack.
  /// Error: ResourceExhausted (the system gives no more threads), InvalidArgument.
  static absl::StatusOr<std::unique_ptr<WorkerPool>> create(int num_workers);
  static constexpr int kMaxWorkers = 1024;

  ~WorkerPool();
  WorkerPool(const WorkerPool &) = delete;
  WorkerPool &operator=(const WorkerPool &) = delete;

  /// Calls function(context, w, size()) on every worker, and returns when all have returned.
  /// One caller at a time. Allocates nothing.
  void run(Function function, void *context);

  int size() const { return num_workers_; }

private:
  struct Worker {
    WorkerPool *pool;
    int index;
    pthread_t thread;
  };
  explicit WorkerPool(int num_workers);
  static void *thread_main(void *worker);
  void work(int index);

  const int num_workers_;
  const int spins_; ///< before sleeping; 0 where workers outnumber the CPUs
  std::vector<Worker> workers_;
  Function function_ = nullptr;
  void *context_ = nullptr;
  bool stop_ = false; ///< like function_ and context_, published by epoch_
  alignas(64) std::atomic<uint32_t> epoch_{0};
  alignas(64) std::atomic<int> running_{0};
};

} // namespace quern::device

#endif // QUERN_RUNTIME_DEVICE_CPU_WORKERPOOL_H
