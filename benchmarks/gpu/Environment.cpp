// quern-gpu-kit environment: which GPU this is, and how fast it reads.
#include "benchmarks/gpu/Machine.h"
#include "runtime/cli/Flags.h"
#include "runtime/cli/Report.h"
#include "runtime/version/Version.h"

#include <algorithm>
#include <cstdio>

namespace quern::kit {

int environment(std::span<const char *const> args) {
  std::string device = "cuda";
  const cli::Command command{"quern-gpu-kit environment [--device cuda]",
                             "The device and its read probe, as a line of JSON.",
                             {{"--device", "D", "cuda, cuda:1 or ptx", &device}},
                             "quern-gpu-kit environment --device cuda"};
  if (auto code = cli::parse(command, args))
    return *code;
  const auto machine = Machine::open(device);
  if (!machine.ok())
    return cli::fail(machine.status());
  constexpr int kClockKhz = 13, kMemoryClockKhz = 36, kBusBits = 37, kSharedOfSm = 81,
                kThreadsOfSm = 39;
  // Where a decoder's weights lie: beyond every cache.
  constexpr uint64_t kProbed = uint64_t{4} << 30;
  const auto &info = machine->gpu()->info();
  const auto free = machine->gpu()->free_memory();
  const auto probe = machine->read_probe(std::min<uint64_t>(kProbed, free.ok() ? *free / 2 : 0));
  nlohmann::ordered_json line = {
      {"commit", std::string(commit())},
      {"device", info.name},
      {"capability", info.capability()},
      {"driver", device::cuda::version_text(machine->driver().version())},
      {"multiprocessors", info.multiprocessors},
      {"memory", info.memory},
      {"memory_free", free.ok() ? *free : 0},
      {"l2", machine->attribute(device::cuda::kL2CacheBytes)},
      {"shared_of_block", info.max_shared},
      {"shared_of_multiprocessor", machine->attribute(kSharedOfSm)},
      {"threads_of_multiprocessor", machine->attribute(kThreadsOfSm)},
      {"clock_mhz", machine->attribute(kClockKhz) / 1000},
      {"memory_clock_mhz", machine->attribute(kMemoryClockKhz) / 1000},
      {"bus_bits", machine->attribute(kBusBits)},
      {"read_probe_gbps", probe.ok() ? *probe / 1e9 : 0}};
  if (!probe.ok())
    line["read_probe_error"] = std::string(probe.status().message());
  std::printf("%s\n", line.dump().c_str());
  return cli::kDone;
}

} // namespace quern::kit
