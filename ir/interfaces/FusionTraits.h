// The C++ side of FusionTraits.td, which says what each trait means. Ask with
// op->hasTrait<quern::Elementwise>().
#ifndef QUERN_IR_INTERFACES_FUSIONTRAITS_H
#define QUERN_IR_INTERFACES_FUSIONTRAITS_H

#include "mlir/IR/OpDefinition.h"

namespace quern {
template <typename Op> class Elementwise : public mlir::OpTrait::TraitBase<Op, Elementwise> {};
template <typename Op> class RowWise : public mlir::OpTrait::TraitBase<Op, RowWise> {};
template <typename Op> class View : public mlir::OpTrait::TraitBase<Op, View> {};
template <typename Op> class Reference : public mlir::OpTrait::TraitBase<Op, Reference> {};
template <typename Op> class General : public mlir::OpTrait::TraitBase<Op, General> {};
template <typename Op> class Structure : public mlir::OpTrait::TraitBase<Op, Structure> {};
} // namespace quern

#endif // QUERN_IR_INTERFACES_FUSIONTRAITS_H
