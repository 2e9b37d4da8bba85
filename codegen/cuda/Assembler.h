// NVIDIA's assembler, which makes a cubin of PTX: ptxas, a program of the CUDA toolkit. NVRTC has
// the same inside, but only behind its front end, which takes two thirds of the time and makes the
// same PTX for each architecture anew. Where ptxas is there, PTX is made once for all.
//
// It is looked for in the folders bin above the library NVRTC, in those of $CUDA_HOME and
// $CUDA_PATH, and in /usr/local/cuda/bin. Of another version than NVRTC it is left alone.
#ifndef QUERN_CODEGEN_CUDA_ASSEMBLER_H
#define QUERN_CODEGEN_CUDA_ASSEMBLER_H

#include <absl/status/statusor.h>

#include <optional>
#include <string>
#include <string_view>

namespace quern::cuda {

struct NvrtcLibrary;

struct Assembled {
  std::string cubin;
  std::string log; ///< what each function needs
};

class Assembler {
public:
  /// The program at `path`, if it runs and is of release `release`: "13.0".
  static std::optional<Assembler> at(const std::string &path, std::string_view release);

  /// What it says of itself: "Cuda compilation tools, release 13.0, V13.0.88".
  const std::string &version() const { return version_; }

  /// PTX, whose .target `arch` has to be. `lines`: the cubin says which line of the source each
  /// instruction is of, as the PTX does. May be called from several threads. Error: Internal, with
  /// what the assembler says.
  absl::StatusOr<Assembled> assemble(std::string_view ptx, std::string_view arch,
                                     bool lines = false) const;

private:
  Assembler(std::string path, std::string version)
      : path_(std::move(path)), version_(std::move(version)) {}

  std::string path_, version_;
};

/// NVRTC's; null if there is none. Found once, and kept for good.
const Assembler *assembler_of(const NvrtcLibrary &library);

} // namespace quern::cuda

#endif // QUERN_CODEGEN_CUDA_ASSEMBLER_H
