// Modules of one entry on tensors for tests, and calls of it.
#ifndef QUERN_TESTS_IR_REFERENCE_CALLMODULE_H
#define QUERN_TESTS_IR_REFERENCE_CALLMODULE_H

#include "ir/reference/Tensor.h"
#include "tests/ir/reference/TestModule.h"

#include "mlir/AsmParser/AsmParser.h"

#include <gmock/gmock.h>

#include <cstdint>
#include <string>
#include <vector>

namespace quern::reference {

/// `module` around `func.func @main`, with sizes a, b and s up to 100.
inline std::string main_text(const std::string &signature, const std::string &body,
                             const std::string &declarations = "") {
  return "module attributes {quern.sizes = {a = 100 : i64, b = 100 : i64, s = 100 : i64}} {\n" +
         declarations + "func.func @main" + signature + " {\n" + body + "\n}\n}\n";
}

/// A parsed module whose entry main is called.
class CallModule {
public:
  explicit CallModule(const std::string &text) : module_(text) {}

  mlir::ModuleOp get() { return module_.get(); }
  /// The element type that MLIR writes so.
  mlir::Type type(const std::string &text) {
    return mlir::parseType(text, module_.get().getContext());
  }
  Tensor floats(const std::string &element, std::vector<int64_t> shape,
                std::vector<double> values) {
    return {type(element), std::move(shape), std::move(values), {}};
  }
  Tensor ints(const std::string &element, std::vector<int64_t> shape, std::vector<int64_t> values) {
    return {type(element), std::move(shape), {}, std::move(values)};
  }

  absl::StatusOr<std::vector<Tensor>> call(const std::vector<Tensor> &inputs,
                                           bool float64 = false) {
    return module_.interpreter({.float64 = float64})->call("main", inputs);
  }
  /// The only result.
  Tensor result(const std::vector<Tensor> &inputs, bool float64 = false) {
    auto results = call(inputs, float64);
    if (!results.ok() || results->size() != 1) {
      ADD_FAILURE() << (results.ok() ? "not one result" : results.status().ToString());
      return {};
    }
    return std::move(results->front());
  }

  /// What a call fails with.
  std::string error(const std::vector<Tensor> &inputs) {
    const auto results = call(inputs);
    return results.ok() ? "no error" : std::string(results.status().message());
  }

private:
  TestModule module_;
};

/// Numbers from -3 to 3 in steps of a quarter, which sums hold exactly, other ones for each seed.
inline std::vector<double> quarters(int64_t count, uint64_t seed) {
  std::vector<double> values;
  for (int64_t i = 0; i < count; ++i) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    values.push_back(static_cast<double>((seed >> 33) % 25) / 4 - 3);
  }
  return values;
}

} // namespace quern::reference

#endif // QUERN_TESTS_IR_REFERENCE_CALLMODULE_H
