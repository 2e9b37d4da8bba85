// quern-gpu-kit kernels: the time of each packed product in each way in which it is cut.
#include "benchmarks/gpu/KernelIndex.h"
#include "benchmarks/gpu/Machine.h"
#include "benchmarks/gpu/Watch.h"
#include "runtime/abi/StepArgs.h"
#include "runtime/artifact/MadeWeights.h"
#include "runtime/cli/Flags.h"
#include "runtime/cli/Report.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <map>
#include <set>

namespace quern::kit {
namespace {

using device::cuda::DevicePtr;
using device::cuda::Kernel;

constexpr uint32_t kThreads = 256;

// The weight again and again in memory, so that no cache has what is read next, as in a decoder.
struct Operands {
  device::cuda::OwnedMemory weights, rows, results;
  uint64_t apart = 0; ///< bytes from a copy of the weight to the next
  int copies = 0;
};

std::vector<uint8_t> rows_of(const TimedKernel &kernel) {
  constexpr int kMostRows = 8;
  std::vector<uint8_t> bytes(kMostRows * kernel.row_bytes);
  uint32_t state = 1;
  const auto next = [&] { return (state = state * 1664525 + 1013904223) >> 8; };
  for (int row = 0; row < kMostRows; ++row) {
    uint8_t *at = bytes.data() + static_cast<size_t>(row) * kernel.row_bytes;
    if (!kernel.quantized) {
      for (int64_t k = 0; k < kernel.inputs; ++k) {
        const float value = (static_cast<float>(next() % 2001) - 1000) / 1000;
        std::memcpy(at + 4 * k, &value, 4);
      }
      continue;
    }
    // Codes, then what a pair of groups shares, as runtime/abi/StepArgs.h lays them out.
    auto *codes = reinterpret_cast<int8_t *>(at);
    for (int64_t k = 0; k < kernel.inputs; ++k)
      codes[k] = static_cast<int8_t>(static_cast<int>(next() % 255) - 127);
    for (int64_t p = 0; p < (kernel.inputs + 31) / 32; ++p) {
      QuernQ8Pair pair{.scale = 1.0f / 127, .ratio = 1, .sum = 0, .code_sum = {}};
      for (int64_t k = 32 * p; k < std::min(32 * p + 32, kernel.inputs); ++k) {
        pair.code_sum[k % 32 / 16] = static_cast<int16_t>(pair.code_sum[k % 32 / 16] + codes[k]);
        pair.sum += pair.scale * static_cast<float>(codes[k]);
      }
      std::memcpy(at + (kernel.inputs + 31) / 32 * 32 + p * static_cast<int64_t>(sizeof pair),
                  &pair, sizeof pair);
    }
  }
  return bytes;
}

absl::StatusOr<Operands> operands_of(const Machine &machine, const TimedKernel &kernel) {
  Operands operands;
  const auto l2 = static_cast<uint64_t>(machine.attribute(device::cuda::kL2CacheBytes));
  operands.apart = (kernel.weight_bytes + 255) / 256 * 256;
  // Whatever lies in the cache is read last.
  operands.copies =
      machine.is_interpreter()
          ? 1
          : static_cast<int>(std::clamp<uint64_t>(4 * l2 / operands.apart + 1, 2, 64));
  const uint64_t bytes = operands.apart * static_cast<uint64_t>(operands.copies);
  for (const auto &[memory, size] :
       {std::pair{&operands.weights, bytes},
        {&operands.rows, 8 * kernel.row_bytes},
        {&operands.results, 8 * 4 * static_cast<uint64_t>(kernel.outputs)}}) {
    auto taken = device::cuda::allocate(machine.gpu(), size, "a product");
    if (!taken.ok())
      return taken.status();
    *memory = *std::move(taken);
  }
  std::vector<uint8_t> weight(kernel.weight_bytes);
  const artifact::MadeWeight made = made_of(kernel.made);
  artifact::make_weights({&made, 1}, {}, {}, 0, weight);
  const std::vector<uint8_t> rows = rows_of(kernel);
  absl::Status status = machine.write(operands.weights.get(), weight.data(), weight.size());
  for (int copy = 1; status.ok() && copy < operands.copies; ++copy)
    status = machine.gpu()->status(
        machine.driver().copy(operands.weights.get() + static_cast<uint64_t>(copy) * operands.apart,
                              operands.weights.get(), weight.size(), machine.stream()),
        "copying a weight");
  if (status.ok())
    status = machine.write(operands.rows.get(), rows.data(), rows.size());
  if (!status.ok())
    return status;
  return operands;
}

absl::Status launch(const Machine &machine, const Kernel &kernel, const TimedKernel &timed,
                    const Operands &operands, int copy) {
  const uint32_t blocks = std::min(timed.items, kernel.resident);
  return machine.launch(kernel, blocks, kThreads,
                        {operands.weights.get() + static_cast<uint64_t>(copy) * operands.apart,
                         operands.rows.get(), operands.results.get(),
                         static_cast<uint64_t>(timed.rows)});
}

// Seconds a launch, of a graph of launches that each read another copy: as a step's kernels run.
absl::StatusOr<double> time_kernel(const Machine &machine, const Kernel &kernel,
                                   const TimedKernel &timed, const Operands &operands) {
  using device::cuda::Graph;
  using device::cuda::GraphExec;
  const auto &driver = machine.driver();
  const auto &gpu = machine.gpu();
  absl::Status status = gpu->status(
      driver.capture_begin(machine.stream(), device::cuda::kCaptureThisThread), "a graph");
  if (!status.ok())
    return status;
  for (int copy = 0; status.ok() && copy < operands.copies; ++copy)
    status = launch(machine, kernel, timed, operands, copy);
  Graph graph = nullptr;
  status.Update(gpu->status(driver.capture_end(machine.stream(), &graph), "a graph"));
  GraphExec made = nullptr;
  if (status.ok())
    status = gpu->status(driver.graph_instantiate(&made, graph, 0), "a graph");
  if (graph)
    driver.graph_destroy(graph);
  if (!status.ok())
    return status;
  const device::cuda::OwnedGraphExec exec(gpu, made, &device::cuda::Driver::graph_exec_destroy);
  auto begin = device::cuda::make_event(gpu, /*timed=*/true);
  auto end = device::cuda::make_event(gpu, /*timed=*/true);
  for (const auto *event : {&begin, &end})
    if (!event->ok())
      return event->status();
  // Long enough that the clock's steps do not matter; the best of some, for what else goes on only
  // makes it longer.
  const int rounds = machine.is_interpreter() ? 1 : 5;
  int repeats = 1;
  double best = INFINITY;
  for (int round = -1; round < rounds; ++round) { // the first warms up, and says how long it takes
    status = gpu->status(driver.event_record(begin->get(), machine.stream()), "timing");
    for (int i = 0; status.ok() && i < repeats; ++i)
      status = gpu->status(driver.graph_launch(exec.get(), machine.stream()), kernel.name);
    if (status.ok())
      status = gpu->status(driver.event_record(end->get(), machine.stream()), "timing");
    if (status.ok())
      status = machine.wait(kernel.name);
    float milliseconds = 0;
    if (status.ok())
      status = gpu->status(driver.event_elapsed(&milliseconds, begin->get(), end->get()), "timing");
    if (!status.ok())
      return status;
    if (round < 0 && !machine.is_interpreter())
      repeats = std::clamp(static_cast<int>(10 / std::max(milliseconds, 1e-3f)), 1, 1000);
    else
      best = std::min(best, 1e-3 * milliseconds / repeats / operands.copies);
  }
  return best;
}

// How far a cut's results are from the built-in one's, in their root mean square.
double apart(const std::vector<float> &given, const std::vector<float> &wanted) {
  double square = 0, most = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    square += double{wanted[i]} * wanted[i];
    const double off = std::fabs(double{given[i]} - wanted[i]);
    most = std::isnan(off) ? INFINITY : std::max(most, off);
  }
  const double rms = std::sqrt(square / static_cast<double>(wanted.size()));
  return rms > 0 ? most / rms : INFINITY; // zeros only would be no product
}

std::string read_file(const std::string &path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The cubin that the device takes, or none: then the PTX is compiled by the driver.
std::string cubin_for(const Machine &machine, const std::string &stem) {
  const auto &info = machine.gpu()->info();
  for (const char *variant : {"sm_90a", "sm_80"})
    if (device::cuda::why_not(variant, info).empty())
      if (std::string cubin = read_file(absl::StrCat(stem, ".", variant, ".cubin")); !cubin.empty())
        return cubin;
  return "";
}

// What a line is about, which the lines of an earlier run are known by.
nlohmann::ordered_json about(const Machine &machine, const TimedKernel &timed) {
  return {{"device", machine.gpu()->info().name},
          {"packing", timed.packing},
          {"inputs", timed.inputs},
          {"outputs", timed.outputs},
          {"panels", timed.panels},
          {"rows", timed.rows},
          {"together", timed.together},
          {"ring", timed.ring},
          {"built_in", timed.built_in}};
}

std::string without_time(const nlohmann::ordered_json &about, std::string_view why) {
  nlohmann::ordered_json line = about;
  line["error"] = std::string(why);
  line["holds"] = false;
  return line.dump() + "\n";
}

std::set<std::string> done_before(const std::string &text) {
  std::set<std::string> done;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    auto parsed = nlohmann::ordered_json::parse(line, nullptr, false);
    if (!parsed.is_object())
      continue;
    nlohmann::ordered_json key;
    for (const char *name : {"device", "packing", "inputs", "outputs", "panels", "rows", "together",
                             "ring", "built_in"})
      key[name] = parsed.value(name, nlohmann::ordered_json());
    done.insert(key.dump());
  }
  return done;
}

// The cubin, or what the driver makes of the PTX where it will not have that.
absl::StatusOr<device::cuda::OwnedModule> load(const Machine &machine, const std::string &folder,
                                               const TimedKernel &timed) {
  const std::string stem = absl::StrCat(folder, "/", timed.file);
  const std::string ptx = read_file(stem + ".ptx"), cubin = cubin_for(machine, stem);
  if (ptx.empty() && cubin.empty())
    return absl::FailedPreconditionError(absl::StrCat(
        folder, " has no code for ", machine.gpu()->info().name, " of compute capability ",
        machine.gpu()->info().capability(), "\nhint: benchmarks/gpu/pack --ptx packs PTX too"));
  return device::cuda::load_module(
      machine.gpu(),
      {timed.file,
       ptx.empty() ? nullptr : ptx.c_str(),
       {reinterpret_cast<const uint8_t *>(cubin.data()), cubin.size()}},
      /*only_ptx=*/false);
}

struct Timed {
  std::vector<float> results;
  uint32_t blocks = 0;
  double seconds = 0; ///< of a launch; 0 if that was not asked
};

absl::StatusOr<Timed> run_one(const Machine &machine, const std::string &folder,
                              const TimedKernel &timed, const Operands &operands, bool time) {
  const auto module = load(machine, folder, timed);
  if (!module.ok())
    return module.status();
  const auto kernel =
      device::cuda::load_kernel(*machine.gpu(), module->get(), "product", timed.shared, kThreads);
  if (!kernel.ok())
    return kernel.status();
  Timed made;
  made.blocks = std::min(timed.items, kernel->resident);
  made.results.resize(static_cast<uint64_t>(timed.rows) * static_cast<uint64_t>(timed.outputs));
  const uint64_t bytes = 4 * made.results.size();
  absl::Status status = machine.zero(operands.results.get(), bytes);
  if (status.ok())
    status = launch(machine, *kernel, timed, operands, 0);
  if (status.ok())
    status = machine.read(made.results.data(), operands.results.get(), bytes);
  if (!status.ok() || !time)
    return status.ok() ? absl::StatusOr<Timed>(std::move(made)) : status;
  const auto took = time_kernel(machine, *kernel, timed, operands);
  if (!took.ok())
    return took.status();
  made.seconds = *took;
  return made;
}

absl::Status time_all(const Machine &machine, const std::string &folder, const std::string &path,
                      double seconds, double patience) {
  const auto index = nlohmann::json::parse(read_file(folder + "/index.json"), nullptr, false);
  if (!index.is_array())
    return absl::NotFoundError(
        absl::StrCat(folder, " has no index.json\nhint: benchmarks/gpu/pack"));
  auto lines = Lines::open(path);
  if (!lines.ok())
    return lines.status();
  const std::set<std::string> done = done_before(lines->before());
  // Times say much without it.
  const auto probe = machine.read_probe(uint64_t{1} << 30);
  if (!probe.ok())
    std::printf("no read probe: %s\n", std::string(probe.status().message()).c_str());
  const auto share = [&](const TimedKernel &timed, double took) {
    return probe.ok() && *probe > 0 ? static_cast<double>(timed.weight_bytes) / took / *probe : 0;
  };
  const Deadline deadline(seconds);
  Watch watch(path, patience);
  std::map<std::string, std::vector<float>> expected; // by shape and rows
  std::string shape_before;
  Operands operands;
  absl::Status no_operands;
  size_t timed_count = 0, left = 0, wrong = 0, failed = 0;
  for (const auto &entry : index) {
    const auto timed = entry.get<TimedKernel>();
    const auto line = about(machine, timed);
    const std::string shape = absl::StrCat(timed.packing, ":", timed.inputs, "x", timed.outputs);
    const bool again = done.contains(line.dump());
    // A built-in cut is run once more where others of its shape are still to be compared with it.
    const bool needed =
        !again || (timed.built_in && std::ranges::any_of(index, [&](const auto &e) {
                     const auto other = e.template get<TimedKernel>();
                     return other.packing == timed.packing && other.inputs == timed.inputs &&
                            other.outputs == timed.outputs && other.rows == timed.rows &&
                            !done.contains(about(machine, other).dump());
                   }));
    if (!needed)
      continue;
    if (deadline.over()) {
      left += again ? 0 : 1;
      continue;
    }
    if (shape != shape_before) {
      operands = Operands(); // its memory first
      auto made = operands_of(machine, timed);
      no_operands = made.status();
      if (made.ok())
        operands = *std::move(made);
      shape_before = shape;
    }
    watch.begin(without_time(line, "it did not end"),
                without_time(line, "the process ended at it"));
    auto made = no_operands.ok() ? run_one(machine, folder, timed, operands, !again)
                                 : absl::StatusOr<Timed>(no_operands);
    watch.end();
    if (!made.ok()) {
      const std::string why(made.status().message());
      std::printf("%s, %d rows, %d together, ring %d: %s\n", shape.c_str(), timed.rows,
                  timed.together, timed.ring, why.c_str());
      std::fflush(stdout);
      failed += again ? 0 : 1;
      if (!again)
        if (absl::Status status = lines->add(without_time(line, why)); !status.ok())
          return status;
      // Some errors are the device's from then on: what comes behind needs a process of its own.
      if (absl::Status status = machine.wait("the device after that"); !status.ok())
        return status;
      continue;
    }
    const auto first =
        expected.try_emplace(absl::StrCat(shape, " ", timed.rows), made->results).first;
    if (again)
      continue;
    const double off = apart(made->results, first->second);
    const bool holds = off < 1e-3;
    wrong += holds ? 0 : 1;
    nlohmann::ordered_json full = line;
    full["blocks"] = made->blocks;
    full["seconds"] = made->seconds;
    full["bytes"] = timed.weight_bytes + static_cast<uint64_t>(timed.rows) * timed.row_bytes;
    full["share_of_probe"] = share(timed, made->seconds);
    full["most_of_rms"] = off;
    full["holds"] = holds;
    if (absl::Status status = lines->add(full.dump() + "\n"); !status.ok())
      return status;
    ++timed_count;
    if (timed.built_in)
      std::printf("%s, %d rows, built in: %.1f us, %.2f of the probe\n", shape.c_str(), timed.rows,
                  1e6 * made->seconds, share(timed, made->seconds));
    std::fflush(stdout);
  }
  std::printf("kernels: %zu timed, %zu wrong, %zu failed, %zu left for lack of time\n", timed_count,
              wrong, failed, left);
  if (wrong + failed == 0)
    return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(wrong, " kernels gave wrong results, and ", failed,
                                          " could not be run: ", path));
}

} // namespace

int kernels(std::span<const char *const> args) {
  std::string device = "cuda", folder, path;
  double seconds = 0, patience = 30;
  const cli::Command command{
      "quern-gpu-kit kernels --kernels FOLDER -o FILE [--device cuda] [--seconds S]",
      "Times products in all the ways in which they are cut, and compares what they give.",
      {{"--kernels", "FOLDER", "of quern-gpu-kernels", &folder, true},
       {"-o, --output", "FILE", "a line of JSON each", &path, true},
       {"--device", "D", "cuda, cuda:1 or ptx", &device},
       {"--patience", "S", "a kernel's longest time", &patience},
       {"--seconds", "S", "begin no more after that many", &seconds}},
      "quern-gpu-kit kernels --kernels kernels -o kernels.jsonl"};
  if (auto code = cli::parse(command, args))
    return *code;
  const auto machine = Machine::open(device);
  if (!machine.ok())
    return cli::fail(machine.status());
  const absl::Status status = time_all(*machine, folder, path, seconds, patience);
  return status.ok() ? cli::kDone : cli::fail(status);
}

} // namespace quern::kit
