// A small synthetic model compiled in this process, to be run by the engine and by the interpreter.
#ifndef QUERN_TESTS_CODEGEN_MODELS_COMPILEDMODEL_H
#define QUERN_TESTS_CODEGEN_MODELS_COMPILEDMODEL_H

#include "ir/reference/Interpreter.h"
#include "runtime/session/Engine.h"

#include "mlir/IR/OwningOpRef.h"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace quern::test {

/// What a model is compiled for, and how many slots its engines have.
struct Limits {
  int64_t tokens = 64, seqs = 4; ///< the most of a step
  uint64_t slots = 4;
};

class CompiledModel {
public:
  /// Whether state keeps no more than the layers' windows, or everything.
  enum class Windows { kept, ignored };

  /// Why a test with code of the variant cannot run here; empty if it can. `emulate`: where the CPU
  /// lacks its instructions they are emulated, which holds for products of integer weights alone.
  /// Code for a GPU is run by the device ptx.
  static std::string whyNotRun(const std::string &variant, bool emulate);

  /// Compiles a model for one variant of any target, or for several, separated by commas, of which
  /// those of a target stand together, a GPU's last: config.json's text, its weights made up, or
  /// NAME.mlir, a module of the import phase in modules/; `without` as --without has it. Where this
  /// CPU cannot run a variant of its own, its microkernels are those over emulated instructions,
  /// the code around them AVX2's. Failures end the test.
  static std::unique_ptr<CompiledModel>
  create(const std::string &model, const std::string &quant, const std::string &variants,
         Windows windows = Windows::kept, const std::string &kv = "f32",
         const std::string &without = "", const Limits &limits = {});
  /// The same up to the plan phase: without code, for tests that look at what code is made from.
  static std::unique_ptr<CompiledModel> plan(const std::string &model, const std::string &quant,
                                             const std::string &kv = "f32",
                                             const std::string &target = "cpu");
  ~CompiledModel();

  /// Whether the variant's instructions are emulated.
  bool emulated() const { return emulated_; }

  /// `threads` are a CPU's. On the device of the first target, cpu or ptx, unless one is named.
  std::unique_ptr<session::Engine> engine(int threads, uint64_t ctx = 256,
                                          const std::string &device = "") const;
  /// The interpreter on the module as codegen saw it: the same formats and roundings to int8.
  std::unique_ptr<reference::Interpreter> planned() const;
  /// The interpreter, in float64, on the module as it was imported.
  std::unique_ptr<reference::Interpreter> imported() const;
  int64_t vocab() const { return vocab_; }
  mlir::ModuleOp module() const { return *planned_.front(); } ///< as codegen saw it

private:
  bool import(const std::string &config);
  bool parse(const std::string &module);
  bool plan(const std::vector<std::string> &targets, const std::string &quant, Windows windows,
            const std::string &kv, const std::string &without);
  bool compile(const std::vector<std::string> &variants);
  static std::unique_ptr<CompiledModel> begin(const std::string &text);

  std::unique_ptr<mlir::MLIRContext> context_;
  mlir::OwningOpRef<mlir::ModuleOp> imported_;
  std::vector<mlir::OwningOpRef<mlir::ModuleOp>> planned_; // one a target
  std::string folder_, artifact_;
  int64_t vocab_ = 0, length_ = 0; ///< length: the model's context
  Limits limits_;
  bool emulated_ = false;
};

/// Feeds a sequence `chunk` tokens a step; returns the logits of each.
std::vector<float> feed(session::Engine &engine, session::SlotId slot,
                        std::span<const int32_t> tokens, size_t chunk);
/// The same for a sequence of its own, gone afterwards.
std::vector<float> feed(session::Engine &engine, std::span<const int32_t> tokens, size_t chunk);

} // namespace quern::test

#endif // QUERN_TESTS_CODEGEN_MODELS_COMPILEDMODEL_H
