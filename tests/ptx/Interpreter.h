// A device in this process: load PTX, allocate, copy, launch, read the report.
//
//     ptx::Device device;
//     auto module = device.load(text);                       // absl::StatusOr<const ptx::Module *>
//     u64 x = device.allocate(4 * n);
//     device.write(x, values.data(), 4 * n);
//     ptx::Arguments arguments;
//     arguments.add(x).add(n);
//     auto report = device.launch(**module, "kernel", {.grid = {8}, .block = {256}}, arguments);
//     ASSERT_FALSE(report.ok() && *report) << (*report)->text();   // or: ptx::expect_clean
//     device.read(x, values.data(), 4 * n);
//
// libquern_ptx.so, the look-alike of the driver, is a thin layer over it.
#ifndef QUERN_TESTS_PTX_INTERPRETER_H
#define QUERN_TESTS_PTX_INTERPRETER_H

#include "tests/ptx/Execute.h"
#include "tests/ptx/Memory.h"

#include <absl/status/statusor.h>

#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace quern::ptx {

/// What the device can do: the limits of one that exists.
struct DeviceTraits {
  std::string name = "H100";
  int capability = 90; ///< 10 * major + minor
  u32 multiprocessors = 3;
  u32 shared_per_block = 227 * 1024;
  u32 shared_per_multiprocessor = 228 * 1024;
  u32 shared_without_asking = 48 * 1024;
  u32 threads_per_multiprocessor = 2048;
  u32 blocks_per_multiprocessor = 32;
  u32 registers = 65536; ///< of a multiprocessor
  u64 memory = u64{16} << 30;
};
/// "a100" or "h100"; NotFound for another name.
absl::StatusOr<DeviceTraits> device_traits(std::string_view name);

struct Shape {
  u32 grid[3] = {1, 1, 1};
  u32 block[3] = {1, 1, 1};
  u32 dynamic_shared = 0;
  bool cooperative = false;
};

/// Values in the order of the kernel's parameters, each of exactly its size.
class Arguments {
public:
  template <class T> Arguments &add(const T &value) {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto *bytes = reinterpret_cast<const u8 *>(&value);
    values_.emplace_back(bytes, bytes + sizeof value);
    return *this;
  }
  const std::vector<std::vector<u8>> &values() const { return values_; }

private:
  std::vector<std::vector<u8>> values_;
};

class Device {
public:
  explicit Device(DeviceTraits traits = {});

  /// Parses and decodes; the device keeps the module until unload().
  absl::StatusOr<const Module *> load(std::string_view text);
  void unload(const Module *module);

  u64 allocate(u64 bytes) { return memory_.allocate(bytes); }
  bool free(u64 address) { return memory_.free(address); }
  bool write(u64 address, const void *from, u64 bytes) {
    return memory_.write(address, from, bytes);
  }
  bool read(u64 address, void *into, u64 bytes) const { return memory_.read(address, into, bytes); }
  template <class T> u64 put(const std::vector<T> &values) {
    const u64 at = allocate(values.size() * sizeof(T));
    write(at, values.data(), values.size() * sizeof(T));
    return at;
  }
  template <class T> std::vector<T> get(u64 address, size_t count) const {
    std::vector<T> made(count);
    read(address, made.data(), count * sizeof(T));
    return made;
  }

  /// Runs a kernel to its end. An error: it cannot be launched so. A report: what went wrong in it.
  absl::StatusOr<std::optional<Report>> launch(const Module &module, std::string_view kernel,
                                               const Shape &shape, const Arguments &arguments);
  /// The same with the bytes of all parameters, as laid out.
  absl::StatusOr<std::optional<Report>> launch(const Module &module, const Function &kernel,
                                               const Shape &shape, std::vector<u8> parameters);
  /// Blocks of a kernel that one multiprocessor holds at once; 0: it fits none.
  u32 occupancy(const Module &module, const Function &kernel, u32 threads,
                u32 dynamic_shared) const;
  /// Registers a thread, as it may be asked of the driver: an estimate from what lives at once.
  u32 registers(const Function &kernel) const;

  Memory &memory() { return memory_; }
  const DeviceTraits &traits() const { return traits_; }
  /// Not owned; nullptr: nobody looks, blocks and warps in order.
  void set_observer(Observer *observer) { observer_ = observer; }
  void set_scheduler(Scheduler *scheduler) { scheduler_ = scheduler; }
  /// 0: exact; else a seed (Numerics).
  void set_perturbation(u32 seed) { numerics_.perturbation = seed; }
  /// Instructions of warps after which a launch is reported as endless.
  void set_limit(u64 limit) { limit_ = limit; }
  /// Instructions of warps executed so far.
  u64 executed() const { return executed_; }

private:
  DeviceTraits traits_;
  Memory memory_;
  std::vector<std::unique_ptr<Module>> modules_;
  Observer *observer_ = nullptr;
  Scheduler *scheduler_ = nullptr;
  Numerics numerics_;
  u64 limit_ = u64{1} << 40;
  u64 executed_ = 0;
};

} // namespace quern::ptx

#endif // QUERN_TESTS_PTX_INTERPRETER_H
