#include "runtime/device/cpu/Cores.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sched.h>
#include <set>
#include <string>

namespace quern::device {
namespace {

cpu_set_t affinity() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof mask, &mask) != 0)
    CPU_SET(0, &mask);
  return mask;
}

// Whole CPUs that the control group allows ("max 100000" or "200000 100000"); a large number if it
// sets no limit.
int quota_cpus() {
  constexpr int kNoLimit = 1 << 20;
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  double quota = 0, period = 0;
  if (!(file >> quota >> period) || period <= 0)
    return kNoLimit;
  return std::max(1, static_cast<int>(std::ceil(quota / period)));
}

} // namespace

int usable_cpus() {
  const cpu_set_t mask = affinity();
  return std::max(1, CPU_COUNT(&mask));
}

int usable_cores() {
  const cpu_set_t mask = affinity();
  std::set<std::string> cores; // by the list of each core's hyperthreads
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &mask))
      continue;
    std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(cpu) +
                       "/topology/thread_siblings_list");
    std::string siblings;
    if (!std::getline(file, siblings))
      siblings = "cpu" + std::to_string(cpu);
    cores.insert(siblings);
  }
  return std::max(1, std::min(static_cast<int>(cores.size()), quota_cpus()));
}

} // namespace quern::device
