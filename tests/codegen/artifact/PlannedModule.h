// A small module as the plan phase leaves it, written by hand, for tests of the writer.
#ifndef QUERN_TESTS_CODEGEN_ARTIFACT_PLANNEDMODULE_H
#define QUERN_TESTS_CODEGEN_ARTIFACT_PLANNEDMODULE_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <string>

namespace quern::testing_support {

/// Its text. Weights: one that is looked up (as stored), two siblings merged and converted to int8,
/// a vector mapped by add_one, two vectors joined.
extern const char *const kPlannedModule;

/// Parses it into `context`, with `from` replaced by `to` where they are given.
mlir::OwningOpRef<mlir::ModuleOp> planned_module(mlir::MLIRContext &context,
                                                 const std::string &from = {},
                                                 const std::string &to = {});

} // namespace quern::testing_support

#endif // QUERN_TESTS_CODEGEN_ARTIFACT_PLANNEDMODULE_H
