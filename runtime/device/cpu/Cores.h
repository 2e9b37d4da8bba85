// How many threads are worth starting here.
#ifndef QUERN_RUNTIME_DEVICE_CPU_CORES_H
#define QUERN_RUNTIME_DEVICE_CPU_CORES_H

namespace quern::device {

/// Logical CPUs in this process's affinity mask; at least 1.
int usable_cpus();

/// Distinct physical cores among them, and no more than the control group's CPU quota; at least 1.
/// Hyperthreads share the units that matrix code keeps busy, so a second one only adds barriers.
int usable_cores();

} // namespace quern::device

#endif // QUERN_RUNTIME_DEVICE_CPU_CORES_H
