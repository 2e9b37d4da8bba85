// Of a graph that is an encoder of text: the entry that gives a vector, or scores, for each
// sequence.
#ifndef QUERN_FRONTENDS_ENCODEENTRY_H
#define QUERN_FRONTENDS_ENCODEENTRY_H

#include "frontends/LoadedModel.h"

#include "mlir/IR/BuiltinOps.h"

namespace quern {

/// Adds `@encode(tokens [b, s], types [b, s]) -> [b, columns]` (without types, where `main` takes
/// none) to the module of a graph: main without its mask, since all sequences of a call are of one
/// length and no token is PAD, whose output number `loaded.encoded` is pooled and goes through the
/// encoding's stages. The module verifies.
void add_encode_entry(mlir::ModuleOp module, const LoadedModel &loaded);

} // namespace quern

#endif // QUERN_FRONTENDS_ENCODEENTRY_H
