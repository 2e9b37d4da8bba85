#include "runtime/device/cpu/WorkerPool.h"

#include "runtime/device/cpu/Cores.h"

#include <absl/strings/str_cat.h>

#include <immintrin.h>
#include <sched.h>

namespace quern::device {
namespace {

constexpr size_t kStackBytes = 8u << 20;

// 0.1 to 0.4 milliseconds: longer than a caller takes between two steps of a text, a language
// with garbage to collect or a large vocabulary to sample from included; shorter than anyone would
// notice. Waking a thread costs some 50 microseconds of a step of 4 milliseconds.
constexpr int kSpins = 10000;

} // namespace

WorkerPool::WorkerPool(int num_workers)
    : num_workers_(num_workers), spins_(num_workers <= usable_cpus() ? kSpins : 0) {}

absl::StatusOr<std::unique_ptr<WorkerPool>> WorkerPool::create(int num_workers) {
  if (num_workers < 1 || num_workers > kMaxWorkers)
    return absl::InvalidArgumentError(absl::StrCat(num_workers,
                                                   " threads are not possible\n"
                                                   "hint: -t takes 1 to ",
                                                   kMaxWorkers));
  auto pool = std::unique_ptr<WorkerPool>(new WorkerPool(num_workers));
  pool->workers_.reserve(num_workers - 1); // threads keep pointers to their entries
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  int error = 0;
  for (int i = 1; i < num_workers && error == 0; ++i) {
    Worker &worker = pool->workers_.emplace_back(Worker{pool.get(), i, {}});
    error = pthread_create(&worker.thread, &attributes, thread_main, &worker);
    if (error != 0)
      pool->workers_.pop_back();
  }
  pthread_attr_destroy(&attributes);
  if (error != 0)
    return absl::ResourceExhaustedError(absl::StrCat("the system refuses a thread after ",
                                                     pool->workers_.size() + 1,
                                                     "\nhint: ask for fewer with -t"));
  return pool;
}

WorkerPool::~WorkerPool() {
  stop_ = true;
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  for (Worker &worker : workers_)
    pthread_join(worker.thread, nullptr);
}

void *WorkerPool::thread_main(void *argument) {
  auto *worker = static_cast<Worker *>(argument);
  worker->pool->work(worker->index);
  return nullptr;
}

void WorkerPool::work(int index) {
  uint32_t seen = 0;
  while (true) {
    for (int i = 0; i < spins_ && epoch_.load(std::memory_order_relaxed) == seen; ++i)
      _mm_pause();
    epoch_.wait(seen, std::memory_order_acquire);
    ++seen; // the caller waits for all before it begins the next
    if (stop_)
      return;
    function_(context_, index, num_workers_);
    running_.fetch_sub(1, std::memory_order_release);
  }
}

void WorkerPool::run(Function function, void *context) {
  function_ = function;
  context_ = context;
  running_.store(num_workers_ - 1, std::memory_order_relaxed);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all(); // no system call unless someone sleeps
  function(context, 0, num_workers_);
  // The others end within a kernel's imbalance of this one: no use in sleeping.
  for (int i = 0; running_.load(std::memory_order_acquire) != 0; ++i)
    if (i < spins_)
      _mm_pause();
    else
      sched_yield();
}

} // namespace quern::device
