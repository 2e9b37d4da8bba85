#include "tests/ptx/counters/Estimate.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <algorithm>
#include <cmath>

namespace quern::ptx {
namespace {

// Multiprocessors, clocks, bandwidths and sizes: NVIDIA's data sheets and architecture white papers
// of the A100 (SXM4, 80 GB) and the H100 (SXM5, 80 GB). Lanes a clock: CUDA C++ Programming Guide,
// Arithmetic Instructions, compute capabilities 8.0 and 9.0. What mma.sync reaches on an H100 is
// taken as 0.62 of its wgmma rate, as published microbenchmarks found. Latencies under load, the
// share of DRAM that reads reach, L2's rate and launch costs are round numbers of published
// microbenchmarks, not measured by us.
constexpr Model kModels[] = {
    {"a100", 108, 1.41, 2039, 0.92, 600, 4500, 1.5, 64, 32, 65536, 164 * 1024, 2048, 64, 64, 32, 16,
     16},
    {"h100", 132, 1.755, 3350, 0.92, 650, 5500, 1.5, 64, 32, 65536, 228 * 1024, 2540, 128, 64, 64,
     16, 64},
};

} // namespace

const Model *model_of(std::string_view name) {
  const auto at = std::find_if(std::begin(kModels), std::end(kModels),
                               [&](const Model &made) { return made.name == name; });
  return at == std::end(kModels) ? nullptr : at;
}

Estimate estimate(const Counters &counters, const Model &model, u32 registers) {
  Estimate made;
  const double launches = static_cast<double>(std::max<u64>(1, counters.launches));
  const auto each = [&](u64 count) { return static_cast<double>(count) / launches; };
  const u32 warps = std::max<u32>(1, (counters.threads + 31) / 32);
  // Registers are given to warps in units of 256.
  const u32 of_warp = (std::max<u32>(registers, 16) * 32 + 255) / 256 * 256;
  u32 resident = std::min({model.blocks, model.warps / warps, model.registers / (of_warp * warps)});
  if (counters.shared_bytes != 0)
    resident = std::min(resident, model.shared_bytes / (counters.shared_bytes + 1024));
  resident = std::max<u32>(1, resident);
  const double blocks = static_cast<double>(counters.blocks);
  const double used = std::min<double>(model.multiprocessors, blocks);
  const double resident_warps = std::min<double>(resident, std::max(1.0, blocks / used)) * warps;
  // The last blocks leave multiprocessors idle.
  const double waves = blocks / (used * resident);
  const double tail = waves > 1 ? std::ceil(waves) / waves : 1;

  const double clocks = used * model.clock * 1e3; // multiprocessors' clocks a microsecond
  const auto units = [&](Unit unit) { return each(counters.by_unit[static_cast<size_t>(unit)]); };
  const double dram_bytes =
      32 * (each(counters.distinct_load_sectors) + each(counters.distinct_store_sectors));
  made.in_flight = counters.bursts == 0 ? 0
                                        : static_cast<double>(counters.burst_bytes) /
                                              static_cast<double>(counters.bursts) * resident_warps;
  const double full = model.dram * model.dram_share * 1e3; // bytes a microsecond
  double rate = full;
  if (made.in_flight != 0)
    rate = std::min(rate, made.in_flight * used / model.latency * 1e3);
  made.dram_us = dram_bytes / full;
  // A warp issues about every fifth clock where each instruction needs the one before.
  const double issue = std::min(4.0, resident_warps / 4.5);
  const double arithmetic = units(Unit::Integer) + units(Unit::Other);
  const struct {
    std::string_view name;
    double us;
  } bounds[] = {
      {"dram", dram_bytes / rate},
      {"l2", 32 * each(counters.sectors) / (model.l2 * 1e3)},
      {"shared", each(counters.shared_passes) / clocks},
      {"tensor", each(counters.tensor_operations) / (clocks * model.tensor)},
      {"issue", each(counters.warp_instructions) / (clocks * issue)},
      {"float", units(Unit::Float) * 32 / (clocks * model.floats)},
      {"integer", arithmetic * 32 / (clocks * model.integers)},
      {"double", units(Unit::Double) * 32 / (clocks * model.doubles)},
      {"special", units(Unit::Special) * 32 / (clocks * model.specials)},
      {"convert", units(Unit::Convert) * 32 / (clocks * model.converts)},
  };
  double most = 0;
  for (const auto &bound : bounds)
    if (bound.us > most) {
      most = bound.us;
      made.bound = bound.name;
    }
  // The first bytes of a kernel take a latency, however few there are.
  made.us = model.launch + model.latency / 1e3 + most * tail;
  return made;
}

std::string to_json(const std::vector<Counters> &kernels, const Model *model) {
  std::string made = "[";
  for (const Counters &c : kernels) {
    absl::StrAppend(&made, made.size() > 1 ? ",\n" : "\n");
    absl::StrAppendFormat(
        &made,
        R"({"kernel":"%s","launches":%d,"blocks":%d,"threads":%d,"shared_bytes":%d,"warp_instructions":%d,"active_lanes":%.2f,"divergent":%d)",
        c.kernel, c.launches, c.blocks, c.threads, c.shared_bytes, c.warp_instructions,
        c.active_lanes(), c.divergent);
    absl::StrAppend(&made, ",\"instructions\":{");
    bool first = true;
    for (int n = 0; n < kUnits; ++n)
      if (const u64 count = c.by_unit[static_cast<size_t>(n)]; count != 0) {
        absl::StrAppendFormat(&made, "%s\"%s\":%d", first ? "" : ",", name_of(static_cast<Unit>(n)),
                              count);
        first = false;
      }
    absl::StrAppendFormat(
        &made,
        R"(},"load_bytes":%d,"store_bytes":%d,"requests":%d,"sectors":%d,"ideal_sectors":%d,"distinct_load_bytes":%d,"distinct_store_bytes":%d,"distinct_lines":%d)",
        c.load_bytes, c.store_bytes, c.requests, c.sectors, c.ideal_sectors,
        c.distinct_load_sectors * 32, c.distinct_store_sectors * 32, c.distinct_lines);
    absl::StrAppendFormat(
        &made,
        R"(,"bytes_in_flight_a_warp":%.0f,"shared_requests":%d,"shared_passes":%d,"ideal_shared_passes":%d,"worst_conflict":%d,"worst_conflict_line":%d)",
        c.bursts == 0 ? 0.0 : static_cast<double>(c.burst_bytes) / static_cast<double>(c.bursts),
        c.shared_requests, c.shared_passes, c.ideal_shared_passes, c.worst_conflict, c.worst_line);
    absl::StrAppendFormat(&made,
                          R"(,"local_bytes":%d,"atomics":%d,"barriers":%d,"tensor_operations":%d)",
                          c.local_bytes, c.atomics, c.barriers, c.tensor_operations);
    if (model != nullptr) {
      const Estimate guess = estimate(c, *model, 0);
      absl::StrAppendFormat(
          &made,
          R"(,"estimate":{"model":"%s","seconds":%.4g,"bound":"%s","dram_seconds":%.4g,"in_flight_a_multiprocessor":%.0f})",
          model->name, guess.us / 1e6, guess.bound, guess.dram_us / 1e6, guess.in_flight);
    }
    absl::StrAppend(&made, "}");
  }
  absl::StrAppend(&made, "\n]\n");
  return made;
}

} // namespace quern::ptx
