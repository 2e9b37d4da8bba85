// A folder of prompts' beginnings: what is found is what was computed, or nothing.
#include "runtime/session/Engine.h"
#include "tests/runtime/fake/FakeArtifact.h"
#include "tests/runtime/fake/FakeModel.h"
#include "tests/runtime/session/Sequences.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <random>
#include <thread>

namespace quern::session {
namespace {

namespace fs = std::filesystem;
using test::fake_logits;
using test::random_tokens;
using testing::HasSubstr;

constexpr uint64_t kMany = uint64_t{1} << 40;

// Only what grows, only a window beside it, only fixed-size beside it, all three.
struct Kind {
  bool recurrent;
  uint32_t window;
  uint32_t max_tokens = 16;
  bool needs_points() const { return recurrent || window != 0; }
};
constexpr Kind kKinds[] = {{false, 0}, {false, 100}, {true, 0}, {true, 100}};

// One process: an engine, and its view of the folder.
struct Process {
  Kind kind;
  std::unique_ptr<Engine> engine;
  PrefixCache cache;

  Process(const Kind &kind, const std::string &folder, uint64_t bytes = kMany,
          uint64_t checkpoints = 20000)
      : kind(kind), engine(open(kind, checkpoints)), cache(engine->prefix_cache(folder, bytes)) {
    EXPECT_TRUE(cache.prepare().ok());
  }
  static std::unique_ptr<Engine> open(const Kind &kind, uint64_t checkpoints) {
    // The same name for each kind, so that they differ by what is in them.
    const std::string path = test::fresh_path("prefix.quern") + std::to_string(kind.recurrent) +
                             std::to_string(kind.window) + "-" + std::to_string(kind.max_tokens);
    const auto bytes = test::fake_artifact({.context = 3000,
                                            .max_tokens = kind.max_tokens,
                                            .recurrent = kind.recurrent,
                                            .window = kind.window,
                                            .prefill_tokens = kind.max_tokens});
    static std::mutex mutex;
    const std::lock_guard lock(mutex);
    if (!fs::exists(path))
      std::ofstream(path, std::ios::binary)
          .write(reinterpret_cast<const char *>(bytes.data()), static_cast<int64_t>(bytes.size()));
    auto engine = Engine::open(path, {.checkpoints = checkpoints, .threads = 1});
    EXPECT_TRUE(engine.ok()) << engine.status();
    return *std::move(engine);
  }

  // What run does with a prompt; holds the logits against those of a model that starts anew.
  PrefixHit run(std::span<const int32_t> prompt) {
    const SlotId slot = *engine->create_slot();
    const PrefixHit hit = cache.find(slot, prompt);
    EXPECT_EQ(engine->length(slot), hit.tokens);
    EXPECT_LT(hit.tokens, prompt.size());
    std::vector<float> logits(engine->vocab());
    auto feed = [&](std::span<const int32_t> tokens, Rows rows) {
      const SequenceStep step{slot, tokens, rows};
      if (!tokens.empty())
        EXPECT_TRUE(engine->step(std::span(&step, 1), logits).ok());
    };
    feed(prompt.subspan(hit.tokens, prompt.size() - 1 - hit.tokens), Rows::none);
    EXPECT_TRUE(cache.save_point(slot).ok());
    feed(prompt.last(1), Rows::last);
    EXPECT_EQ(logits, fake_logits(prompt, kind.recurrent, kind.window)) << hit.tokens;
    EXPECT_TRUE(cache.save_rest(slot, prompt.size() - 1).ok());
    EXPECT_TRUE(engine->free_slot(slot).ok());
    return hit;
  }
};

std::vector<fs::path> files(const std::string &folder) {
  std::vector<fs::path> all;
  for (const auto &entry : fs::directory_iterator(folder))
    all.push_back(entry.path());
  std::ranges::sort(all);
  return all;
}

uint64_t bytes_in(const std::string &folder) {
  uint64_t total = 0;
  for (const fs::path &file : files(folder))
    total += fs::file_size(file);
  return total;
}

// Tests that a prompt that was there before skips all but its last token, in another process, and
// one that goes on after it what it has of it, for each kind of state.
TEST(PrefixCache, TheSamePromptIsAHit) {
  for (const Kind &kind : kKinds)
    for (const size_t size : {2u, 3u, 63u, 64u, 65u, 66u, 129u, 400u, 700u}) {
      const std::string folder = test::fresh_path("cache");
      std::mt19937 random(static_cast<uint32_t>(size));
      auto tokens = random_tokens(random, size);
      EXPECT_EQ(Process(kind, folder).run(tokens).tokens, 0u);
      const PrefixHit hit = Process(kind, folder).run(tokens);
      EXPECT_EQ(hit.tokens, size - 1) << hit.why;
      EXPECT_EQ(hit.why, "");
      const auto more = random_tokens(random, 90);
      tokens.insert(tokens.end(), more.begin(), more.end());
      EXPECT_EQ(Process(kind, folder).run(tokens).tokens, size - 1);
      EXPECT_EQ(Process(kind, folder).run(tokens).tokens, size + 89);
    }
}

// Tests that prompts which part somewhere share what lies before: to the page where state goes back
// anywhere, to the checkpoint where it does not.
TEST(PrefixCache, PromptsShareWhatTheyBeginWith) {
  for (const Kind &kind : kKinds)
    for (const size_t shared : {10u, 64u, 255u, 256u, 300u, 515u, 640u}) {
      const std::string folder = test::fresh_path("cache");
      std::mt19937 random(static_cast<uint32_t>(shared));
      const auto tokens = random_tokens(random, 700);
      auto other = random_tokens(random, 700);
      std::copy_n(tokens.begin(), shared, other.begin());
      other[shared] = (tokens[shared] + 1) % FAKE_VOCAB;
      Process process(kind, folder);
      ASSERT_TRUE(!kind.needs_points() || process.engine->checkpoints().spacing == 256);
      EXPECT_EQ(process.run(tokens).tokens, 0u);
      const uint64_t step = kind.needs_points() ? 256 : 64;
      EXPECT_EQ(Process(kind, folder).run(other).tokens, shared / step * step);
    }
}

// Tests that what one artifact saved another of the same model goes on from, whatever its steps
// are.
TEST(PrefixCache, ArtifactsOfTheSameModelShare) {
  std::mt19937 random(3);
  const auto tokens = random_tokens(random, 700);
  for (Kind kind : kKinds) {
    const std::string folder = test::fresh_path("cache");
    EXPECT_EQ(Process(kind, folder).run(tokens).tokens, 0u);
    kind.max_tokens = 8;
    EXPECT_EQ(Process(kind, folder).run(tokens).tokens, tokens.size() - 1);
  }
}

// Tests that a miss says why, and a hit that could be longer, too.
TEST(PrefixCache, SaysWhy) {
  std::mt19937 random(1);
  const auto tokens = random_tokens(random, 300), others = random_tokens(random, 300);
  const std::string folder = test::fresh_path("cache");
  const Kind kv{false, 0}, recurrent{true, 0};
  EXPECT_THAT(Process(kv, folder).run(tokens).why, HasSubstr("nothing is saved there yet"));
  EXPECT_THAT(Process(kv, folder).run(others).why, HasSubstr("begins with the same 64 tokens"));
  EXPECT_THAT(Process(recurrent, folder).run(tokens).why, HasSubstr("other models"));
  EXPECT_THAT(Process(kv, folder).run(std::vector<int32_t>{1}).why, HasSubstr("one token"));
  auto parted = tokens;
  parted[250] ^= 1;
  PrefixHit hit = Process(kv, folder).run(parted);
  EXPECT_EQ(hit.tokens, 192u);
  EXPECT_THAT(hit.why, HasSubstr("what follows was not saved"));
  hit = Process(recurrent, folder).run(parted);
  EXPECT_EQ(hit.tokens, 0u);
  EXPECT_THAT(hit.why,
              HasSubstr("first 192 of its tokens have kv state there, but recurrent or window "
                        "state was saved nowhere among them"));
  EXPECT_FALSE(Process::open(kv, 0)->prefix_cache("/dev/null", kMany).prepare().ok());
}

// Tests that damage in any file, whoever did it, is a miss of what is damaged and never a wrong
// answer, and that the file goes.
TEST(PrefixCache, DamagedFilesAreRemoved) {
  std::mt19937 random(2);
  const auto tokens = random_tokens(random, 150);
  for (const Kind &kind : kKinds) {
    const std::string folder = test::fresh_path("cache"), copy = test::fresh_path("damaged");
    Process(kind, folder).run(tokens);
    Process process(kind, copy);
    for (const fs::path &file : files(folder)) {
      const auto good = test::read_file(file);
      for (size_t i = 0; i <= good.size(); i += i < 80 ? 3 : 61) {
        fs::remove_all(copy);
        fs::copy(folder, copy);
        auto bad = good;
        if (i == good.size())
          bad.resize(i / 2);
        else
          bad[i] ^= static_cast<uint8_t>(1u << (i % 8));
        const std::string path = copy + "/" + file.filename().string();
        std::ofstream(path, std::ios::binary)
            .write(reinterpret_cast<const char *>(bad.data()), static_cast<int64_t>(bad.size()));
        const PrefixHit hit = process.run(tokens);
        ASSERT_LT(hit.tokens, 149u) << path << ", byte " << i;
        EXPECT_THAT(hit.why, testing::AllOf(HasSubstr(file.filename()), HasSubstr("is removed")));
        EXPECT_EQ(process.run(tokens).tokens, 149u) << "and it is written again";
      }
    }
  }
}

// Tests that two prompts whose hashes are one are still two: the file of another prompt under this
// one's name is not taken for its own.
TEST(PrefixCache, TokensDecideNotHashes) {
  std::mt19937 random(3);
  const auto tokens = random_tokens(random, 40), others = random_tokens(random, 40);
  for (const Kind &kind : {Kind{false, 0}, Kind{true, 0}}) {
    const std::string a = test::fresh_path("a"), b = test::fresh_path("b");
    Process(kind, a).run(tokens);
    Process(kind, b).run(others);
    ASSERT_EQ(files(a).size(), 1u);
    ASSERT_EQ(files(b).size(), 1u);
    fs::copy_file(files(b)[0], files(a)[0], fs::copy_options::overwrite_existing);
    EXPECT_EQ(Process(kind, a).run(tokens).tokens, 0u);
    EXPECT_EQ(files(a).size(), 1u) << "it is another prompt's, and stays";
  }
}

// Tests that the folder keeps to its limit, that what was used longest ago goes first, and that
// what others put there stays.
TEST(PrefixCache, KeepsToItsLimit) {
  for (const Kind &kind : kKinds) {
    const std::string folder = test::fresh_path("cache");
    std::mt19937 random(4);
    const auto kept = random_tokens(random, 100);
    constexpr uint64_t kLimit = 20000;
    Process process(kind, folder, kLimit);
    std::ofstream(folder + "/notes.txt") << "mine";
    process.run(kept);
    for (int i = 0; i < 40; ++i) {
      process.run(random_tokens(random, 100 + random() % 200));
      EXPECT_LE(bytes_in(folder), kLimit + 4);
      EXPECT_EQ(process.run(kept).tokens, 99u) << "it was used a moment ago";
    }
    EXPECT_TRUE(fs::exists(folder + "/notes.txt"));
    Process tight(kind, folder, 100);
    tight.run(random_tokens(random, 100));
    EXPECT_EQ(bytes_in(folder), 4u);
  }
}

// Tests processes that write, read and remove in one folder at the same time: whatever one finds is
// right.
TEST(PrefixCache, ManyAtOnce) {
  const std::string folder = test::fresh_path("cache");
  std::mt19937 random(5);
  std::vector<std::vector<int32_t>> prompts;
  for (int i = 0; i < 6; ++i) {
    prompts.push_back(random_tokens(random, 40 + random() % 300));
    if (i % 2)
      std::copy_n(prompts[i - 1].begin(), 40, prompts[i].begin());
  }
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      Process process(kKinds[t % 2 == 0 ? 0 : 3], folder, 30000);
      std::mt19937 mine(t);
      for (int i = 0; i < 60; ++i)
        process.run(prompts[mine() % prompts.size()]);
    });
  for (std::thread &thread : threads)
    thread.join();
  for (const fs::path &file : files(folder))
    EXPECT_EQ(file.string().find("quern-partial"), std::string::npos);
}

} // namespace
} // namespace quern::session
