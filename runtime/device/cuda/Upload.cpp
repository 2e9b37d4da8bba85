#include "runtime/device/cuda/Upload.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <sys/mman.h>

namespace quern::device::cuda {
namespace {

// Large enough for the bus, small enough that the first one is soon on its way.
constexpr uint64_t kPiece = 8u << 20;

struct Buffer {
  OwnedHostMemory memory;
  OwnedEvent sent; ///< recorded behind its copy
};

} // namespace

absl::Status upload(const std::shared_ptr<const Gpu> &gpu, Stream stream, DevicePtr to,
                    std::span<const uint8_t> from) {
  if (from.empty())
    return absl::OkStatus();
  // Read once, from begin to end. Only advice.
  madvise(const_cast<uint8_t *>(from.data()), from.size(), MADV_SEQUENTIAL);
  const uint64_t piece = std::min<uint64_t>(kPiece, from.size());
  std::array<Buffer, 2> buffers;
  for (Buffer &buffer : buffers) {
    auto memory = allocate_pinned(gpu, piece, "weights on their way");
    if (!memory.ok())
      return memory.status();
    auto event = make_event(gpu, /*timed=*/false);
    if (!event.ok())
      return event.status();
    buffer = {*std::move(memory), *std::move(event)};
  }
  const Driver &driver = gpu->driver();
  absl::Status status;
  for (uint64_t done = 0, i = 0; status.ok() && done < from.size(); ++i) {
    const Buffer &buffer = buffers[i % 2];
    const uint64_t bytes = std::min(piece, from.size() - done);
    Result result = i < 2 ? kSuccess : driver.event_synchronize(buffer.sent.get());
    if (result == kSuccess) {
      std::memcpy(buffer.memory.get(), &from[done], bytes);
      result = driver.to_device(to + done, buffer.memory.get(), bytes, stream);
    }
    if (result == kSuccess)
      result = driver.event_record(buffer.sent.get(), stream);
    status = gpu->status(result, "copying the weights to the device");
    done += bytes;
  }
  // Also after an error: the buffers may still be read.
  status.Update(
      gpu->status(driver.stream_synchronize(stream), "copying the weights to the device"));
  return status;
}

} // namespace quern::device::cuda
