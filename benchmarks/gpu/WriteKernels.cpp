// quern-gpu-kernels: compiles the products of benchmarks/gpu/run, for the shapes that it is told,
// in every way in which they can be cut. It runs where the compiler is, in benchmarks/gpu/pack.
#include "benchmarks/gpu/KernelIndex.h"
#include "codegen/artifact/OmittedWeights.h"
#include "codegen/cuda/Nvrtc.h"
#include "codegen/cuda/WeightPacking.h"
#include "codegen/cuda/device/StreamedShape.h"
#include "codegen/cuda/tuning/ProductTable.h"
#include "ir/formats/Packing.h"
#include "runtime/cli/Flags.h"
#include "runtime/cli/Report.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>

namespace quern::kit {
namespace {

using formats::Packing;

/// Blocks that the smallest GPU of interest keeps busy.
constexpr int64_t kLeastItems = 16;

struct Wanted {
  Packing packing;
  int64_t inputs, outputs;
};

// "q4.g32.z0.min.u8.row:2048x8192": inputs x outputs.
absl::StatusOr<Wanted> parse_shape(const std::string &text) {
  const std::vector<std::string> parts = absl::StrSplit(text, absl::ByAnyChar(":x"));
  Wanted wanted{};
  if (parts.size() != 3 || !absl::SimpleAtoi(parts[1], &wanted.inputs) ||
      !absl::SimpleAtoi(parts[2], &wanted.outputs) || wanted.inputs < 1 || wanted.outputs < 1)
    return absl::InvalidArgumentError(absl::StrCat(
        "'", text, "' is no shape\nhint: PACKING:INPUTSxOUTPUTS, as in bf16:2048x8192"));
  auto packing = formats::parse_packing(parts[0]);
  if (!packing.ok())
    return packing.status();
  wanted.packing = *packing;
  return wanted;
}

// The product and nothing else.
std::string source(const Wanted &wanted, const std::string &shape) {
  const std::string type = wanted.packing.is_float() ? "StreamedFloatProduct" : "StreamedQ8Product";
  const std::string n = absl::StrCat(wanted.outputs);
  return absl::StrCat("#include \"codegen/cuda/device/", type, R"(.cuh"
using namespace quern;
extern "C" __global__ void __launch_bounds__(256)
product(const u8 *weights, const u8 *x, float *y, u64 rows) {
  extern __shared__ __align__(128) u8 shared[];
  constexpr StreamedShape kShape = )",
                      shape, ";\n  constexpr int kWidth = kShape.panels * 16, kItems = ",
                      Packing::panels(wanted.outputs), R"( / kShape.panels;
  const int worker = blockIdx.x, workers = gridDim.x;
  const auto panel_of = [=](int n) { return (worker + n * workers) * kShape.panels; };
  using Product = )",
                      type, "<kShape, ", n, R"(, decltype(panel_of)>;
  float *tile = reinterpret_cast<float *>(shared);
  Product product(weights, shared + Product::kRows * kWidth * 4, panel_of,
                  ceil_div(kItems - worker, workers));
  for (int item = worker; item < kItems; item += workers) {
    product.template multiply<kWidth>(x, int(rows), tile);
    for (int i = thread(); i < int(rows) * kWidth; i += kThreads)
      if (const int channel = item * kWidth + i % kWidth; channel < )",
                      n, R"()
        y[i / kWidth * )",
                      n, R"( + channel] = tile[i];
    __syncthreads();
  }
}
)");
}

struct Job {
  TimedKernel kernel;
  std::string source;
};

std::vector<Job> jobs_of(const Wanted &wanted, bool few) {
  std::vector<Job> jobs;
  const Packing &p = wanted.packing;
  const int64_t panels = Packing::panels(wanted.outputs);
  for (const int rows : {1, 8}) {
    const StreamedShape rule = streamed_shape(p, panels, wanted.inputs, rows);
    // Beside the built-in cut, half and twice as many panels, and rings of half and twice as many
    // bytes: what is packed has to be carried, and timed.
    for (const int together : {rule.panels / 2, rule.panels, 2 * rule.panels})
      for (const int ring : {rule.warp_bytes / 2, rule.warp_bytes, 2 * rule.warp_bytes}) {
        const StreamedCut cut{.panels = together, .warp_bytes = ring};
        if (together == 0 || !cut.fits(panels))
          continue;
        const StreamedShape shape = streamed_shape(p, panels, wanted.inputs, rows, cut);
        const bool built_in = together == rule.panels && ring == rule.warp_bytes;
        const int64_t shared = shape.shared_bytes() + int64_t{rows} * together * 64;
        // A cut that leaves most of the GPU idle, and one whose ring is another's, need no
        // measuring.
        const bool same =
            ring != 8192 && shape.stages() == rule.stages() && together == rule.panels;
        const bool fits = streamed_shape(p, panels, wanted.inputs, 8, cut).is_possible();
        if (!built_in && (!fits || same || panels / together < kLeastItems ||
                          (few && (together > 2 || ring != rule.warp_bytes))))
          continue;
        TimedKernel kernel;
        kernel.packing = formats::packing_name(p);
        kernel.inputs = wanted.inputs;
        kernel.outputs = wanted.outputs;
        kernel.panels = panels;
        kernel.rows = rows;
        kernel.together = together;
        kernel.ring = ring;
        kernel.built_in = built_in;
        kernel.shared = static_cast<uint32_t>(shared);
        kernel.items = static_cast<uint32_t>(panels / together);
        kernel.weight_bytes = static_cast<uint64_t>(p.bytes(wanted.outputs, wanted.inputs));
        kernel.quantized = !p.is_float();
        kernel.row_bytes = static_cast<uint64_t>(
            kernel.quantized ? quern_q8_row_bytes(wanted.inputs) : wanted.inputs * 4);
        kernel.made = hex_of(artifact::made_panels(p, wanted.inputs, 0, kernel.weight_bytes,
                                                   /*key=*/7, 0.0f, 0.02f));
        jobs.push_back({kernel, source(wanted, absl::StrCat("streamed_shape(", cuda::packingText(p),
                                                            ", ", panels, ", ", wanted.inputs, ", ",
                                                            rows, ", {.panels = ", together,
                                                            ", .warp_bytes = ", ring, "})"))});
      }
  }
  // The built-in cut first: others are compared with it.
  std::ranges::sort(jobs, {}, [](const Job &job) {
    const TimedKernel &kernel = job.kernel;
    return std::tuple(kernel.rows, !kernel.built_in, kernel.together, kernel.ring);
  });
  return jobs;
}

absl::Status write_file(const std::string &path, const std::string &bytes) {
  std::ofstream out(path, std::ios::binary);
  out << bytes << std::flush;
  return out ? absl::OkStatus() : absl::InternalError(path + " cannot be written");
}

absl::Status write_all(const std::string &folder, const std::vector<std::string> &shapes,
                       const std::vector<std::string> &variants, int threads, bool few, bool ptx) {
  if (absl::Status status = cuda::available(); !status.ok())
    return status;
  std::vector<Job> jobs;
  for (const std::string &shape : shapes) {
    const auto wanted = parse_shape(shape);
    if (!wanted.ok())
      return wanted.status();
    for (Job &job : jobs_of(*wanted, few))
      jobs.push_back(std::move(job));
  }
  std::vector<cuda::CompileJob> compiled_jobs;
  for (size_t i = 0; i < jobs.size(); ++i) {
    jobs[i].kernel.file = absl::StrCat("product", i);
    for (const std::string &variant : variants)
      compiled_jobs.push_back({jobs[i].kernel.file, jobs[i].source, variant});
  }
  const auto compiled = cuda::compile_all(compiled_jobs, {.threads = threads});
  if (!compiled.ok())
    return compiled.status();
  std::filesystem::create_directories(folder);
  nlohmann::json index = nlohmann::json::array();
  for (size_t i = 0; i < jobs.size(); ++i) {
    const std::string stem = absl::StrCat(folder, "/", jobs[i].kernel.file);
    for (size_t v = 0; v < variants.size(); ++v) {
      const cuda::Compiled &made = (*compiled)[i * variants.size() + v];
      absl::Status status = write_file(absl::StrCat(stem, ".", variants[v], ".cubin"), made.cubin);
      // The PTX of the first serves whatever takes no cubin.
      if (ptx && v == 0)
        status.Update(write_file(stem + ".ptx", made.ptx));
      if (!status.ok())
        return status;
    }
    index.push_back(jobs[i].kernel);
  }
  std::printf("%zu kernels\n", jobs.size());
  return write_file(folder + "/index.json", index.dump(1));
}

int write_kernels(std::span<const char *const> args) {
  std::string folder, variants = "sm_80,sm_90a";
  std::vector<std::string> shapes;
  int threads = 2;
  bool few = false, ptx = false;
  const cli::Command command{
      "quern-gpu-kernels -o FOLDER SHAPE...",
      "Compiles products in all the ways in which they can be cut, for benchmarks/gpu/run to time.",
      {{"-o, --output", "FOLDER", "where they go", &folder, true},
       {"--variant", "LIST", "architectures", &variants},
       {"-j, --jobs", "N", "threads", &threads},
       {"--few", "", "a few ways only", &few},
       {"--ptx", "", "their PTX too, for GPUs that take none of the cubins", &ptx}},
      "quern-gpu-kernels -o kernels q4.g32.z0.min.u8.row:2048x8192 bf16:2048x2048",
      &shapes};
  if (auto code = cli::parse(command, args))
    return *code;
  const absl::Status status =
      write_all(folder, shapes, absl::StrSplit(variants, ','), threads, few, ptx);
  return status.ok() ? cli::kDone : cli::fail(status);
}

} // namespace
} // namespace quern::kit

int main(int argc, char **argv) {
  return quern::kit::write_kernels({argv + 1, static_cast<size_t>(argc - 1)});
}
