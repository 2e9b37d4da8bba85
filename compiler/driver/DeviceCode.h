// What a code section of the target cuda says of its functions, for `inspect`.
#ifndef QUERN_COMPILER_DRIVER_DEVICECODE_H
#define QUERN_COMPILER_DRIVER_DEVICECODE_H

#include "runtime/artifact/Artifact.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace quern::driver {

/// A function of one variant's code. Bytes.
struct DeviceFunction {
  std::string variant, name;
  std::optional<uint32_t> kernel; ///< in the manifest; none: it is no one kernel's
  uint32_t registers = 0;         ///< of a thread
  uint32_t shared = 0;            ///< memory of a block, beside what it declares
  uint32_t local = 0;             ///< memory of a thread: what did not fit in registers
  bool persistent = false;        ///< it runs a whole bucket
  uint64_t ptx = 0, cubin = 0;    ///< of its module
};

/// Those of all variants that have such a section, in the sections' order. What a section refers to
/// and does not have is left out: the device that runs it says so.
std::vector<DeviceFunction> device_functions(const artifact::Artifact &artifact);

/// "62 registers, 4096 bytes of shared memory, no spills; PTX 9.1 KiB, cubin 14.2 KiB"
std::string describe(const DeviceFunction &function);

} // namespace quern::driver

#endif // QUERN_COMPILER_DRIVER_DEVICECODE_H
