// See KernelRun.h.
#include "tests/codegen/cuda/KernelRun.h"

#include "codegen/cuda/Nvrtc.h"
#include "runtime/abi/CudaStep.h"
#include "tests/ptx/Schedules.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"

#include <map>
#include <random>

namespace quern::test {

std::unique_ptr<KernelRun> KernelRun::create(const std::string &text, cuda::Form form) {
  auto run = std::make_unique<KernelRun>();
  run->context = std::make_unique<mlir::MLIRContext>();
  run->context->loadDialect<QuernDialect, mlir::func::FuncDialect>();
  run->module = mlir::parseSourceString<mlir::ModuleOp>(
      "module attributes {quern.target = \"cuda\"} {\n" + text + "\n}", run->context.get());
  if (!run->module) {
    ADD_FAILURE() << "does not parse:\n" << text;
    return nullptr;
  }
  run->kernel = std::make_unique<cuda::Kernel>(*run->module->getOps<KernelOp>().begin(), "k", form,
                                               std::vector<std::string>());
  if (mlir::failed(run->kernel->generate())) {
    ADD_FAILURE() << "is not generated:\n" << text;
    return nullptr;
  }
  // Compiled once, whatever tests ask for it.
  static std::map<std::string, absl::StatusOr<cuda::Compiled>> all;
  const std::string source = run->kernel->source();
  auto compiled = all.find(source);
  if (compiled == all.end())
    compiled = all.emplace(source, cuda::compile(source, "k", "sm_80")).first;
  if (!compiled->second.ok()) {
    ADD_FAILURE() << compiled->second.status();
    return nullptr;
  }
  EXPECT_EQ(compiled->second->local, 0) << "registers spill";
  run->device.set_observer(&run->watch);
  const auto code = run->device.load(compiled->second->ptx);
  if (!code.ok()) {
    ADD_FAILURE() << code.status();
    return nullptr;
  }
  run->code = *code;
  run->arrivals = run->device.put(std::vector<uint32_t>(QUERN_CUDA_ARRIVALS));
  return run;
}

void KernelRun::setSequences(const std::vector<Sequence> &sequences) {
  cu = {0};
  positions.clear();
  tokenSeq.clear();
  for (const Sequence &sequence : sequences) {
    for (int i = 0; i < sequence.tokens; ++i) {
      positions.push_back(sequence.before + i);
      tokenSeq.push_back(static_cast<int32_t>(cu.size()) - 1);
    }
    cu.push_back(numTokens());
  }
}

void KernelRun::setPages(uint64_t pool, int64_t bytes,
                         const std::vector<std::vector<int32_t>> &tables) {
  size_t stride = 0;
  for (const auto &table : tables)
    stride = std::max(stride, table.size());
  std::vector<int32_t> matrix(tables.size() * stride, -1);
  for (size_t b = 0; b < tables.size(); ++b)
    std::ranges::copy(tables[b], matrix.begin() + static_cast<int64_t>(b * stride));
  QuernCudaKvGroup group{};
  group.pages = reinterpret_cast<unsigned char *>(pool);
  group.page_bytes = bytes;
  group.block_table = reinterpret_cast<const int *>(device.put(matrix));
  group.table_stride = static_cast<long long>(stride);
  kv = device.put(std::vector<QuernCudaKvGroup>{group});
}

void KernelRun::setFixedStates(const std::vector<uint64_t> &slots) {
  fixedStates = device.put(slots);
}

void KernelRun::launch(uint32_t workers, const std::vector<uint64_t> &operands) {
  QuernCudaStep step{};
  step.num_tokens = numTokens();
  step.num_seqs = static_cast<long long>(cu.size()) - 1;
  step.num_rows = numTokens();
  step.cu_seqlens = reinterpret_cast<const int *>(device.put(cu));
  step.positions = reinterpret_cast<const int *>(device.put(positions));
  step.token_seq = reinterpret_cast<const int *>(device.put(tokenSeq));
  step.kv = reinterpret_cast<const QuernCudaKvGroup *>(kv);
  step.fixed_state = reinterpret_cast<unsigned char *const *>(fixedStates);
  step.arrivals = reinterpret_cast<unsigned *>(arrivals);
  ptx::Arguments arguments;
  arguments.add(device.put(std::vector<QuernCudaStep>{step}));
  for (const uint64_t operand : operands)
    arguments.add(operand);
  static uint64_t seed = 0;
  const auto schedule = ptx::new_schedule(++seed);
  device.set_scheduler(schedule.get());
  const auto report =
      device.launch(*code, "k",
                    {.grid = {workers, 1, 1},
                     .block = {QUERN_CUDA_THREADS, 1, 1},
                     .dynamic_shared = static_cast<uint32_t>(kernel->sharedBytes())},
                    arguments);
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_FALSE(*report) << "seed " << seed << ": " << (*report)->text();
  if (watch.counting() != nullptr) {
    EXPECT_LE(counters().worst_conflict, 2u) << "at line " << counters().worst_line;
    EXPECT_EQ(counters().local_bytes, 0u);
  }
  for (const uint32_t arrived : device.get<uint32_t>(arrivals, QUERN_CUDA_ARRIVALS))
    ASSERT_EQ(arrived, 0u) << "arrivals are left behind";
}

std::vector<float> random_floats(uint32_t seed, size_t count) {
  std::mt19937 random(seed);
  std::vector<float> values(count);
  for (float &value : values)
    value = static_cast<float>(static_cast<int32_t>(random())) * 0x1p-31f;
  return values;
}

} // namespace quern::test
