// A small model, lowered and run by the interpreter, for tests.
#ifndef QUERN_TESTS_FRONTENDS_ONNX_LOWERED_H
#define QUERN_TESTS_FRONTENDS_ONNX_LOWERED_H

#include "frontends/onnx/flatten/Flatten.h"
#include "frontends/onnx/lowering/Lowering.h"
#include "ir/quern/QuernDialect.h"
#include "ir/reference/Interpreter.h"
#include "tests/frontends/onnx/Reading.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "llvm/Support/raw_ostream.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace quern::onnx::test {

/// A model, lowered.
class Lowered {
public:
  explicit Lowered(const ModelProto &proto, const std::map<std::string, int64_t> &dims = {}) {
    context_.loadDialect<QuernDialect, mlir::func::FuncDialect>();
    model_ = read_sound(proto);
    const Inference inference = flatten(model_, problems_);
    const auto bounds = size_bounds(model_, inference, dims, problems_);
    EXPECT_TRUE(problems_.empty()) << text_of(problems_);
    module_ = lower(model_, inference, bounds, context_, problems_, notes_);
    if (module_) {
      EXPECT_TRUE(mlir::succeeded(mlir::verify(*module_)));
    }
  }

  std::string problems() const { return text_of(problems_); }
  const std::vector<std::string> &notes() const { return notes_; }

  mlir::ModuleOp module() { return *module_; }

  std::string text() {
    std::string text;
    llvm::raw_string_ostream stream(text);
    if (module_)
      module_->print(stream, mlir::OpPrintingFlags().enableDebugInfo());
    return text;
  }

  /// The first result for these inputs.
  reference::Tensor call(const std::vector<reference::Tensor> &inputs) {
    EXPECT_EQ(problems(), "");
    if (!module_)
      return {};
    auto interpreter = reference::Interpreter::create(*module_);
    EXPECT_TRUE(interpreter.ok());
    auto results = (*interpreter)->call("main", inputs);
    EXPECT_TRUE(results.ok()) << results.status();
    return results.ok() ? std::move(results->front()) : reference::Tensor{};
  }

  /// What a call with these inputs fails with.
  std::string error(const std::vector<reference::Tensor> &inputs) {
    EXPECT_EQ(problems(), "");
    if (!module_)
      return {};
    const auto results = (*reference::Interpreter::create(*module_))->call("main", inputs);
    return results.ok() ? "no error" : std::string(results.status().message());
  }

  reference::Tensor floats(std::vector<int64_t> shape, std::vector<double> values) {
    return {mlir::Float32Type::get(&context_), std::move(shape), std::move(values), {}};
  }
  reference::Tensor ints(unsigned bits, std::vector<int64_t> shape, std::vector<int64_t> values) {
    return {mlir::IntegerType::get(&context_, bits), std::move(shape), {}, std::move(values)};
  }

private:
  mlir::MLIRContext context_{mlir::MLIRContext::Threading::DISABLED};
  Problems problems_;
  std::vector<std::string> notes_;
  Model model_;
  mlir::OwningOpRef<mlir::ModuleOp> module_;
};

} // namespace quern::onnx::test

#endif // QUERN_TESTS_FRONTENDS_ONNX_LOWERED_H
