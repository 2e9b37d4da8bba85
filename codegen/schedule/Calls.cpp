// See Calls.h.
#include "codegen/schedule/Calls.h"

#include "ir/quern/AttributeNames.h"

using namespace mlir;

namespace quern::codegen {

// Without the order phase no dispatch has a barrier, which would read as a schedule that needs
// none.
FailureOr<std::vector<Call>> callsOf(func::FuncOp bucket, const SymbolTable &symbols) {
  if (!bucket->hasAttr(attrs::kBarriers))
    return bucket.emitError("has no `") << attrs::kBarriers << "`; the order phase sets it";
  return quern::callsOf(bucket, symbols);
}

bool isSingle(func::FuncOp bucket) {
  return bucket->getAttrOfType<IntegerAttr>(attrs::kMaxTokens).getInt() == 1 &&
         !bucket->hasAttr(attrs::kSized);
}

Form formOf(func::FuncOp bucket, const Call &call) {
  return call.last ? Form::Last : isSingle(bucket) ? Form::One : Form::Many;
}

std::string bucketSymbol(func::FuncOp bucket) {
  return ("quern_" + bucket->getAttrOfType<StringAttr>(attrs::kEntry).getValue() + "_" +
          bucket->getAttrOfType<StringAttr>(attrs::kBucket).getValue())
      .str();
}

} // namespace quern::codegen
