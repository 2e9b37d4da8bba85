// What the look-alike tells beyond a driver: counters of launches, and estimates from them.
#include "tests/ptx/counters/Estimate.h"
#include "tests/ptx/driver/Context.h"

using namespace quern::ptx;
using namespace quern::ptx::driver;

/// Counts launches from now on, from nothing, or no more. Before a context is made: as soon as one
/// is.
QUERN_PTX_DRIVER void quern_ptx_count(int on) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  made.counts = on != 0;
  if (made.watch != nullptr)
    made.watch->count(made.counts);
}

/// Counters of all launches since, by kernel, as JSON (Estimate.h); with estimates for a model
/// ("a100", "h100"), or none where it is null. Null for a model that is not known, or where nobody
/// counts. Valid until the next call.
QUERN_PTX_DRIVER const char *quern_ptx_counters(const char *model_of_name) {
  Context &made = context();
  const std::lock_guard hold(made.lock);
  const Model *model = model_of_name != nullptr ? model_of(model_of_name) : nullptr;
  if ((model_of_name != nullptr && model == nullptr) || made.watch == nullptr ||
      made.watch->counting() == nullptr)
    return nullptr;
  made.counters = to_json(made.watch->counting()->kernels(), model);
  return made.counters.c_str();
}
