// A small synthetic model compiled in this process, to be run by the engine and by the interpreter.
#ifndef QUERN_TESTS_CODEGEN_CPU_COMPILEDMODEL_H
#define QUERN_TESTS_CODEGEN_CPU_COMPILEDMODEL_H

#include "ir/reference/Interpreter.h"
#include "runtime/session/Engine.h"

#include "mlir/IR/OwningOpRef.h"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace quern::test {

class CompiledModel {
public:
  /// Whether state keeps no more than the layers' windows, or everything.
  enum class Windows { kept, ignored };

  /// Compiles a model for one variant: config.json's text, its weights made up, or NAME.mlir, a
  /// module of the import phase in modules/; `without` as --without has it. Failures end the test.
  static std::unique_ptr<CompiledModel> create(const std::string &model, const std::string &quant,
                                               const std::string &variant,
                                               Windows windows = Windows::kept,
                                               const std::string &kv = "f32",
                                               const std::string &without = "");
  ~CompiledModel();

  /// Whether this machine can run the variant.
  bool runs() const { return runs_; }

  std::unique_ptr<session::Engine> engine(int threads, uint64_t ctx = 256) const;
  /// The interpreter on the module as codegen saw it: the same formats and roundings to int8.
  std::unique_ptr<reference::Interpreter> planned() const;
  /// The interpreter, in float64, on the module as it was imported.
  std::unique_ptr<reference::Interpreter> imported() const;
  int64_t vocab() const { return vocab_; }
  mlir::ModuleOp module() const { return *planned_; } ///< as codegen saw it

private:
  bool import(const std::string &config);
  bool parse(const std::string &module);
  bool compile(const std::string &quant, Windows windows, const std::string &kv,
               const std::string &without);

  std::unique_ptr<mlir::MLIRContext> context_;
  mlir::OwningOpRef<mlir::ModuleOp> imported_, planned_;
  std::string folder_, artifact_, variant_;
  int64_t vocab_ = 0, length_ = 0; ///< length: the model's context
  bool runs_ = false;
};

/// Feeds a sequence `chunk` tokens a step; returns the logits of each.
std::vector<float> feed(session::Engine &engine, session::SlotId slot,
                        std::span<const int32_t> tokens, size_t chunk);
/// The same for a sequence of its own, gone afterwards.
std::vector<float> feed(session::Engine &engine, std::span<const int32_t> tokens, size_t chunk);

} // namespace quern::test

#endif
