#include "benchmarks/gpu/Machine.h"

#include "runtime/device/cuda/Probe.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <fcntl.h>
#include <filesystem>
#include <iterator>
#include <sys/file.h>
#include <unistd.h>

namespace quern::kit {

using device::cuda::DevicePtr;
using device::cuda::Driver;
using device::cuda::Gpu;
using device::cuda::Library;

absl::StatusOr<Machine> Machine::open(const std::string &name) {
  int index = 0;
  if (name.starts_with("cuda:") && !absl::SimpleAtoi(name.substr(5), &index))
    return absl::InvalidArgumentError(
        absl::StrCat("there is no device '", name, "'\nhint: cuda, cuda:1 or ptx"));
  if (name != "ptx" && name != "cuda" && !name.starts_with("cuda:"))
    return absl::InvalidArgumentError(
        absl::StrCat("there is no device '", name, "'\nhint: cuda, cuda:1 or ptx"));
  auto driver = Driver::load(name == "ptx" ? Library::interpreter : Library::driver);
  if (!driver.ok())
    return driver.status();
  auto gpu = Gpu::open(*std::move(driver), index);
  if (!gpu.ok())
    return gpu.status();
  Machine machine;
  machine.gpu_ = *std::move(gpu);
  auto stream = device::cuda::make_stream(machine.gpu_);
  if (!stream.ok())
    return stream.status();
  machine.stream_ = *std::move(stream);
  return machine;
}

absl::Status Machine::write(DevicePtr to, const void *from, uint64_t bytes) const {
  if (absl::Status s = gpu_->status(driver().to_device(to, from, bytes, stream()), "writing");
      !s.ok())
    return s;
  return wait("writing");
}

absl::Status Machine::read(void *to, DevicePtr from, uint64_t bytes) const {
  if (absl::Status s = gpu_->status(driver().to_host(to, from, bytes, stream()), "reading");
      !s.ok())
    return s;
  return wait("reading");
}

absl::Status Machine::zero(DevicePtr to, uint64_t bytes) const {
  return gpu_->status(driver().set(to, 0, bytes, stream()), "zeroing");
}

absl::Status Machine::wait(std::string_view what) const {
  return gpu_->status(driver().stream_synchronize(stream()), what);
}

absl::Status Machine::launch(const device::cuda::Kernel &kernel, uint32_t blocks, uint32_t threads,
                             std::vector<uint64_t> parameters) const {
  std::vector<void *> places;
  for (uint64_t &parameter : parameters)
    places.push_back(&parameter);
  return gpu_->status(driver().launch(kernel.function, blocks, 1, 1, threads, 1, 1, kernel.shared,
                                      stream(), places.data(), nullptr),
                      kernel.name);
}

int Machine::attribute(int which) const {
  int value = 0;
  device::cuda::DeviceId id = 0;
  if (driver().device_get(&id, gpu_->info().index) != device::cuda::kSuccess ||
      driver().device_attribute(&value, static_cast<device::cuda::DeviceAttribute>(which), id) !=
          device::cuda::kSuccess)
    return 0;
  return value;
}

absl::StatusOr<double> Machine::read_probe(uint64_t bytes) const {
  if (is_interpreter())
    return 0;
  auto memory = device::cuda::allocate(gpu_, bytes, "the read probe");
  if (!memory.ok())
    return memory.status();
  if (absl::Status status = zero(memory->get(), bytes); !status.ok())
    return status;
  return device::cuda::probe_read(gpu_, stream(), memory->get(), bytes, 0, 0);
}

absl::StatusOr<Lines> Lines::open(const std::string &path) {
  Lines lines;
  lines.path_ = path;
  // What an earlier run left behind may still be at it: two of them would mix their lines.
  const int held = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  lines.held_ = std::shared_ptr<void>(nullptr, [held](void *) { close(held); });
  if (held >= 0 && flock(held, LOCK_EX | LOCK_NB) != 0)
    return absl::UnavailableError(absl::StrCat("another process writes ", path,
                                               "\nhint: wait until it is through, or end it"));
  {
    std::ifstream in(path, std::ios::binary);
    lines.before_.assign(std::istreambuf_iterator<char>(in), {});
  }
  if (const size_t whole = lines.before_.rfind('\n') + 1; whole != lines.before_.size()) {
    lines.before_.resize(whole);
    std::error_code error;
    std::filesystem::resize_file(path, whole, error);
    if (error)
      return absl::InternalError(absl::StrCat(path, ": ", error.message()));
  }
  lines.out_.open(path, std::ios::binary | std::ios::app);
  if (!lines.out_)
    return absl::PermissionDeniedError(absl::StrCat(path, " cannot be written\nhint: -o FILE"));
  return lines;
}

absl::Status Lines::add(const std::string &line) {
  out_ << line << std::flush;
  return out_ ? absl::OkStatus() : absl::InternalError(path_ + " cannot be written any more");
}

} // namespace quern::kit
