// What the environment says of the device behind libquern_ptx.so (README.md has the table).
#ifndef QUERN_TESTS_PTX_DRIVER_SETTINGS_H
#define QUERN_TESTS_PTX_DRIVER_SETTINGS_H

#include "tests/ptx/Interpreter.h"

#include <absl/status/statusor.h>

namespace quern::ptx::driver {

struct Settings {
  DeviceTraits traits;    ///< QUERN_PTX_DEVICE, with QUERN_PTX_SMS
  u32 seed = 0;           ///< QUERN_PTX_SEED; 0: blocks and warps in their order
  bool perturbed = false; ///< QUERN_PTX_MODE
  bool counts = false;    ///< QUERN_PTX_COUNT
};

/// A variable that is empty is as good as none. Errors: InvalidArgument, with the variable, its
/// value and those that it may have: a test that means another device than it gets, or another
/// order, would show nothing.
absl::StatusOr<Settings> settings_from_environment();

} // namespace quern::ptx::driver

#endif // QUERN_TESTS_PTX_DRIVER_SETTINGS_H
