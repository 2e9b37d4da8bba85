// kv groups of a window: sequences many times longer, in memory that does not grow with them.
#include "runtime/session/Engine.h"
#include "tests/runtime/fake/FakeArtifact.h"
#include "tests/runtime/fake/FakeModel.h"
#include "tests/runtime/session/Sequences.h"
#include "tests/support/AllocationMeter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <random>

namespace quern::session {
namespace {

using test::fake_logits;
using test::fake_logits_of_all;
using test::feed;
using test::message;
using test::random_tokens;
using testing::HasSubstr;

constexpr uint64_t kStep = 16; // the fake model's max_tokens
constexpr uint32_t kWindows[] = {1, 2, 49, 50, 64, 65, 100};

test::FakeOptions windowed(uint32_t window) {
  return {.context = 3000, .recurrent = false, .window = window};
}

std::unique_ptr<Engine> open(uint32_t window, const EngineOptions &options) {
  auto engine = Engine::open(test::write_fake("window.quern", windowed(window)), options);
  EXPECT_TRUE(engine.ok()) << engine.status();
  return engine.ok() ? *std::move(engine) : nullptr;
}

// Tests that a sequence many times longer than the window reads what it must, however it is cut
// into steps: each token's own window, and never a page that was given back.
TEST(Window, LongSequencesInAnySteps) {
  std::mt19937 random(1);
  const auto tokens = random_tokens(random, 700);
  for (uint32_t window : kWindows) {
    const std::vector<float> expected = fake_logits_of_all(tokens, false, window);
    auto engine = open(window, {.ctx = 700, .threads = 1});
    for (size_t chunk : {1u, 3u, 16u, 17u, 64u, 700u}) {
      const SlotId slot = *engine->create_slot();
      std::vector<float> logits;
      for (size_t i = 0; i < tokens.size(); i += chunk)
        for (float logit :
             feed(*engine, slot, std::span(tokens).subspan(i, std::min(chunk, tokens.size() - i)),
                  Rows::all))
          logits.push_back(logit);
      EXPECT_EQ(logits, expected) << "window " << window << ", chunks of " << chunk;
      ASSERT_TRUE(engine->free_slot(slot).ok());
    }
  }
}

// Tests that state does not grow with the context beyond the window, and that a step takes no other
// memory than was taken when the engine opened.
TEST(Window, MemoryIsBounded) {
  std::mt19937 random(2);
  const auto tokens = random_tokens(random, 3000);
  // A page of 512 bytes for the window's group: 100 + 16 - 1 positions touch 3. 256 for the other.
  EXPECT_EQ(open(100, {.ctx = 640, .slots = 2})->memory().state, 2u * (3 * 512 + 10 * 256));
  EXPECT_EQ(open(100, {.ctx = 64, .slots = 2})->memory().state, 2u * (512 + 256));
  auto engine = open(100, {.ctx = 3000, .threads = 1});
  EXPECT_EQ(engine->memory().state, 3u * 512 + 47 * 256);
  const SlotId slot = *engine->create_slot();
  std::vector<float> logits(engine->vocab());
  const size_t before = testing_support::allocated_bytes();
  for (size_t i = 0; i < tokens.size(); i += 10) {
    const SequenceStep step{slot, std::span(tokens).subspan(i, 10), Rows::last};
    ASSERT_TRUE(engine->step(std::span(&step, 1), logits).ok());
  }
  EXPECT_EQ(testing_support::allocated_bytes(), before);
  EXPECT_EQ(logits, fake_logits(tokens, false, 100));
}

// Tests a ragged batch whose sequences are at different places of their windows.
TEST(Window, RaggedBatches) {
  std::mt19937 random(3);
  auto engine = open(50, {.ctx = 1000, .slots = 4});
  std::vector<std::vector<int32_t>> sequences;
  std::vector<SlotId> slots;
  for (size_t length : {1, 300, 64, 127}) {
    sequences.push_back(random_tokens(random, length));
    slots.push_back(*engine->create_slot());
    feed(*engine, slots.back(), sequences.back());
  }
  for (int round = 0; round < 60; ++round) {
    std::vector<std::vector<int32_t>> more;
    for (size_t i = 0; i < slots.size(); ++i)
      more.push_back(random_tokens(random, 1 + random() % 7));
    std::vector<SequenceStep> batch;
    std::vector<float> expected;
    for (size_t i = 0; i < slots.size(); ++i) {
      batch.push_back({slots[i], more[i], Rows::last});
      sequences[i].insert(sequences[i].end(), more[i].begin(), more[i].end());
      for (float logit : fake_logits(sequences[i], false, 50))
        expected.push_back(logit);
    }
    std::vector<float> logits(expected.size());
    ASSERT_TRUE(engine->step(batch, logits).ok());
    ASSERT_EQ(logits, expected) << round;
  }
}

// Tests thousands of random creations, forks, truncations, saves, loads, frees and steps against
// the sequences they must stand for.
TEST(Window, RandomWalkEqualsContinuousDecoding) {
  const std::string path = test::fresh_path("walk.state");
  for (uint32_t window : kWindows) {
    auto engine = open(window, {.ctx = 400, .slots = 4, .threads = 1});
    std::mt19937 random(window);
    std::map<SlotId, std::vector<int32_t>> alive;
    auto any = [&] { return std::next(alive.begin(), random() % alive.size())->first; };
    for (int i = 0; i < 1500; ++i) {
      const int what = static_cast<int>(random() % 12);
      if (alive.empty() || (what == 0 && alive.size() < 4)) {
        alive[*engine->create_slot()] = {};
      } else if (what <= 2 && alive.size() < 4) {
        const SlotId parent = any();
        alive[*engine->fork(parent)] = alive[parent];
      } else if (what == 3) {
        const SlotId slot = any();
        ASSERT_TRUE(engine->free_slot(slot).ok());
        alive.erase(slot);
      } else if (what == 4) {
        const SlotId slot = any();
        const size_t length = alive[slot].size() - random() % (alive[slot].size() + 1);
        if (engine->truncate(slot, length).ok())
          alive[slot].resize(length);
      } else if (what == 5 && alive.size() < 4) {
        const SlotId slot = any();
        ASSERT_TRUE(engine->save_state(slot, path).ok());
        auto loaded = engine->load_state(path);
        ASSERT_TRUE(loaded.ok()) << loaded.status();
        alive[*loaded] = alive[slot];
      } else {
        const SlotId slot = any();
        const size_t room = 400 - alive[slot].size();
        const auto tokens = random_tokens(random, std::min<size_t>(room, 1 + random() % 60));
        if (tokens.empty())
          continue;
        alive[slot].insert(alive[slot].end(), tokens.begin(), tokens.end());
        ASSERT_EQ(feed(*engine, slot, tokens), fake_logits(alive[slot], false, window))
            << "window " << window << ", step " << i;
      }
    }
  }
}

// A pool without an engine, whose pages can be looked at.
struct Pool {
  std::unique_ptr<artifact::Artifact> artifact;
  std::unique_ptr<device::Device> device;
  std::unique_ptr<StatePool> pool;

  Pool(uint32_t window, uint64_t ctx, uint64_t slots) {
    artifact = *artifact::Artifact::open(test::write_fake("pool.quern", windowed(window)));
    device = *device::open_device("cpu", {.threads = 1});
    pool = *StatePool::create(*device, artifact->manifest(), ctx, slots);
  }
  StatePool *operator->() const { return pool.get(); }
  void append(SlotId slot, uint64_t count) const {
    const std::vector<int32_t> tokens(count);
    pool->append(slot, tokens);
  }
  uint64_t in_use(size_t group) const { return pool->pages(group).in_use(); }
  void expect_room() const {
    for (size_t g = 0; g < pool->num_groups(); ++g)
      ASSERT_LE(in_use(g), pool->pages(g).size());
  }
};

// Tests that no group's pool runs out while every slot forks at any place and all go apart to their
// context's end in steps of any size, and that the pool is no larger than that takes.
TEST(Window, ForksThatGoApartNeverFindThePoolEmpty) {
  constexpr uint64_t kCtx = 330, kSlots = 4;
  for (uint32_t window : kWindows) {
    uint64_t most = 0;
    const Pool pool(window, kCtx, kSlots);
    for (uint64_t place = 0; place <= kCtx; place += 3)
      for (uint64_t step : {uint64_t{1}, uint64_t{7}, kStep}) {
        const SlotId first = *pool->create_slot();
        for (uint64_t at = 0; at < place; at += kStep)
          pool.append(first, std::min(kStep, place - at));
        const uint64_t before = pool.in_use(1);
        std::vector<SlotId> slots = {first};
        while (slots.size() < kSlots)
          slots.push_back(*pool->fork(first));
        ASSERT_EQ(pool.in_use(1), before) << "forks share";
        for (uint64_t at = place; at < kCtx; at += step)
          for (SlotId slot : slots) {
            pool.append(slot, std::min(step, kCtx - at));
            pool.expect_room();
            most = std::max(most, pool.in_use(1));
          }
        for (SlotId slot : slots)
          ASSERT_TRUE(pool->free_slot(slot).ok());
        ASSERT_EQ(pool.in_use(0) + pool.in_use(1), 0u) << "pages leak";
      }
    EXPECT_EQ(most, pool->pages(1).size()) << "window " << window;
  }
}

// Tests that a page that went back to the pool holds zeros when it is taken again: a stale NaN,
// though masked, would spoil the sums it is part of.
TEST(Window, PagesComeBackEmpty) {
  const Pool pool(64, 2000, 2);
  const SlotId slot = *pool->create_slot();
  for (uint64_t at = 0; at < 1920; at += kStep) {
    const uint64_t pages = pages_for(at);
    pool.append(slot, kStep);
    for (size_t g = 0; g < 2 && pages_for(at + kStep) > pages; ++g) {
      uint8_t *page = pool->page(g, slot, pages);
      const uint64_t bytes = pool->pages(g).page_bytes();
      EXPECT_EQ(std::count(page, page + bytes, 0), static_cast<int64_t>(bytes)) << at;
      std::memset(page, 0xff, bytes);
    }
  }
}

// Tests that a slot can always go back as far as a step of the device went, and what it says beyond
// that.
TEST(Window, TruncationGoesBackAStepAtLeast) {
  std::mt19937 random(4);
  const auto tokens = random_tokens(random, 900);
  for (uint32_t window : kWindows) {
    auto engine = open(window, {.ctx = 1000, .slots = 2, .threads = 1});
    const SlotId slot = *engine->create_slot();
    for (size_t length = 0; length < 900;) {
      const size_t take = std::min<size_t>(1 + random() % kStep, 900 - length);
      feed(*engine, slot, std::span(tokens).subspan(length, take));
      length += take;
      const size_t back = length - std::min<size_t>(length, 1 + random() % kStep);
      const SlotId fork = *engine->fork(slot);
      ASSERT_TRUE(engine->truncate(fork, back).ok()) << length << " to " << back;
      if (back < length)
        ASSERT_EQ(feed(*engine, fork, std::span(tokens).subspan(back, length - back)),
                  fake_logits(std::span(tokens).first(length), false, window));
      ASSERT_TRUE(engine->free_slot(fork).ok());
    }
    const absl::Status refused = engine->truncate(slot, 200);
    EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(message(refused), HasSubstr("cannot truncate to 200 of 900 positions: layers with "
                                            "a sliding window no longer hold"));
    EXPECT_EQ(engine->length(slot), 900u) << "nothing changes where it is refused";
    EXPECT_TRUE(engine->truncate(slot, 0).ok());
    EXPECT_EQ(feed(*engine, slot, tokens), fake_logits(tokens, false, window));
  }
}

// Tests that a saved state has the window's pages only, and that the slot it is loaded into, of
// another context, goes on and goes back as the saved one would.
TEST(Window, SavedAndLoadedEqualsContinuous) {
  std::mt19937 random(5);
  const auto tokens = random_tokens(random, 800);
  for (uint32_t window : kWindows)
    for (size_t cut : {1u, 64u, 65u, 127u, 128u, 700u}) {
      const std::string path = test::fresh_path("window.state");
      {
        auto engine = open(window, {.ctx = 2000, .slots = 2});
        const SlotId slot = *engine->create_slot();
        feed(*engine, slot, std::span(tokens).first(cut));
        ASSERT_TRUE(engine->save_state(slot, path).ok());
        const uint64_t kept =
            std::min(pages_for(cut), pages_per_slot(window, engine->ctx(), kStep));
        EXPECT_EQ(test::read_file(path).size(),
                  72 + 4 * cut + 4 * 8 + pages_for(cut) * 256 + kept * 512);
      }
      for (uint64_t ctx : {cut, size_t{3000}}) {
        auto engine = open(window, {.ctx = ctx, .threads = 1});
        auto slot = engine->load_state(path);
        ASSERT_TRUE(slot.ok()) << slot.status();
        EXPECT_EQ(engine->length(*slot), cut);
        const size_t back = cut - std::min<size_t>(cut, kStep);
        ASSERT_TRUE(engine->truncate(*slot, back).ok());
        feed(*engine, *slot, std::span(tokens).subspan(back, cut - back));
        if (ctx > cut)
          EXPECT_EQ(feed(*engine, *slot, std::span(tokens).subspan(cut)),
                    fake_logits(tokens, false, window));
        else
          EXPECT_THAT(message(engine->load_state(path).status()), HasSubstr("slots are taken"));
      }
    }
}

// Tests that a state goes on, bit for bit, in an artifact of another code, context and longest
// step, which keeps more or fewer pages of a window, and there in the state of that one's
// checkpoints.
TEST(Window, StatesMoveBetweenArtifactsOfTheSameModel) {
  constexpr uint32_t kWindow = 58; // 3 pages with steps of 16, and 2 with 8
  std::mt19937 random(9);
  const auto tokens = random_tokens(random, 700);
  const test::FakeOptions long_steps = windowed(kWindow);
  test::FakeOptions short_steps = long_steps;
  short_steps.context = 900;
  short_steps.max_tokens = short_steps.prefill_tokens = 8;
  short_steps.cuda = true;
  ASSERT_NE(pages_per_slot(kWindow, 900, 16), pages_per_slot(kWindow, 900, 8));
  for (const auto &[from, to] :
       {std::pair(long_steps, short_steps), std::pair(short_steps, long_steps)})
    for (const uint64_t budget : {0, 1 << 20})
      for (const size_t cut : {64u, 130u, 600u, 640u}) {
        const EngineOptions options{.ctx = 800, .checkpoints = budget, .threads = 1};
        const std::string path = test::fresh_path("moves.state");
        auto saved = *Engine::open(test::write_fake("from.quern", from), options);
        const SlotId slot = *saved->create_slot();
        feed(*saved, slot, std::span(tokens).first(cut));
        ASSERT_TRUE(saved->save_state(slot, path).ok());
        auto engine = *Engine::open(test::write_fake("to.quern", to), options);
        const auto loaded = engine->load_state(path);
        ASSERT_TRUE(loaded.ok()) << cut << ": " << loaded.status();
        EXPECT_EQ(feed(*engine, *loaded, std::span(tokens).subspan(cut, 60)),
                  fake_logits(std::span(tokens).first(cut + 60), false, kWindow));
        const uint64_t back = *engine->rewind(*loaded, cut - 20);
        EXPECT_LE(back, cut - 20);
        EXPECT_EQ(feed(*engine, *loaded, std::span(tokens).subspan(back)),
                  fake_logits(tokens, false, kWindow));
      }
}

// Tests that damage in a saved state is found where it says which pages it holds, and that states
// are refused by an artifact of another window, and by a shorter context.
TEST(Window, DamagedStatesAreRefused) {
  auto engine = open(50, {.ctx = 1000});
  std::mt19937 random(6);
  const SlotId slot = *engine->create_slot();
  const auto tokens = random_tokens(random, 300);
  feed(*engine, slot, tokens);
  const std::string path = test::fresh_path("good.state");
  ASSERT_TRUE(engine->save_state(slot, path).ok());
  ASSERT_TRUE(engine->free_slot(slot).ok());
  const std::vector<uint8_t> good = test::read_file(path);
  const size_t first_pages = 72 + 4 * tokens.size();
  for (size_t i = first_pages; i < first_pages + 16; ++i)
    for (int bit = 0; bit < 8; ++bit) {
      auto bad = good;
      bad[i] ^= static_cast<uint8_t>(1u << bit);
      EXPECT_EQ(engine->load_state(test::write_file("bad.state", bad)).status().code(),
                absl::StatusCode::kDataLoss)
          << "byte " << i << ", bit " << bit;
    }
  EXPECT_THAT(message(open(51, {.ctx = 1000})->load_state(path).status()),
              HasSubstr("another model"));
  EXPECT_THAT(message(open(50, {.ctx = 299})->load_state(path).status()),
              HasSubstr("300 positions, and the context is 299"));
  EXPECT_TRUE(engine->load_state(path).ok());
}

} // namespace
} // namespace quern::session
