// See PersistentKernel.h.
#include "codegen/cuda/PersistentKernel.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SetVector.h"

#include <map>

namespace quern::cuda {
namespace {

using codegen::Call;
using codegen::Loop;
using codegen::Operand;
using Base = Operand::Base;

class Writer {
public:
  Writer(llvm::StringRef name, llvm::ArrayRef<Call> calls, llvm::ArrayRef<Loop> loops,
         llvm::ArrayRef<const Kernel *> kernels)
      : name(name.str()), calls(calls), loops(loops), kernels(kernels) {}

  PersistentKernel write() {
    bases();
    body.line("const int worker = static_cast<int>(blockIdx.x);");
    body.line("const int workers = static_cast<int>(gridDim.x);");
    body.line("GridBarrier barrier(step->barrier);");
    size_t next = 0;
    for (const Loop &loop : loops) {
      writeEach(next, loop.first);
      writeLoop(loop);
      next = loop.end();
    }
    writeEach(next, calls.size());
    return {head() + body.str() + "}\n", shared(), operands};
  }

private:
  // ---- What the kernel is handed

  /// A parameter for each base that calls have operands behind.
  void bases() {
    parameter({Base::Weights}, "const u8 *weights");
    parameter({Base::Arena}, "u8 *arena");
    std::map<unsigned, bool> inputs, outputs;
    for (const Call &call : calls)
      for (const Operand &operand : call.operands) {
        if (operand.base == Base::Input)
          inputs[operand.index] = true;
        if (operand.base == Base::Output)
          outputs[operand.index] = true;
      }
    for (const auto &[index, there] : inputs)
      parameter({Base::Input, 0, index}, absl::StrCat("const u8 *input", index));
    for (const auto &[index, there] : outputs)
      parameter({Base::Output, 0, index}, absl::StrCat("u8 *output", index));
  }
  void parameter(Operand operand, const std::string &declaration) {
    operands.push_back(operand);
    absl::StrAppend(&parameters, ", ", declaration);
  }

  // ---- The text

  /// All that stands in front of the body.
  std::string head() const {
    Text text;
    std::vector<std::string> includes = {"GridBarrier.cuh"};
    llvm::SmallSetVector<const Kernel *, 16> used(kernels.begin(), kernels.end());
    for (const Kernel *kernel : used)
      for (const std::string &include : kernel->includes())
        if (!llvm::is_contained(includes, include))
          includes.push_back(include);
    for (const std::string &include : includes)
      text.line("#include \"codegen/cuda/device/", include, "\"");
    text.line("");
    text.line("namespace quern::kernels {");
    std::string all = text.str();
    // Each call that is written out would be a copy of the kernel's code, which takes NVRTC seconds
    // where layers are alike in no order that repeats (6.8 of them, not 2.7, for gemma2 of three
    // layers). So what is called at several places is code of its own, and what a loop of layers
    // alone calls stays inlined.
    for (const Kernel *kernel : used) {
      absl::StrAppend(&all, "\n", kernel->function(written.at(kernel) == 1));
      if (const auto ahead = prefetched.find(kernel); ahead != prefetched.end())
        absl::StrAppend(&all, kernel->prefetchFunction(ahead->second == 1));
    }
    Text tail;
    tail.line("");
    for (const auto &[i, loop] : llvm::enumerate(loops))
      table(tail, i, loop);
    tail.line("} // namespace quern::kernels");
    tail.line("");
    tail.line("using namespace quern;");
    tail.line("extern \"C\" __global__ void __launch_bounds__(QUERN_CUDA_THREADS, 1)");
    tail.open(name, "(const QuernCudaStep *step", parameters, ")");
    tail.line("  extern __shared__ __align__(128) u8 shared[];");
    return all + tail.str();
  }

  /// What changes from turn to turn of a loop.
  static void table(Text &text, size_t number, const Loop &loop) {
    if (loop.width == 0)
      return;
    text.line("__constant__ const i64 turns_", number, "[", loop.turns, "][", loop.width, "] = {");
    for (size_t turn = 0; turn < loop.turns; ++turn) {
      std::string row;
      for (size_t column = 0; column < loop.width; ++column)
        absl::StrAppend(&row, column == 0 ? "" : ", ", loop.table[turn * loop.width + column]);
      text.line("    {", row, "},");
    }
    text.line("};");
  }

  /// Operand `o` of a call as its kernel's parameter: at a turn of a loop, whose row of the table
  /// is named, if it is another at each.
  std::string argument(size_t call, size_t o, const Loop *loop, const std::string &row) const {
    const Operand &operand = calls[call].operands[o];
    std::string number = absl::StrCat(operand.number);
    if (loop)
      if (const std::optional<size_t> column = loop->columns[call - loop->first][o])
        number = absl::StrCat(row, "[", *column, "]");
    std::string base;
    switch (operand.base) {
    case Base::None:
      return number;
    case Base::Weights:
      base = "weights";
      break;
    case Base::Arena:
    case Base::Replicated: // there is one for all
      base = "arena";
      break;
    case Base::Input:
      base = absl::StrCat("input", operand.index);
      break;
    case Base::Output:
      base = absl::StrCat("output", operand.index);
      break;
    case Base::Rows:
      return "step->rows";
    }
    const std::string address = number == "0" ? base : absl::StrCat(base, " + ", number);
    const std::string type = kernels[call]->parameterTypes()[o];
    if (type == "const u8 *" || (type == "u8 *" && base != "weights"))
      return address;
    return absl::StrCat("reinterpret_cast<", type, ">(", address, ")");
  }

  void writeCall(size_t call, const Loop *loop) {
    if (calls[call].barrier)
      body.line("barrier.wait();");
    std::string arguments;
    for (size_t o = 0; o < calls[call].operands.size(); ++o)
      absl::StrAppend(&arguments, ", ", argument(call, o, loop, "now"));
    ++written[kernels[call]];
    body.line("kernels::", kernels[call]->name(), "(*step, worker, workers, shared", arguments,
              ");");
  }

  /// The first call from `from` on, before `end`, that reads weights worth fetching.
  std::optional<size_t> nextProduct(size_t from, size_t end) const {
    for (size_t call = from; call < end; ++call)
      if (kernels[call]->prefetches())
        return call;
    return std::nullopt;
  }
  /// Fetches the weights of a call ahead.
  void prefetch(size_t call, const Loop *loop, const std::string &row) {
    ++prefetched[kernels[call]];
    body.line("kernels::", kernels[call]->name(), "_prefetch(worker, workers, ",
              argument(call, kernels[call]->prefetchedParameter(), loop, row), ");");
  }

  void writeEach(size_t first, size_t end) {
    for (size_t call = first; call < end; ++call) {
      writeCall(call, nullptr);
      if (!kernels[call]->prefetches() && call != 0)
        continue;
      const std::optional<size_t> next = nextProduct(call + 1, calls.size());
      if (!next)
        continue;
      const Loop *loop = loopAt(*next);
      // Of a loop's calls it is the first turn's.
      const size_t turn = loop ? (*next - loop->first) / loop->period : 0;
      if (turn == 0)
        prefetch(*next, loop,
                 loop ? absl::StrCat("kernels::turns_", loop - loops.begin(), "[0]") : "");
    }
  }
  const Loop *loopAt(size_t call) const {
    for (const Loop &loop : loops)
      if (call >= loop.first && call < loop.end())
        return &loop;
    return nullptr;
  }

  void writeLoop(const Loop &loop) {
    const std::string table = absl::StrCat("kernels::turns_", &loop - loops.begin());
    const bool varies = loop.width != 0;
    body.open("for (int turn = 0; turn < ", loop.turns, "; ++turn)");
    if (varies)
      body.line("const i64 *const now = ", table, "[turn];");
    const size_t end = loop.first + loop.period;
    for (size_t call = loop.first; call < end; ++call) {
      writeCall(call, &loop);
      if (!kernels[call]->prefetches())
        continue;
      if (const std::optional<size_t> next = nextProduct(call + 1, end)) {
        prefetch(*next, &loop, "now");
        continue;
      }
      body.open("if (turn + 1 < ", loop.turns, ")");
      prefetch(*nextProduct(loop.first, end), &loop, table + "[turn + 1]");
      body.close();
      const std::optional<size_t> after = nextProduct(loop.end(), calls.size());
      if (!after || loopAt(*after))
        continue;
      body.open("else");
      prefetch(*after, nullptr, "");
      body.close();
    }
    body.close();
  }

  int64_t shared() const {
    int64_t most = 0;
    for (const Kernel *kernel : kernels)
      most = std::max(most, kernel->sharedBytes());
    return most;
  }

  std::string name;
  llvm::ArrayRef<Call> calls;
  llvm::ArrayRef<Loop> loops;
  llvm::ArrayRef<const Kernel *> kernels;
  Text body{1};
  std::map<const Kernel *, size_t> written, prefetched; ///< calls in `body`, and of the prefetches
  std::string parameters;
  llvm::SmallVector<Operand, 8> operands;
};

} // namespace

PersistentKernel writePersistent(llvm::StringRef name, llvm::ArrayRef<Call> calls,
                                 llvm::ArrayRef<Loop> loops,
                                 llvm::ArrayRef<const Kernel *> kernels) {
  return Writer(name, calls, loops, kernels).write();
}

} // namespace quern::cuda
