// A saved state, loaded into an engine that then goes on from it.
#include "runtime/artifact/Layout.h"
#include "runtime/session/Engine.h"
#include "tests/fuzz/Fuzz.h"
#include "tests/runtime/fake/FakeArtifact.h"

#include <cstddef>
#include <cstring>
#include <random>

namespace {

using quern::session::Engine;

/// Where StateFile.h has them.
constexpr size_t kHeaderBytes = 72, kFileSize = 40, kBodyChecksum = 56, kHeaderChecksum = 64;

/// On the device that moves state and runs nothing: what is read here never gets to code.
Engine &engine() {
  static const std::unique_ptr<Engine> opened = [] {
    auto result = Engine::open(quern::test::write_fake("fuzz.quern", {.window = 70}),
                               {.device = "null", .slots = 2, .checkpoints = 10000, .threads = 1});
    quern::fuzz::require(result.ok(), "the fake model cannot be opened");
    return *std::move(result);
  }();
  return *opened;
}

void put(uint8_t *at, uint64_t value) { std::memcpy(at, &value, sizeof value); }

} // namespace

void quern::fuzz::read(std::string_view bytes) {
  const MemoryFile file(bytes);
  const auto slot = engine().load_state(file.path());
  if (!slot.ok())
    return;
  require(engine().length(*slot) <= engine().ctx(), "a state is longer than the context");
  const int32_t tokens[] = {1, 2, 3};
  std::vector<float> logits(3 * engine().vocab());
  const session::SequenceStep step{*slot, tokens, session::Rows::all};
  const bool room = engine().ctx() - engine().length(*slot) >= 3;
  require(engine().step(std::span(&step, 1), logits).ok() == room,
          "a loaded state cannot go on, or goes on beyond the context");
  require(engine().truncate(*slot, engine().length(*slot) / 2).ok(),
          "a loaded state cannot go back");
  require(engine().free_slot(*slot).ok(), "a loaded slot is not alive");
}

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/// Checksums that are right most of the time, so that what they guard is reached.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
                                          unsigned seed) {
  size = LLVMFuzzerMutate(data, size, max_size);
  if (size < kHeaderBytes || std::minstd_rand(seed)() % 8 == 0)
    return size;
  put(data + kFileSize, size);
  put(data + kBodyChecksum, quern::artifact::checksum(data + kHeaderBytes, size - kHeaderBytes));
  put(data + kHeaderChecksum, quern::artifact::checksum(data, kHeaderChecksum));
  return size;
}
