// Functions of the driver: streams, copies, events, launches and graphs. CUDA Driver API,
// chapters 6.13 to 6.24.
#include "tests/ptx/driver/Context.h"

#include <cstring>
#include <string>
#include <utility>

using namespace quern::ptx;
using namespace quern::ptx::driver;

namespace {

// Of a kernel's report, the result that the driver would have.
Result result_of(const Report &report) {
  if (report.kind == "misaligned")
    return kMisalignedAddress;
  if (report.kind == "out of bounds" || report.kind == "freed memory" ||
      report.kind == "read-only memory")
    return kIllegalAddress;
  return report.kind == "endless" || report.kind == "deadlock" ? kLaunchTimeout : kLaunchFailed;
}

Result run(Context &made, const LoadedFunction &function, const Shape &shape,
           const std::vector<u8> &parameters) {
  if (made.sticky != kSuccess)
    return made.sticky;
  made.watch->detectors().use(made.at);
  const auto report =
      made.device->launch(*function.module->module, *function.function, shape, parameters);
  if (!report.ok()) {
    made.report = std::string(report.status().message());
    made.reported = report.status().code() != absl::StatusCode::kResourceExhausted ? kInvalidValue
                    : shape.cooperative ? kCooperativeLaunchTooLarge
                                        : kLaunchOutOfResources;
    return made.reported;
  }
  if (*report) {
    // As from a device: the launch went well, what it did comes out at the next call.
    made.report = (*report)->text();
    made.sticky = made.reported = result_of(**report);
  }
  return kSuccess;
}

Result launch(void *handle, const Shape &shape, void *stream_handle, void **parameters,
              void **extra) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (const Result result = ready(made); result != kSuccess)
    return result;
  LoadedFunction *function = made.function(handle);
  Stream *stream = made.stream(stream_handle);
  if (function == nullptr || stream == nullptr)
    return kInvalidHandle;
  if (shape.dynamic_shared > function->most_dynamic)
    return kInvalidValue;
  const auto &formals = function->function->parameters;
  std::vector<u8> bytes(function->function->parameter_bytes, 0);
  if (parameters != nullptr) {
    if (extra != nullptr)
      return kInvalidValue;
    for (size_t n = 0; n < formals.size(); ++n) {
      if (parameters[n] == nullptr)
        return kInvalidValue;
      std::memcpy(bytes.data() + formals[n].offset, parameters[n], formals[n].bytes);
    }
  } else if (extra != nullptr) {
    // CU_LAUNCH_PARAM_BUFFER_POINTER is 1, its size 2, the end 0.
    const void *buffer = nullptr;
    size_t size = 0;
    for (; *extra != nullptr; extra += 2) {
      if (reinterpret_cast<size_t>(*extra) == 1)
        buffer = extra[1];
      else if (reinterpret_cast<size_t>(*extra) == 2 && extra[1] != nullptr)
        size = *static_cast<const size_t *>(extra[1]);
      else
        return kInvalidValue;
    }
    if (buffer == nullptr || size != bytes.size())
      return kInvalidValue;
    std::memcpy(bytes.data(), buffer, size);
  } else if (!formals.empty()) {
    return kInvalidValue;
  }
  // A graph may outlive the module.
  return issue(*stream, [&made, function, shape, bytes = std::move(bytes)] {
    return made.function(function) != nullptr ? run(made, *function, shape, bytes) : kInvalidHandle;
  });
}

// Copies and fills of device memory: `inside` says whether addresses hold.
Result stream_work(void *stream_handle, bool (*inside)(Context &, u64, u64, size_t), u64 to,
                   u64 from, size_t bytes, void (*work)(Context &, u64, u64, size_t)) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (const Result result = ready(made); result != kSuccess)
    return result;
  Stream *stream = made.stream(stream_handle);
  if (stream == nullptr)
    return kInvalidHandle;
  if (bytes == 0)
    return kSuccess;
  if (!inside(made, to, from, bytes))
    return kInvalidValue;
  return issue(*stream, [=, &made] {
    // A graph may outlive what it copies.
    if (!inside(made, to, from, bytes))
      return kIllegalAddress;
    work(made, to, from, bytes);
    return kSuccess;
  });
}

// Ends an object of one kind, as the context holds them.
template <class Kind> Result destroy(Kind Context::*kind, void *handle) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (!made.initialized)
    return kNotInitialized;
  return (made.*kind).erase(handle) ? made.sticky : kInvalidHandle;
}

} // namespace

QUERN_PTX_DRIVER int cuStreamCreate(void **handle, unsigned flags) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (const Result result = ready(made); result != kSuccess)
    return result;
  if (handle == nullptr || flags > 1)
    return kInvalidValue;
  Stream *stream = made.streams.make();
  stream->time = made.watch->detectors().streams().create(flags == 1);
  *handle = stream;
  return kSuccess;
}

QUERN_PTX_DRIVER int cuStreamDestroy_v2(void *handle) { return destroy(&Context::streams, handle); }

QUERN_PTX_DRIVER int cuStreamSynchronize(void *handle) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (const Result result = ready(made); result != kSuccess)
    return result;
  const Stream *stream = made.stream(handle);
  if (stream == nullptr)
    return kInvalidHandle;
  if (stream->capture != nullptr)
    return kStreamCaptureUnsupported;
  made.watch->detectors().streams().synchronize(stream->time);
  return kSuccess;
}

QUERN_PTX_DRIVER int cuMemcpyHtoDAsync_v2(u64 to, const void *from, size_t bytes, void *stream) {
  if (from == nullptr && bytes != 0)
    return kInvalidValue;
  return stream_work(
      stream,
      [](Context &made, u64 at, u64, size_t n) { return made.device->memory().contains(at, n); },
      to, reinterpret_cast<u64>(from), bytes,
      [](Context &made, u64 at, u64 source, size_t n) {
        made.device->write(at, reinterpret_cast<const void *>(source), n);
        host_copy(made, at, n, true);
      });
}

QUERN_PTX_DRIVER int cuMemcpyDtoHAsync_v2(void *to, u64 from, size_t bytes, void *stream) {
  if (to == nullptr && bytes != 0)
    return kInvalidValue;
  return stream_work(
      stream,
      [](Context &made, u64, u64 at, size_t n) { return made.device->memory().contains(at, n); },
      reinterpret_cast<u64>(to), from, bytes,
      [](Context &made, u64 target, u64 at, size_t n) {
        made.device->read(at, reinterpret_cast<void *>(target), n);
        host_copy(made, at, n, false);
      });
}

QUERN_PTX_DRIVER int cuMemcpyDtoDAsync_v2(u64 to, u64 from, size_t bytes, void *stream) {
  return stream_work(
      stream,
      [](Context &made, u64 target, u64 source, size_t n) {
        return made.device->memory().contains(target, n) &&
               made.device->memory().contains(source, n);
      },
      to, from, bytes,
      [](Context &made, u64 target, u64 source, size_t n) {
        made.device->memory().copy(target, source, n);
        host_copy(made, source, n, false);
        host_copy(made, target, n, true);
      });
}

QUERN_PTX_DRIVER int cuMemsetD8Async(u64 to, unsigned char value, size_t bytes, void *stream) {
  return stream_work(
      stream,
      [](Context &made, u64 at, u64, size_t n) { return made.device->memory().contains(at, n); },
      to, value, bytes,
      [](Context &made, u64 at, u64 fill, size_t n) {
        made.device->memory().fill(at, static_cast<u8>(fill), n);
        host_copy(made, at, n, true);
      });
}

QUERN_PTX_DRIVER int cuEventCreate(void **handle, unsigned flags) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (const Result result = ready(made); result != kSuccess)
    return result;
  if (handle == nullptr || flags > 7)
    return kInvalidValue;
  *handle = made.events.make();
  return kSuccess;
}

QUERN_PTX_DRIVER int cuEventRecord(void *handle, void *stream_handle) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (const Result result = ready(made); result != kSuccess)
    return result;
  Event *event = made.events.find(handle);
  Stream *stream = made.stream(stream_handle);
  if (event == nullptr || stream == nullptr)
    return kInvalidHandle;
  return issue(*stream, [&made, event] {
    if (made.events.find(event) == nullptr)
      return kInvalidHandle;
    event->recorded = true;
    event->known = made.watch->detectors().streams().record(made.at);
    event->time = std::chrono::steady_clock::now();
    return kSuccess;
  });
}

QUERN_PTX_DRIVER int cuEventSynchronize(void *handle) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (const Result result = ready(made); result != kSuccess)
    return result;
  const Event *event = made.events.find(handle);
  if (event == nullptr)
    return kInvalidHandle;
  made.watch->detectors().streams().synchronize(event->known);
  return kSuccess;
}

QUERN_PTX_DRIVER int cuEventElapsedTime_v2(float *milliseconds, void *from, void *to) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (const Result result = ready(made); result != kSuccess)
    return result;
  const Event *first = made.events.find(from), *last = made.events.find(to);
  if (first == nullptr || last == nullptr || !first->recorded || !last->recorded)
    return kInvalidHandle;
  if (milliseconds == nullptr)
    return kInvalidValue;
  *milliseconds = std::chrono::duration<float, std::milli>(last->time - first->time).count();
  return kSuccess;
}

QUERN_PTX_DRIVER int cuEventElapsedTime(float *milliseconds, void *from, void *to) {
  return cuEventElapsedTime_v2(milliseconds, from, to);
}

QUERN_PTX_DRIVER int cuEventDestroy_v2(void *handle) { return destroy(&Context::events, handle); }

QUERN_PTX_DRIVER int cuLaunchKernel(void *function, unsigned grid_x, unsigned grid_y,
                                    unsigned grid_z, unsigned block_x, unsigned block_y,
                                    unsigned block_z, unsigned shared, void *stream,
                                    void **parameters, void **extra) {
  return launch(function, {{grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared, false},
                stream, parameters, extra);
}

QUERN_PTX_DRIVER int cuLaunchCooperativeKernel(void *function, unsigned grid_x, unsigned grid_y,
                                               unsigned grid_z, unsigned block_x, unsigned block_y,
                                               unsigned block_z, unsigned shared, void *stream,
                                               void **parameters) {
  return launch(function, {{grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared, true},
                stream, parameters, nullptr);
}

QUERN_PTX_DRIVER int cuStreamBeginCapture_v2(void *handle, int mode) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (const Result result = ready(made); result != kSuccess)
    return result;
  Stream *stream = made.stream(handle);
  if (stream == nullptr)
    return kInvalidHandle;
  if (handle == nullptr || stream->capture != nullptr)
    return kStreamCaptureUnsupported;
  if (mode < 0 || mode > 2)
    return kInvalidValue;
  stream->capture = std::make_unique<Graph>();
  return kSuccess;
}

QUERN_PTX_DRIVER int cuStreamEndCapture(void *handle, void **graph) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (const Result result = ready(made); result != kSuccess)
    return result;
  Stream *stream = made.stream(handle);
  if (stream == nullptr)
    return kInvalidHandle;
  if (graph == nullptr)
    return kInvalidValue;
  if (stream->capture == nullptr)
    return kStreamCaptureUnmatched;
  Graph *recorded = made.graphs.make();
  *recorded = std::move(*stream->capture);
  stream->capture.reset();
  *graph = recorded;
  return kSuccess;
}

QUERN_PTX_DRIVER int cuGraphInstantiateWithFlags(void **executable, void *handle,
                                                 unsigned long long) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (const Result result = ready(made); result != kSuccess)
    return result;
  const Graph *graph = made.graphs.find(handle);
  if (graph == nullptr)
    return kInvalidHandle;
  if (executable == nullptr)
    return kInvalidValue;
  Graph *ready_to_run = made.executables.make();
  *ready_to_run = *graph;
  *executable = ready_to_run;
  return kSuccess;
}

QUERN_PTX_DRIVER int cuGraphLaunch(void *handle, void *stream_handle) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  if (const Result result = ready(made); result != kSuccess)
    return result;
  const Graph *graph = made.executables.find(handle);
  Stream *stream = made.stream(stream_handle);
  if (graph == nullptr || stream == nullptr)
    return kInvalidHandle;
  if (stream->capture != nullptr)
    return kStreamCaptureUnsupported;
  made.at = stream->time;
  for (const Work &work : graph->work)
    if (const Result result = work(); result != kSuccess) {
      made.sticky = result;
      return result;
    }
  return kSuccess;
}

QUERN_PTX_DRIVER int cuGraphExecDestroy(void *handle) {
  return destroy(&Context::executables, handle);
}

QUERN_PTX_DRIVER int cuGraphDestroy(void *handle) { return destroy(&Context::graphs, handle); }
