// NVIDIA's runtime compiler (NVRTC), which makes PTX and a cubin of CUDA C++. It is looked for when
// it is first asked for and loaded by dlopen: nothing but the target cuda needs it.
//
// It is looked for, in this order,
//   in $QUERN_NVRTC, a library or a folder that holds one;
//   where scripts/get-nvrtc puts it: .nvrtc, in the tree that the program was built in;
//   by name, as the system's loader looks (libnvrtc.so.13, .12);
//   in $CUDA_HOME, $CUDA_PATH and the toolkit's usual folders;
//   in the environments $VIRTUAL_ENV and $CONDA_PREFIX, and among the packages of the user's and
//   the system's Python (what pip leaves in ~/.local and /usr/local).
// The first that is new enough and compiles an empty kernel is taken.
// Where the toolkit's assembler is, too (Assembler.h), NVRTC makes PTX alone, once for all
// architectures.
#ifndef QUERN_CODEGEN_CUDA_NVRTC_H
#define QUERN_CODEGEN_CUDA_NVRTC_H

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace quern::cuda {

/// The oldest version that does: 12.4, which is Debian 13's. Before 12.0 there is no C++20 and no
/// compute capability 9.0a; 12.0 does not read ir/formats/Half.h.
inline constexpr int kOldestNvrtcMajor = 12, kOldestNvrtcMinor = 4;

/// What a __global__ function needs, as the assembler says.
struct CompiledFunction {
  std::string name;
  int registers = 0; ///< of a thread
  int shared = 0;    ///< static shared memory of a block, in bytes
  int local = 0;     ///< the stack of a thread, in bytes: 0 unless something spills or is indexed
  int spilled = 0;   ///< bytes of it that spilled registers are stored to and loaded from

  bool operator==(const CompiledFunction &) const = default;
};

/// A translation unit, compiled for one architecture.
struct Compiled {
  std::string ptx;   ///< stamped with the lowest version that its instructions have (PtxVersion.h)
  std::string cubin; ///< what the assembler made of that PTX
  std::vector<CompiledFunction> functions;  ///< in the order of their names
  int registers = 0, shared = 0, local = 0; ///< the most of any of them

  /// One of them, by its name; of zeros where there is none such.
  CompiledFunction function(std::string_view name) const;

  bool operator==(const Compiled &) const = default;
};

/// What is to be compiled. The headers of DeviceHeaders.h can be included, and nothing else. A
/// source that asks for the macro QUERN_RESIDENT, blocks that a multiprocessor is to hold at once,
/// may have a number of its own (`#ifndef QUERN_RESIDENT`); where registers spill at that, it is
/// given 2, and then 1.
struct CompileJob {
  std::string_view name;   ///< "linear_0_many": its lines are those of linear_0_many.cu in errors
  std::string_view source; ///< CUDA C++
  std::string_view arch;   ///< "sm_80", "sm_90a"
};

struct CompileOptions {
  int threads = 1; ///< jobs that are worked on at a time
  std::string cache =
      {};             ///< a folder of what was compiled before (CodeCache.h); empty: none is used
  bool lines = false; ///< the PTX says which line of the source each instruction is of
  bool assembler = true; ///< false: NVRTC makes all, even where there is an assembler. For tests
};

/// Whether there is a compiler that is new enough. Error: FailedPrecondition, with what to install.
absl::Status available();

/// The version that is loaded: "13.0". Error: as available().
absl::StatusOr<std::string> nvrtc_version();

/// Compiles them, in parallel, and returns the results in their order: the same bytes with a cache
/// or without, alone or beside others. (Without the assembler, cubins differ in a note of what made
/// them.) May be called from several threads. Errors: as available();
/// Internal, with the compiler's first error and its line.
absl::StatusOr<std::vector<Compiled>> compile_all(std::span<const CompileJob> jobs,
                                                  const CompileOptions &options = {});

absl::StatusOr<Compiled> compile(std::string_view source, std::string_view name,
                                 std::string_view arch, const CompileOptions &options = {});

} // namespace quern::cuda

#endif // QUERN_CODEGEN_CUDA_NVRTC_H
