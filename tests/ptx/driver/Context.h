// The state behind libquern_ptx.so: what the driver knows of its one device.
//
// Everything is done at once, in the order of the calls, which is an order that streams allow. What
// a kernel did wrong comes out as from the driver, at the next call, and stays until the context is
// given back.
#ifndef QUERN_TESTS_PTX_DRIVER_CONTEXT_H
#define QUERN_TESTS_PTX_DRIVER_CONTEXT_H

#include "tests/ptx/Interpreter.h"
#include "tests/ptx/Watch.h"
#include "tests/ptx/driver/Settings.h"

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace quern::ptx::driver {

/// CUresult, as far as it is given here.
enum Result : int {
  kSuccess = 0,
  kInvalidValue = 1,
  kOutOfMemory = 2,
  kNotInitialized = 3,
  kNoDevice = 100,
  kInvalidDevice = 101,
  kInvalidImage = 200,
  kInvalidContext = 201,
  kNoBinaryForGpu = 209,
  kInvalidPtx = 218,
  kInvalidHandle = 400,
  kNotFound = 500,
  kIllegalAddress = 700,
  kLaunchOutOfResources = 701,
  kLaunchTimeout = 702,
  kMisalignedAddress = 716,
  kLaunchFailed = 719,
  kCooperativeLaunchTooLarge = 720,
  kStreamCaptureUnsupported = 900,
  kStreamCaptureInvalidated = 901,
  kStreamCaptureUnmatched = 903,
};
struct ResultName {
  Result result;
  const char *name;
  const char *text;
};
/// nullptr for a number that is none.
const ResultName *find_result(int result);

struct LoadedModule;
struct LoadedFunction {
  LoadedModule *module = nullptr;
  const Function *function = nullptr;
  u32 most_dynamic = 0;
};
struct LoadedModule {
  const Module *module = nullptr;
  std::map<std::string, LoadedFunction> functions;
};

/// Work of a stream, done when it is issued or, recorded, whenever its graph is launched.
using Work = std::function<Result()>;
struct Graph {
  std::vector<Work> work;
};
struct Stream {
  memory::Streams::Stream time = 0; ///< as the detectors know it
  std::unique_ptr<Graph> capture;   ///< while it is recorded
};
struct Event {
  bool recorded = false;
  memory::Streams::Known known; ///< what comes before it
  std::chrono::steady_clock::time_point time;
};

/// Handles are addresses of objects here; what is not one of them is refused.
template <class T> class Handles {
public:
  T *make() {
    auto made = std::make_unique<T>();
    T *handle = made.get();
    objects_[handle] = std::move(made);
    return handle;
  }
  T *find(const void *handle) const {
    const auto at = objects_.find(handle);
    return at == objects_.end() ? nullptr : at->second.get();
  }
  bool erase(const void *handle) { return objects_.erase(handle) != 0; }
  void clear() { objects_.clear(); }
  template <class Each> void each(Each each) {
    for (auto &[handle, object] : objects_)
      each(*object);
  }

private:
  std::map<const void *, std::unique_ptr<T>> objects_;
};

/// Of the process. All functions of the driver hold its lock while they run.
struct Context {
  std::recursive_mutex lock;
  bool initialized = false;
  int retained = 0;
  Settings settings; ///< of the next context, or the one that is there
  std::unique_ptr<Device> device;
  std::unique_ptr<Watch> watch; ///< of the device
  std::unique_ptr<Scheduler> schedule;
  bool counts = false;            ///< asked for by quern_ptx_count() or QUERN_PTX_COUNT
  memory::Streams::Stream at = 0; ///< whose work is being done
  std::string counters;           ///< what quern_ptx_counters() gave last
  Handles<LoadedModule> modules;
  Handles<Stream> streams;
  Handles<Event> events;
  Handles<Graph> graphs, executables;
  std::map<const void *, std::unique_ptr<u8[]>> host;
  Stream default_stream;
  Result sticky = kSuccess;
  std::string
      report; ///< in words, of the last module that was refused or the last kernel that failed
  Result reported = kSuccess; ///< which result the report explains

  /// Of a stream's handle; null stands for the default stream. nullptr: there is no such stream.
  Stream *stream(void *handle) {
    return handle == nullptr ? &default_stream : streams.find(handle);
  }
  LoadedFunction *function(void *handle);
  void reset();
};
Context &context();

/// Whether a call may go on: a context is current and no kernel failed before.
Result ready(const Context &made);
/// Whether this thread has the context current.
bool &current();

/// The device of a fresh context, and who watches it, as the settings have them. The seed is
/// numerics' as well as the order's of warps and blocks (Schedules.h).
void make_device(Context &made);

/// Tells the detectors of a copy or a fill; what it races with becomes the report.
void host_copy(Context &made, u64 address, u64 bytes, bool write);

/// Does work, or records it where the stream is being captured.
Result issue(Stream &stream, Work work);

} // namespace quern::ptx::driver

/// What the driver's library has for its users and for nobody else.
#define QUERN_PTX_DRIVER extern "C" __attribute__((visibility("default")))

#endif // QUERN_TESTS_PTX_DRIVER_CONTEXT_H
