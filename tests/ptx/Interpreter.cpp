#include "tests/ptx/Interpreter.h"

#include "tests/ptx/Decode.h"
#include "tests/ptx/Parser.h"
#include "tests/ptx/Words.h"

#include <algorithm>
#include <utility>

namespace quern::ptx {

absl::StatusOr<DeviceTraits> device_traits(std::string_view name) {
  DeviceTraits made;
  if (name == "h100")
    return made;
  if (name == "a100") {
    made.name = "A100";
    made.capability = 80;
    made.shared_per_block = 163 * 1024;
    made.shared_per_multiprocessor = 164 * 1024;
    return made;
  }
  return absl::NotFoundError(concat("no device ", name, " is known\nhint: a100 or h100"));
}

Device::Device(DeviceTraits traits)
    : traits_(std::move(traits)), memory_(2 * traits_.memory + (u64{1} << 30), traits_.memory) {}

absl::StatusOr<const Module *> Device::load(std::string_view text) {
  if (absl::Status status = check_level(); !status.ok())
    return status;
  absl::StatusOr<ModuleSyntax> syntax = parse(text);
  if (!syntax.ok())
    return syntax.status();
  if (syntax->target > traits_.capability ||
      (syntax->arch_specific && syntax->target != traits_.capability))
    return absl::FailedPreconditionError(concat("PTX for sm_", syntax->target,
                                                syntax->arch_specific ? "a" : "",
                                                " on a device of capability ", traits_.capability));
  absl::StatusOr<std::unique_ptr<Module>> module = decode(*syntax, memory_);
  if (!module.ok())
    return module.status();
  modules_.push_back(*std::move(module));
  return modules_.back().get();
}

void Device::unload(const Module *module) {
  for (const auto &[name, placed] : module->globals)
    memory_.free(placed.address);
  std::erase_if(modules_, [&](const auto &mine) { return mine.get() == module; });
}

u32 Device::registers(const Function &kernel) const {
  return std::clamp(kernel.registers + 10, 16u, 255u);
}

u32 Device::occupancy(const Module &module, const Function &kernel, u32 threads,
                      u32 dynamic_shared) const {
  if (threads == 0 || threads > 1024)
    return 0;
  const u32 warps = (threads + kLanes - 1) / kLanes;
  const u32 shared = kernel.static_shared + dynamic_shared;
  if (shared > traits_.shared_per_block)
    return 0;
  // Registers are given to warps in units of 256; a kilobyte of shared memory a block is the
  // system's.
  const u32 per_warp = (registers(kernel) * kLanes + 255) / 256 * 256;
  u32 most = std::min(traits_.blocks_per_multiprocessor,
                      traits_.threads_per_multiprocessor / (warps * kLanes));
  most = std::min(most, traits_.registers / per_warp / warps);
  most = std::min(most, traits_.shared_per_multiprocessor / (shared + 1024));
  // Compiled for so many, a kernel may take all the registers that these leave it.
  if (kernel.min_blocks != 0)
    most = std::min(most, kernel.min_blocks);
  return most;
}

absl::StatusOr<std::optional<Report>> Device::launch(const Module &module, std::string_view kernel,
                                                     const Shape &shape,
                                                     const Arguments &arguments) {
  const auto at = module.functions.find(kernel);
  if (at == module.functions.end() || !at->second->entry)
    return absl::NotFoundError(concat("the module has no kernel ", kernel));
  const Function &entry = *at->second;
  if (arguments.values().size() != entry.parameters.size())
    return absl::InvalidArgumentError(concat(kernel, " takes ", entry.parameters.size(),
                                             " arguments, not ", arguments.values().size()));
  std::vector<u8> bytes(entry.parameter_bytes, 0);
  for (size_t n = 0; n < entry.parameters.size(); ++n) {
    const auto &value = arguments.values()[n];
    if (value.size() != entry.parameters[n].bytes)
      return absl::InvalidArgumentError(concat("argument ", n, " of ", kernel, " has ",
                                               entry.parameters[n].bytes, " bytes, not ",
                                               value.size()));
    std::memcpy(bytes.data() + entry.parameters[n].offset, value.data(), value.size());
  }
  return launch(module, entry, shape, std::move(bytes));
}

absl::StatusOr<std::optional<Report>> Device::launch(const Module &module, const Function &kernel,
                                                     const Shape &shape,
                                                     std::vector<u8> parameters) {
  const u64 threads = u64{shape.block[0]} * shape.block[1] * shape.block[2];
  const u64 blocks = u64{shape.grid[0]} * shape.grid[1] * shape.grid[2];
  if (threads == 0 || threads > 1024 || threads > kernel.max_threads || shape.block[2] > 64)
    return absl::InvalidArgumentError(concat(kernel.name, ": blocks of ", threads,
                                             " threads, of at most ",
                                             std::min(1024u, kernel.max_threads)));
  if (kernel.required[0] != 0 && !std::equal(kernel.required, kernel.required + 3, shape.block))
    return absl::InvalidArgumentError(concat(kernel.name, " was compiled for other blocks"));
  if (blocks == 0 || blocks > u64{1} << 31 || shape.grid[1] > 65535 || shape.grid[2] > 65535)
    return absl::InvalidArgumentError(concat(kernel.name, ": a grid of ", blocks, " blocks"));
  const u32 fit = occupancy(module, kernel, static_cast<u32>(threads), shape.dynamic_shared);
  if (fit == 0)
    return absl::ResourceExhaustedError(
        concat(kernel.name, ": ", kernel.static_shared + shape.dynamic_shared,
               " bytes of shared memory, of at most ", traits_.shared_per_block));
  if (shape.cooperative && blocks > u64{fit} * traits_.multiprocessors)
    return absl::ResourceExhaustedError(
        concat(kernel.name, ": a cooperative launch of ", blocks, " blocks, of which ",
               u64{fit} * traits_.multiprocessors, " are resident"));
  Launch launch;
  launch.module = &module;
  launch.entry = &kernel;
  std::copy_n(shape.grid, 3, launch.grid);
  std::copy_n(shape.block, 3, launch.size);
  launch.dynamic_shared = shape.dynamic_shared;
  launch.cooperative = shape.cooperative;
  launch.parameters = std::move(parameters);
  launch.memory = &memory_;
  launch.observer = observer_;
  launch.scheduler = scheduler_;
  launch.numerics = numerics_;
  launch.limit = limit_;
  launch.multiprocessors = traits_.multiprocessors;
  std::optional<Report> report = execute(launch);
  executed_ += launch.executed;
  return report;
}

} // namespace quern::ptx
