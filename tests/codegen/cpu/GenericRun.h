// General kernels of textual IR, compiled to code of a variant and run on tensors.
#ifndef QUERN_TESTS_CODEGEN_CPU_GENERICRUN_H
#define QUERN_TESTS_CODEGEN_CPU_GENERICRUN_H

#include "runtime/abi/StepArgs.h"
#include "runtime/device/cpu/CodeObject.h"

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace quern::test {

/// The bytes of a tensor.
using Bytes = std::vector<uint8_t>;

template <class T> Bytes bytesOf(const std::vector<T> &values) {
  Bytes bytes(values.size() * sizeof(T));
  if (!bytes.empty())
    std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}
template <class T> std::vector<T> valuesOf(const Bytes &bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!bytes.empty())
    std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

class GenericRun {
public:
  /// `text`: aliases, then quern.kernels; `sizes`: those of the module, "b = 4 : i64". Failures end
  /// the test.
  static std::unique_ptr<GenericRun> create(const std::string &text, const std::string &sizes,
                                            const std::string &variant);
  /// Why there is no code for it: what is said of a kernel that generate() refuses.
  static std::string refusal(const std::string &text, const std::string &sizes);

  /// Results of so many bytes each. What lies behind a result stays as it was, or the test fails.
  /// Where they are asked for, `fault` is what the kernel found, and `after` the sizes as it left
  /// them.
  std::vector<Bytes> run(const std::string &kernel, const std::vector<Bytes> &inputs,
                         const std::vector<size_t> &results, const std::vector<int64_t> &sizes,
                         int workers, QuernFault *fault = nullptr,
                         std::vector<int64_t> *after = nullptr) const;
  /// Runs it once more on one worker, on memory that is there; for measurements.
  void run(const std::string &kernel, const std::vector<const void *> &inputs,
           const std::vector<void *> &results, const std::vector<int64_t> &sizes) const;

private:
  std::unique_ptr<device::CodeObject> code_;
};

} // namespace quern::test

#endif // QUERN_TESTS_CODEGEN_CPU_GENERICRUN_H
