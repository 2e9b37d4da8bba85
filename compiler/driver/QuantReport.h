// `--quant-report`: what quantization did to each weight.
#ifndef QUERN_COMPILER_DRIVER_QUANTREPORT_H
#define QUERN_COMPILER_DRIVER_QUANTREPORT_H

#include "ir/formats/Format.h"

#include "mlir/IR/BuiltinOps.h"

#include <absl/status/status.h>

#include <string>
#include <vector>

namespace quern::driver {

/// What weights of fewer bits would be stored as if they were given more.
inline constexpr char kNextFormat[] = "int8";

/// Writes {"weights":[{"name","from","format","packing","shape","bytes","bits_per_weight","rmse",
/// "max_error","relative_error"}],"bytes":..,"bits_per_weight":..} to `path`; `errors` are one for
/// each of packed_in_order(). A weight that was not converted has errors of 0. One that was, to
/// fewer bits than int8's, has "int8": {"bytes","relative_error"} as well, from `in_int8`: what it
/// would be.
absl::Status write_quant_report(const std::string &path, mlir::ModuleOp planned,
                                const std::vector<formats::ErrorStats> &errors,
                                const std::vector<formats::ErrorStats> &in_int8);

} // namespace quern::driver

#endif // QUERN_COMPILER_DRIVER_QUANTREPORT_H
