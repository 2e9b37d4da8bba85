// The C++ side of NormInterface.td: NormOpInterface, which rms_norm and layer_norm have.
#ifndef QUERN_IR_INTERFACES_NORMINTERFACE_H
#define QUERN_IR_INTERFACES_NORMINTERFACE_H

#include "mlir/IR/OpDefinition.h"

#include "ir/quern/NormInterface.h.inc"

#endif // QUERN_IR_INTERFACES_NORMINTERFACE_H
