// The one builder: walks a decoder's recipe and writes import-phase IR.
#ifndef QUERN_FRONTENDS_RECIPE_BUILDER_H
#define QUERN_FRONTENDS_RECIPE_BUILDER_H

#include "frontends/recipe/Recipe.h"
#include "frontends/recipe/Source.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace quern::recipe {

/// The model as IR: weights by reference, states, and the entry
/// `@step(tokens [T], rows [R], batch) -> logits [R, vocab]`, or of an encoder
/// `@encode(tokens [T], types [T], batch) -> [B, columns]`, a row for each sequence (without types,
/// where tokens have but one). Each op's NameLoc is the model's name
/// for the module it belongs to. `decoder` has passed check(); the module verifies. Loads the
/// dialects it needs into `context`.
mlir::OwningOpRef<mlir::ModuleOp> build(const Decoder &decoder, const Source &source,
                                        mlir::MLIRContext &context);

/// Writes the stages of the encoding at `place`, into a module that has an entry of its own: what
/// they make of `rows`. `decoder` has nothing else; the module declares its weights, and their
/// files.
mlir::Value write_stages(const Decoder &decoder, const Source &source, mlir::ModuleOp module,
                         mlir::OpBuilder &place, mlir::Value rows);

} // namespace quern::recipe

#endif // QUERN_FRONTENDS_RECIPE_BUILDER_H
