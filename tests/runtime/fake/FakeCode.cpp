#include "tests/runtime/fake/FakeCode.h"

#include "runtime/abi/CudaStep.h"
#include "tests/runtime/fake/FakeArtifact.h"

namespace quern::test {
namespace {

using artifact::CudaBase;
using Operands = std::vector<FakeCode::Operand>;

constexpr FakeCode::Operand kWeights{CudaBase::weights, 0, 0}, kMemory{CudaBase::arena, 0, 0},
    kRows{CudaBase::rows, 0, 0}, kResult{CudaBase::output, 0, 0};

FakeCode::Operand input(uint32_t index) { return {CudaBase::input, index, 0}; }
FakeCode::Operand number(int64_t number) { return {CudaBase::number, 0, number}; }

FakeCode::Bucket step_bucket(const std::string &symbol, const FakeOptions &options) {
  // A kv state is its group and its offset in the page.
  const Operands states = {number(0), number(0), number(1), number(0)};
  Operands append = {input(0)};
  append.insert(append.end(), states.begin(), states.end());
  append.push_back(number(options.recurrent ? 0 : -1));
  append.push_back(kMemory);
  Operands whole = append;
  Operands logits = {kWeights, kMemory, kRows};
  logits.insert(logits.end(), states.begin(), states.end());
  logits.push_back(kResult);
  FakeCode::Bucket bucket{symbol, {{0, 0, 1, append}, {1, 0, 5, logits}}, std::nullopt};
  if (symbol == "quern_step_decode1") {
    whole.insert(whole.end(), {kWeights, kRows, kResult});
    bucket.persistent = {2, 0, 3, whole};
  }
  return bucket;
}

} // namespace

FakeCode fake_code(const FakeOptions &options) {
  const std::vector<uint8_t> ptx = read_file(FAKE_KERNELS);
  FakeCode code;
  code.abi_version = QUERN_CUDA_ABI_VERSION;
  code.modules = {{"fake", std::string(ptx.begin(), ptx.end()), {}}};
  code.functions = {{"fake_append"},
                    {"fake_logits", 0, 1024},
                    {"fake_persistent", 0, 0, /*persistent=*/true},
                    {"fake_scale"}};
  if (options.main_entry) {
    code.buckets = {
        {"quern_main_any", {{3, 0, 1, {kWeights, input(0), input(1), kResult}}}, std::nullopt}};
    return code;
  }
  for (const std::string &symbol :
       {std::string("quern_step_decode1"), std::string("quern_step_decode"), options.symbol})
    code.buckets.push_back(step_bucket(symbol, options));
  return code;
}

std::vector<uint8_t> serialize(const FakeCode &code) {
  using namespace artifact;
  using flatbuffers::Offset;
  flatbuffers::FlatBufferBuilder b;
  std::vector<Offset<CudaModule>> modules;
  for (const FakeCode::Module &module : code.modules)
    modules.push_back(
        CreateCudaModuleDirect(b, module.name.c_str(), module.ptx.c_str(), &module.cubin));
  std::vector<Offset<CudaFunction>> functions;
  for (const FakeCode::Function &function : code.functions)
    functions.push_back(CreateCudaFunctionDirect(b, function.name.c_str(), function.module,
                                                 function.shared, 32, 0, function.persistent));
  auto write = [&](const FakeCode::Launch &launch) {
    std::vector<CudaOperand> operands;
    for (const FakeCode::Operand &operand : launch.operands)
      operands.emplace_back(operand.base, operand.index, operand.number);
    return CreateCudaLaunchDirect(b, launch.function, launch.dispatch, launch.max_workers,
                                  &operands);
  };
  std::vector<Offset<CudaBucket>> buckets;
  for (const FakeCode::Bucket &bucket : code.buckets) {
    std::vector<Offset<CudaLaunch>> launches;
    for (const FakeCode::Launch &launch : bucket.launches)
      launches.push_back(write(launch));
    const Offset<CudaLaunch> persistent =
        bucket.persistent ? write(*bucket.persistent) : Offset<CudaLaunch>();
    buckets.push_back(CreateCudaBucketDirect(b, bucket.symbol.c_str(), &launches, persistent));
  }
  FinishCudaCodeBuffer(b,
                       CreateCudaCodeDirect(b, code.abi_version, &modules, &functions, &buckets));
  return {b.GetBufferPointer(), b.GetBufferPointer() + b.GetSize()};
}

} // namespace quern::test
