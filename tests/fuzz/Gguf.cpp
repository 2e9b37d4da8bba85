// A GGUF file: metadata, tensors, and what families and tokenizers make of them. Each input is read
// as it is, and as the beginning of a file whose weights are zeros, so that small inputs can be
// models.
#include "frontends/gguf/GgufFile.h"
#include "frontends/gguf/GgufModel.h"
#include "tests/fuzz/Fuzz.h"
#include "tests/fuzz/UseWeights.h"

#include <absl/status/status.h>

namespace {

constexpr uint64_t kZeros = uint64_t{1} << 17;

void read_every_key(const std::string &path) {
  const auto file = quern::gguf::GgufFile::open(path);
  if (!file.ok())
    return;
  for (const std::string &key : file->keys()) {
    const int readable = file->get_int(key).ok() + file->get_float(key).ok() +
                         file->get_bool(key).ok() + file->get_string(key).ok() +
                         file->get_ints(key).ok() + file->get_floats(key).ok() +
                         file->get_bools(key).ok() + file->get_strings(key).ok();
    quern::fuzz::require(readable == 1, "a key is not of one type");
  }
}

} // namespace

void quern::fuzz::read(std::string_view bytes) {
  for (const uint64_t zeros : {uint64_t{0}, kZeros}) {
    const MemoryFile file(bytes, zeros);
    read_every_key(file.path());
    Problems problems;
    const LoadedModel model = gguf::load_model(file.path(), {}, problems);
    if (problems.empty())
      use_weights(model);
  }
}
