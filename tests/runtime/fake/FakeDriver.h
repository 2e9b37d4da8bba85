// A driver that is none: memory is the host's, kernels are the fake model's functions. It is a
// library of its own, found as the real one is. What it was asked for is recorded, and any call can
// be made to fail.
//
// Work of a stream is done as late as a driver may: when it is waited for.
#ifndef QUERN_TESTS_RUNTIME_FAKE_FAKEDRIVER_H
#define QUERN_TESTS_RUNTIME_FAKE_FAKEDRIVER_H

#include <cstdint>
#include <string>
#include <vector>

namespace quern::test {

/// What it pretends to be.
struct FakeGpu {
  int version = 12040; ///< of CUDA
  int count = 1;
  int major = 8, minor = 0;
  int multiprocessors = 4;
  int blocks = 2; ///< of a kernel, on a multiprocessor
  int max_shared = 100 << 10;
  uint64_t memory = uint64_t{64} << 20;
  bool takes_cubins = false;
  int cubin_result = 209; ///< of one that it does not take
  int silent = -1;        ///< the device that does not say its name
  int init_result = 0;
  int newest_ptx = 80; ///< 10 * major + minor that its compiler knows
};

/// A call, by the driver's name for it, with what tests ask about: bytes of memory, a kernel's name
/// and blocks.
struct FakeCall {
  std::string name;
  std::string what;
  uint64_t number = 0;
  std::vector<uint64_t> parameters; ///< of a launch
};

/// The library's other side.
struct FakeDriver {
  FakeGpu gpu;
  std::vector<FakeCall> calls;
  /// Of calls of that name (any, where it is empty) from now on, that one returns `result`, after
  /// `fail_after` others.
  std::string fail;
  int fail_after = -1;
  int fail_result = 0;
  /// Of memory, modules and so on: what was not given back.
  int live = 0;
  uint64_t bytes = 0; ///< of device memory, taken
};

/// The library's path, and the state of the one that is loaded (loading it, if it is not).
std::string fake_driver_path();
FakeDriver &fake_driver();

} // namespace quern::test

#endif // QUERN_TESTS_RUNTIME_FAKE_FAKEDRIVER_H
