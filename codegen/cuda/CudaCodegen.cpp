// See CudaCodegen.h.
#include "codegen/cuda/CudaCodegen.h"

#include "codegen/cuda/CodeSection.h"
#include "codegen/cuda/Nvrtc.h"
#include "codegen/cuda/Program.h"
#include "codegen/cuda/tuning/ProductTable.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <chrono>

namespace quern::cuda {
namespace {

/// A table of what each kernel needs, and how long its module's PTX is, one a variant.
std::string resources(const Program &program, std::span<const Compiled> compiled) {
  std::string table = absl::StrFormat("%-40s %9s %9s %9s %9s %9s\n", "kernel", "registers",
                                      "shared", "local", "spilled", "ptx");
  for (const KernelText &kernel : program.kernels) {
    const Compiled &module = compiled[kernel.module];
    const CompiledFunction function = module.function(kernel.name);
    absl::StrAppendFormat(&table, "%-40s %9d %9d %9d %9d %9d\n", kernel.name, function.registers,
                          kernel.shared, function.local, function.spilled, module.ptx.size());
  }
  return table;
}

class Stopwatch {
public:
  explicit Stopwatch(const codegen::GenerateOptions &options) : options(options) {}
  void took(std::string_view step) {
    const auto now = std::chrono::steady_clock::now();
    if (options.took)
      options.took(step, std::chrono::duration<double>(now - start).count());
    start = now;
  }

private:
  const codegen::GenerateOptions &options;
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
};

} // namespace

absl::Status check(mlir::ModuleOp planned) { return writeProgram(planned).status(); }

absl::StatusOr<std::vector<std::string>> generate(mlir::ModuleOp planned,
                                                  std::span<const std::string> variants,
                                                  const codegen::GenerateOptions &options) {
  Stopwatch watch(options);
  if (const auto &table = ProductTable::current(); !table.ok())
    return table.status();
  auto program = writeProgram(planned);
  if (!program.ok())
    return program.status();
  watch.took("kernels");
  const size_t count = program->modules.size();
  std::vector<CompileJob> jobs;
  for (const std::string &variant : variants)
    for (const ModuleText &module : program->modules)
      jobs.push_back({module.name, module.text, variant});
  // Texts are wanted even where nothing compiles them.
  if (options.emit)
    for (const ModuleText &module : program->modules)
      options.emit(module.name + ".cu", module.text);
  auto compiled = compile_all(jobs, {.threads = options.threads, .cache = options.cache});
  if (!compiled.ok())
    return compiled.status();
  watch.took("nvrtc");
  std::vector<std::string> sections;
  for (size_t v = 0; v < variants.size(); ++v) {
    const std::span<const Compiled> made = std::span(*compiled).subspan(v * count, count);
    if (options.emit) {
      for (size_t i = 0; i < count; ++i)
        options.emit(absl::StrCat(program->modules[i].name, ".", variants[v], ".ptx"), made[i].ptx);
      options.emit(absl::StrCat("resources.", variants[v], ".txt"), resources(*program, made));
    }
    sections.push_back(codeSection(*program, made));
  }
  return sections;
}

} // namespace quern::cuda
