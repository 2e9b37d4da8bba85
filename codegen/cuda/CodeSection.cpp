// See CodeSection.h.
#include "codegen/cuda/CodeSection.h"

#include "runtime/abi/CudaStep.h"
#include "runtime/artifact/cuda_code_generated.h"

#include "llvm/ADT/STLExtras.h"

namespace quern::cuda {
namespace {

artifact::CudaBase baseOf(codegen::Operand::Base base) {
  using Base = codegen::Operand::Base;
  switch (base) {
  case Base::None:
    return artifact::CudaBase::number;
  case Base::Weights:
    return artifact::CudaBase::weights;
  case Base::Arena:
  case Base::Replicated: // one launch computes it for all
    return artifact::CudaBase::arena;
  case Base::Input:
    return artifact::CudaBase::input;
  case Base::Output:
    return artifact::CudaBase::output;
  case Base::Rows:
    return artifact::CudaBase::rows;
  }
  llvm_unreachable("all bases are named");
}

} // namespace

std::string codeSection(const Program &program, std::span<const Compiled> compiled) {
  flatbuffers::FlatBufferBuilder builder;
  std::vector<flatbuffers::Offset<artifact::CudaModule>> modules;
  std::vector<flatbuffers::Offset<artifact::CudaFunction>> functions;
  for (const auto &[module, made] : llvm::zip_equal(program.modules, compiled))
    modules.push_back(artifact::CreateCudaModule(
        builder, builder.CreateString(module.name), builder.CreateString(made.ptx),
        builder.CreateVector(reinterpret_cast<const uint8_t *>(made.cubin.data()),
                             made.cubin.size())));
  for (const KernelText &kernel : program.kernels) {
    const CompiledFunction made = compiled[kernel.module].function(kernel.name);
    functions.push_back(artifact::CreateCudaFunction(
        builder, builder.CreateString(kernel.name), static_cast<uint32_t>(kernel.module),
        static_cast<uint32_t>(kernel.shared), static_cast<uint32_t>(made.registers),
        static_cast<uint32_t>(made.local), kernel.persistent));
  }
  std::vector<flatbuffers::Offset<artifact::CudaBucket>> buckets;
  auto written = [&](const Launch &launch) {
    std::vector<artifact::CudaOperand> operands;
    for (const codegen::Operand &operand : launch.operands)
      operands.emplace_back(baseOf(operand.base), operand.index, operand.number);
    return artifact::CreateCudaLaunch(
        builder, static_cast<uint32_t>(launch.kernel), static_cast<uint32_t>(launch.dispatch),
        static_cast<uint32_t>(launch.max_workers), builder.CreateVectorOfStructs(operands));
  };
  for (const BucketLaunches &bucket : program.buckets) {
    std::vector<flatbuffers::Offset<artifact::CudaLaunch>> launches;
    for (const Launch &launch : bucket.launches)
      launches.push_back(written(launch));
    const auto persistent = bucket.persistent ? written(*bucket.persistent) : 0;
    buckets.push_back(artifact::CreateCudaBucket(builder, builder.CreateString(bucket.symbol),
                                                 builder.CreateVector(launches), persistent));
  }
  builder.Finish(
      artifact::CreateCudaCode(builder, QUERN_CUDA_ABI_VERSION, builder.CreateVector(modules),
                               builder.CreateVector(functions), builder.CreateVector(buckets)),
      artifact::CudaCodeIdentifier());
  return {reinterpret_cast<const char *>(builder.GetBufferPointer()), builder.GetSize()};
}

} // namespace quern::cuda
