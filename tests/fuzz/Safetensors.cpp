// A safetensors file: its header, and where it says that tensors lie.
#include "frontends/hf/Safetensors.h"

#include "tests/fuzz/Fuzz.h"

#include <span>

void quern::fuzz::read(std::string_view bytes) {
  const auto tensors = hf::parse_safetensors(std::as_bytes(std::span(bytes)), "model.safetensors");
  if (!tensors.ok())
    return;
  uint64_t covered = 0;
  for (const hf::SafeTensor &tensor : *tensors) {
    require(tensor.offset <= bytes.size() && tensor.bytes <= bytes.size() - tensor.offset,
            "a tensor lies outside its file");
    covered += tensor.bytes;
  }
  require(covered < bytes.size(), "tensors overlap");
}
