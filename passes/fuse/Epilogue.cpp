#include "passes/fuse/Epilogue.h"

using namespace mlir;

namespace quern {

/// The one op that uses `value`, seen through views; null if there are none or several.
static Operation *soleUser(Value value, bool &throughViews) {
  Operation *sole = nullptr;
  for (Operation *user : value.getUsers()) {
    if (user->hasTrait<View>()) {
      throughViews = true;
      if (user->use_empty())
        continue;
      user = soleUser(user->getResult(0), throughViews);
    }
    if (!user || (sole && sole != user))
      return nullptr;
    sole = user;
  }
  return sole;
}

EpilogueEnd growEpilogue(Value value, RegionOps &ops, EpilogueRule rule) {
  EpilogueEnd end;
  while (true) {
    bool throughViews = false;
    Operation *user = soleUser(value, throughViews);
    if (!user || !user->hasTrait<Elementwise>())
      return end;
    if (end.why = rule(user, value, throughViews); !end.why.empty()) {
      end.missed = user;
      return end;
    }
    ops.insert(user);
    ++end.fused;
    value = user->getResult(0);
  }
}

StringRef sameColumns(Operation *user, Value value, bool throughViews) {
  if (throughViews)
    return "it reads only some of the columns";
  if (user->getResult(0).getType() != value.getType())
    return "it broadcasts the result over more columns";
  return "";
}

} // namespace quern
