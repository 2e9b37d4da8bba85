// Says what a case came to where the process cannot: it never ended, or took the process with it.
#ifndef QUERN_BENCHMARKS_GPU_WATCH_H
#define QUERN_BENCHMARKS_GPU_WATCH_H

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace quern::kit {

/// One of a process. A case that takes longer than `seconds` ends the process, as does a signal of
/// a fault within one; the case's line is then appended to `path`, so that a fresh process goes on
/// behind it.
class Watch {
public:
  Watch(const std::string &path, double seconds);
  ~Watch();
  Watch(const Watch &) = delete;
  Watch &operator=(const Watch &) = delete;

  /// A case begins; `never` and `fault` are what is written if it never ends, or is a fault.
  void begin(std::string never, std::string fault);
  void end();

private:
  void wait();

  double seconds_;
  std::mutex mutex_;
  std::condition_variable changed_;
  unsigned long long cases_ = 0; ///< that began
  bool running_ = false, over_ = false;
  std::string never_, fault_;
  std::thread thread_;
};

} // namespace quern::kit

#endif // QUERN_BENCHMARKS_GPU_WATCH_H
