#include "tests/runtime/fake/FakeDriver.h"

#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>

namespace quern::test {

std::string fake_driver_path() { return FAKE_DRIVER; }

FakeDriver &fake_driver() {
  static FakeDriver *const state = [] {
    void *library = dlopen(FAKE_DRIVER, RTLD_NOW | RTLD_LOCAL);
    void *function = library ? dlsym(library, "fake_driver_state") : nullptr;
    if (!function) {
      std::fprintf(stderr, "the fake driver cannot be loaded: %s\n", dlerror());
      std::abort();
    }
    return reinterpret_cast<FakeDriver *(*)()>(function)();
  }();
  return *state;
}

} // namespace quern::test
