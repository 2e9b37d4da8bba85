// The code section of a CUDA variant of the fake model, as numbers that a test may change.
#ifndef QUERN_TESTS_RUNTIME_FAKE_FAKECODE_H
#define QUERN_TESTS_RUNTIME_FAKE_FAKECODE_H

#include "runtime/artifact/cuda_code_generated.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace quern::test {

struct FakeOptions;

struct FakeCode {
  struct Module {
    std::string name, ptx;
    std::vector<uint8_t> cubin;
  };
  struct Function {
    std::string name;
    uint32_t module = 0, shared = 0;
    bool persistent = false;
  };
  struct Operand {
    artifact::CudaBase base = artifact::CudaBase::number;
    uint32_t index = 0;
    int64_t number = 0;
  };
  struct Launch {
    uint32_t function = 0, dispatch = 0, max_workers = 1;
    std::vector<Operand> operands;
  };
  struct Bucket {
    std::string symbol;
    std::vector<Launch> launches;
    std::optional<Launch> persistent;
  };
  uint32_t abi_version = 0;
  std::vector<Module> modules;
  std::vector<Function> functions;
  std::vector<Bucket> buckets;
};

// Two launches a bucket of `step`, and in `decode1` a persistent one that does both; one of `main`.
FakeCode fake_code(const FakeOptions &options);
std::vector<uint8_t> serialize(const FakeCode &code);

} // namespace quern::test

#endif // QUERN_TESTS_RUNTIME_FAKE_FAKECODE_H
