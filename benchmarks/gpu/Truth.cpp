// quern-gpu-kit truth: what the device answers to the corpus of PTX (tests/ptx/truth), as goldens.
#include "benchmarks/gpu/Machine.h"
#include "benchmarks/gpu/Watch.h"
#include "runtime/cli/Flags.h"
#include "runtime/cli/Report.h"
#include "tests/ptx/truth/Results.h"

#include <absl/strings/str_cat.h>

#include <cstdio>

namespace quern::kit {
namespace {

using ptx::Answer;
using ptx::Case;

// An error that leaves the device unusable is an error; that it will not have the code is an
// answer.
absl::StatusOr<Answer> ask(const Machine &machine, const Case &c, device::cuda::DevicePtr in,
                           device::cuda::DevicePtr out) {
  Answer answer;
  const auto &gpu = machine.gpu();
  device::cuda::OwnedModule module;
  for (const char *target : {"sm_80", "sm_90"}) {
    answer.target = target;
    const std::string text = c.text(target);
    auto loaded = device::cuda::load_module(gpu, {c.name, text.c_str(), {}}, /*only_ptx=*/true);
    if (loaded.ok()) {
      module = *std::move(loaded);
      answer.refused.clear();
      break;
    }
    answer.refused = std::string(loaded.status().message());
    if (gpu->info().major < 9)
      break;
  }
  if (!answer.refused.empty())
    return answer;
  auto kernel = device::cuda::load_kernel(*gpu, module.get(), "run", 0, Case::kThreads);
  if (!kernel.ok())
    return kernel.status();
  answer.out.resize(c.out_bytes() / 8);
  absl::Status status = machine.zero(out, c.out_bytes());
  if (status.ok() && !c.in.empty())
    status = machine.write(in, c.in.data(), c.in_bytes());
  if (status.ok())
    status = machine.launch(*kernel, 1, Case::kThreads, {in, out});
  if (status.ok())
    status = machine.read(answer.out.data(), out, c.out_bytes());
  if (!status.ok())
    return status;
  return answer;
}

absl::Status ask_all(const Machine &machine, const std::string &path, const std::string &like,
                     double seconds, double patience) {
  auto lines = Lines::open(path);
  if (!lines.ok())
    return lines.status();
  auto before = ptx::read_results(lines->before());
  if (!before.ok())
    return before.status();
  if (lines->before().empty())
    if (absl::Status s =
            lines->add(absl::StrCat("# ", machine.gpu()->info().name, ", compute capability ",
                                    machine.gpu()->info().capability(), ", driver of CUDA ",
                                    device::cuda::version_text(machine.driver().version()), "\n"));
        !s.ok())
      return s;
  uint64_t most_in = 8, most_out = 8;
  for (const Case &c : ptx::corpus()) {
    most_in = std::max(most_in, c.in_bytes());
    most_out = std::max(most_out, c.out_bytes());
  }
  auto in = device::cuda::allocate(machine.gpu(), most_in, "operands");
  auto out = device::cuda::allocate(machine.gpu(), most_out, "results");
  for (const auto *memory : {&in, &out})
    if (!memory->ok())
      return memory->status();
  const Deadline deadline(seconds);
  Watch watch(path, patience);
  constexpr size_t kTold = 200; // cases, from one word about them to the next
  size_t asked = 0, refused = 0, left = 0;
  for (const Case &c : ptx::corpus()) {
    if (before->lines.contains(c.name) || c.name.find(like) == std::string::npos)
      continue;
    if (deadline.over()) {
      ++left;
      continue;
    }
    watch.begin(ptx::answer_line(c, Answer{{}, "it did not end", {}}),
                ptx::answer_line(c, Answer{{}, "the process ended at it", {}}));
    auto answer = ask(machine, c, in->get(), out->get());
    watch.end();
    // What broke the device is not asked again when this is started again.
    const absl::Status broken = answer.status();
    if (!answer.ok())
      answer = Answer{{}, std::string(broken.message()), {}};
    ++asked;
    refused += answer->refused.empty() ? 0 : 1;
    if (asked % kTold == 0) {
      std::printf("%zu cases asked, %zu of them refused\n", asked, refused);
      std::fflush(stdout);
    }
    if (absl::Status status = lines->add(ptx::answer_line(c, *answer)); !status.ok())
      return status;
    if (!broken.ok())
      return absl::Status(broken.code(), absl::StrCat(c.name, ": ", broken.message()));
  }
  std::printf("truth: %zu cases asked, %zu of them refused, %zu left for lack of time\n", asked,
              refused, left);
  return absl::OkStatus();
}

} // namespace

int truth(std::span<const char *const> args) {
  std::string device = "cuda", path, like;
  double seconds = 0, patience = 30;
  const cli::Command command{"quern-gpu-kit truth -o FILE [--device cuda] [--seconds S]",
                             "Runs the corpus of PTX and writes what comes out, as bits. Goes on "
                             "with a file that is there.",
                             {{"-o, --output", "FILE", "the answers", &path, true},
                              {"--device", "D", "cuda, cuda:1 or ptx", &device},
                              {"--like", "TEXT", "only cases with that in their names", &like},
                              {"--patience", "S", "a case's longest time", &patience},
                              {"--seconds", "S", "ask no more after that many", &seconds}},
                             "quern-gpu-kit truth -o truth.txt"};
  if (auto code = cli::parse(command, args))
    return *code;
  const auto machine = Machine::open(device);
  if (!machine.ok())
    return cli::fail(machine.status());
  const absl::Status status = ask_all(*machine, path, like, seconds, patience);
  return status.ok() ? cli::kDone : cli::fail(status);
}

} // namespace quern::kit
