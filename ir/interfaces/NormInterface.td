// What passes and targets ask of a normalization, whatever its statistics.
#ifndef QUERN_IR_INTERFACES_NORMINTERFACE_TD
#define QUERN_IR_INTERFACES_NORMINTERFACE_TD

include "mlir/IR/OpBase.td"

def Quern_NormInterface : OpInterface<"NormOpInterface"> {
  let cppNamespace = "::quern";
  let description = [{
    Groups of a row's columns, each divided by the root of a mean of squares: of the columns themselves, or
    of what is left of them once their mean is taken away.
  }];
  let methods = [
    InterfaceMethod<"The rows that are normalized.", "::mlir::Value", "getInput">,
    InterfaceMethod<"What normalized columns are multiplied by: of a group's size, of all columns, or null.",
                    "::mlir::Value", "getWeight">,
    InterfaceMethod<"What is added last: of a group's size, of all columns, or null.", "::mlir::Value", "getBias">,
    InterfaceMethod<"What is added to the mean of squares, or to its root.", "::llvm::APFloat", "getEps">,
    InterfaceMethod<"Whether it is added to the root.", "bool", "addsEpsToRoot">,
    InterfaceMethod<"Columns that are normalized together.", "int64_t", "groupSize">,
    InterfaceMethod<"Whether a group's mean is taken away first.", "bool", "isCentered">,
  ];
}

#endif // QUERN_IR_INTERFACES_NORMINTERFACE_TD
