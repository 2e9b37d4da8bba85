// The version of the PTX language that a text needs, so that older drivers take it.
#ifndef QUERN_CODEGEN_CUDA_PTXVERSION_H
#define QUERN_CODEGEN_CUDA_PTXVERSION_H

#include <string>
#include <string_view>

namespace quern::cuda {

/// A version: 74 is 7.4.
using PtxVersion = int;

/// The lowest version that knows the text's .target and all its instructions, by the table in
/// PtxVersion.cpp; the one it is stamped with where the table does not know one of them. 0 if the
/// text has no stamp.
PtxVersion lowest_version(std::string_view ptx);

/// The text, stamped with lowest_version(), without hints that would need a later one.
std::string with_lowest_version(std::string ptx);

/// The text for another architecture: "sm_90a".
std::string with_target(std::string ptx, std::string_view arch);

/// Which instruction, as it is written, keeps the text from a lower version than its stamp because
/// the table does not know it; empty if none does. For tests.
std::string unknown_instruction(std::string_view ptx);

} // namespace quern::cuda

#endif // QUERN_CODEGEN_CUDA_PTXVERSION_H
