// A file of a prefix cache, under the name of one that belongs there.
#include "runtime/artifact/Layout.h"
#include "runtime/session/Engine.h"
#include "tests/fuzz/Fuzz.h"
#include "tests/runtime/fake/FakeArtifact.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

namespace {

namespace fs = std::filesystem;
using quern::session::Engine;
using quern::session::PrefixCache;
using quern::session::SequenceStep;

/// Where StateStream.h has them.
constexpr size_t kHeaderBytes = 72, kFileSize = 40, kBodyChecksum = 56, kHeaderChecksum = 64;

const std::vector<int32_t> kPrompt(100, 5);

/// On the device that moves state and runs nothing, with a folder that holds the prompt.
struct Cached {
  std::string folder = quern::test::fresh_path("prefixes");
  std::unique_ptr<Engine> engine = *Engine::open(
      quern::test::write_fake("fuzz.quern", {.window = 70}), {.device = "null", .threads = 1});
  PrefixCache cache = engine->prefix_cache(folder, uint64_t{1} << 30);

  Cached() {
    quern::fuzz::require(cache.prepare().ok(), "no folder");
    save();
  }
  void save() {
    const auto slot = *engine->create_slot();
    const SequenceStep step{slot, std::span(kPrompt).first(99), quern::session::Rows::none};
    quern::fuzz::require(engine->step(std::span(&step, 1), {}).ok() &&
                             cache.save_point(slot).ok() && cache.save_rest(slot, 99).ok(),
                         "the prompt is not saved");
    quern::fuzz::require(engine->free_slot(slot).ok(), "the slot is not alive");
  }
};

void put(uint8_t *at, uint64_t value) { std::memcpy(at, &value, sizeof value); }

} // namespace

void quern::fuzz::read(std::string_view bytes) {
  static const auto cached = std::make_unique<Cached>();
  const bool page = bytes.starts_with("QUERNPG");
  for (const auto &entry : fs::directory_iterator(cached->folder))
    if (entry.path().extension() == (page ? ".page" : ".point")) {
      std::ofstream(entry.path(), std::ios::binary)
          .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
      break;
    }
  Engine &engine = *cached->engine;
  const auto slot = *engine.create_slot();
  const auto hit = cached->cache.find(slot, kPrompt);
  require(hit.tokens == engine.length(slot) && hit.tokens < kPrompt.size() &&
              std::ranges::equal(engine.tokens(slot), std::span(kPrompt).first(hit.tokens)),
          "what was found is not the prompt's beginning");
  std::vector<float> logits(engine.vocab());
  const SequenceStep step{slot, std::span(kPrompt).subspan(hit.tokens), session::Rows::last};
  require(engine.step(std::span(&step, 1), logits).ok(), "a prefix cannot go on");
  require(engine.free_slot(slot).ok(), "the slot is not alive");
  if (hit.tokens != 99) { // what is another prompt's stays, and nothing is written over it
    for (const auto &entry : fs::directory_iterator(cached->folder))
      fs::remove(entry.path());
    cached->save();
  }
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
