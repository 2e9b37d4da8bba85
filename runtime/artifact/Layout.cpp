#include "runtime/artifact/Layout.h"

#include <xxhash.h>

namespace quern::artifact {

uint64_t checksum(const void *data, size_t size) { return XXH3_64bits(data, size); }

uint64_t header_checksum(const FileHeader &header) {
  return checksum(&header, offsetof(FileHeader, header_checksum));
}

struct Checksum::State {
  struct Free {
    void operator()(XXH3_state_t *state) const { XXH3_freeState(state); }
  };
  // xxhash allocates it with the 64-byte alignment it needs.
  std::unique_ptr<XXH3_state_t, Free> xxh{XXH3_createState()};
};

Checksum::Checksum() : state_(std::make_unique<State>()) { XXH3_64bits_reset(state_->xxh.get()); }
Checksum::~Checksum() = default;

void Checksum::add(const void *data, size_t size) {
  XXH3_64bits_update(state_->xxh.get(), data, size);
}

uint64_t Checksum::value() const { return XXH3_64bits_digest(state_->xxh.get()); }

} // namespace quern::artifact
