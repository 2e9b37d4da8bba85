// A .npy file, as --input and --tokens-file take them.
#include "runtime/cli/Npy.h"

#include "runtime/artifact/Artifact.h"
#include "tests/fuzz/Fuzz.h"

void quern::fuzz::read(std::string_view bytes) {
  const MemoryFile file(bytes);
  const auto array = cli::read_npy(file.path());
  if (!array.ok())
    return;
  uint64_t size = artifact::element_bytes(array->type);
  for (const int64_t dim : array->shape)
    size *= static_cast<uint64_t>(dim);
  require(size == array->bytes.size(), "an array's shape is not its size");
}
