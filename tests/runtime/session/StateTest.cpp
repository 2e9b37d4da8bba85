// Slots: fork, truncate, save and load equal continuous decoding, exactly.
#include "runtime/session/Engine.h"
#include "tests/runtime/fake/FakeArtifact.h"
#include "tests/runtime/fake/FakeModel.h"
#include "tests/runtime/session/Sequences.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
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

std::unique_ptr<Engine> open(const EngineOptions &options, const test::FakeOptions &fake = {}) {
  auto engine = Engine::open(test::write_fake("state.quern", fake), options);
  EXPECT_TRUE(engine.ok()) << engine.status();
  return engine.ok() ? *std::move(engine) : nullptr;
}

// Tests thousands of random creations, forks, truncations, frees and steps against the sequences
// they must stand for: sharing and copying of pages is never seen.
TEST(State, RandomWalkEqualsContinuousDecoding) {
  for (bool recurrent : {false, true}) {
    auto engine = open({.ctx = 200, .slots = 4}, {.recurrent = recurrent});
    std::mt19937 random(recurrent ? 1 : 2);
    std::map<SlotId, std::vector<int32_t>> alive;
    auto any = [&] { return std::next(alive.begin(), random() % alive.size())->first; };
    for (int i = 0; i < 3000; ++i) {
      const int what = static_cast<int>(random() % 10);
      if (alive.empty() || (what == 0 && alive.size() < 4)) {
        auto slot = engine->create_slot();
        ASSERT_TRUE(slot.ok());
        alive[*slot] = {};
      } else if (what == 1 && alive.size() < 4) {
        const SlotId parent = any();
        auto child = engine->fork(parent);
        ASSERT_TRUE(child.ok());
        alive[*child] = alive[parent];
      } else if (what == 2) {
        const SlotId slot = any();
        ASSERT_TRUE(engine->free_slot(slot).ok());
        alive.erase(slot);
      } else if (what == 3) {
        const SlotId slot = any();
        const size_t length = recurrent ? 0 : random() % (alive[slot].size() + 1);
        ASSERT_TRUE(engine->truncate(slot, length).ok());
        alive[slot].resize(length);
      } else {
        const SlotId slot = any();
        const size_t room = 200 - alive[slot].size();
        const auto tokens = random_tokens(random, std::min<size_t>(room, 1 + random() % 40));
        if (tokens.empty())
          continue;
        alive[slot].insert(alive[slot].end(), tokens.begin(), tokens.end());
        ASSERT_EQ(feed(*engine, slot, tokens), fake_logits(alive[slot], recurrent)) << "step " << i;
      }
    }
  }
}

// Tests that the pool never runs out, however slots share: every slot full to the context.
TEST(State, ForksFillTheirContexts) {
  auto engine = open({.ctx = 130, .slots = 3});
  std::mt19937 random(3);
  const auto prefix = random_tokens(random, 70);
  const SlotId first = *engine->create_slot();
  feed(*engine, first, prefix);
  const SlotId slots[] = {first, *engine->fork(first), *engine->fork(first)};
  EXPECT_THAT(message(engine->fork(first).status()), HasSubstr("all 3 slots are taken"));
  for (SlotId slot : slots) {
    auto tokens = prefix;
    const auto more = random_tokens(random, 60);
    tokens.insert(tokens.end(), more.begin(), more.end());
    EXPECT_EQ(feed(*engine, slot, more), fake_logits(tokens));
  }
}

// Tests that recurrent state says why it cannot go back, and that both ends are possible.
TEST(State, RecurrentStateCannotBeTruncated) {
  auto engine = open({});
  std::mt19937 random(4);
  const SlotId slot = *engine->create_slot();
  const auto tokens = random_tokens(random, 30);
  feed(*engine, slot, tokens);
  EXPECT_THAT(message(engine->truncate(slot, 10)), HasSubstr("does not remember its past"));
  EXPECT_THAT(message(engine->truncate(slot, 31)), HasSubstr("the slot has 30"));
  EXPECT_TRUE(engine->truncate(slot, 30).ok());
  EXPECT_TRUE(engine->truncate(slot, 0).ok());
  EXPECT_EQ(feed(*engine, slot, tokens), fake_logits(tokens));
}

// Tests that a saved state, loaded into another engine with other slots and context, goes on as if
// it had never stopped: cut at page borders and between.
TEST(State, SavedAndLoadedEqualsContinuous) {
  std::mt19937 random(5);
  const auto tokens = random_tokens(random, 140);
  for (size_t cut : {1u, 63u, 64u, 65u, 128u, 139u}) {
    const std::string path = test::fresh_path("saved.state");
    {
      auto engine = open({.slots = 2});
      (void)*engine->create_slot(); // so that the saved one is not the first
      const SlotId slot = *engine->create_slot();
      feed(*engine, slot, std::span(tokens).first(cut));
      ASSERT_TRUE(engine->save_state(slot, path).ok());
    }
    auto engine = open({.ctx = 150});
    auto slot = engine->load_state(path);
    ASSERT_TRUE(slot.ok()) << slot.status();
    EXPECT_EQ(engine->length(*slot), cut);
    EXPECT_THAT(engine->tokens(*slot), testing::ElementsAreArray(std::span(tokens).first(cut)));
    EXPECT_EQ(feed(*engine, *slot, std::span(tokens).subspan(cut)), fake_logits(tokens));
  }
}

// Tests that damage anywhere in a saved state is found, that nothing is lost by it, and no slot
// leaks.
TEST(State, DamagedStatesAreRefused) {
  auto engine = open({});
  std::mt19937 random(6);
  const SlotId slot = *engine->create_slot();
  const auto tokens = random_tokens(random, 70);
  feed(*engine, slot, tokens);
  const std::string path = test::fresh_path("good.state");
  ASSERT_TRUE(engine->save_state(slot, path).ok());
  ASSERT_TRUE(engine->free_slot(slot).ok());
  const std::vector<uint8_t> good = test::read_file(path);
  for (size_t i = 0; i < good.size(); i += i < 400 ? 1 : 13) {
    auto bad = good;
    bad[i] ^= static_cast<uint8_t>(1u << (i % 8));
    EXPECT_FALSE(engine->load_state(test::write_file("bad.state", bad)).ok()) << "byte " << i;
  }
  for (size_t size = 0; size < good.size(); size += 37)
    EXPECT_FALSE(
        engine->load_state(test::write_file("bad.state", std::span(good).first(size))).ok());
  // A length that no file could have, its header made right again.
  auto huge = good;
  const uint64_t length = uint64_t{1} << 62;
  std::memcpy(&huge[24], &length, 8);
  const uint64_t sum = artifact::checksum(huge.data(), 64);
  std::memcpy(&huge[64], &sum, 8);
  EXPECT_THAT(message(engine->load_state(test::write_file("bad.state", huge)).status()),
              HasSubstr("4611686018427387904 positions"));
  auto loaded = engine->load_state(path);
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(engine->length(*loaded), 70u);
}

// Tests that a state is refused by another model, by a shorter context, and where no slot is free.
TEST(State, StatesBelongToTheirModel) {
  auto engine = open({});
  std::mt19937 random(7);
  const SlotId slot = *engine->create_slot();
  const auto tokens = random_tokens(random, 70);
  feed(*engine, slot, tokens);
  const std::string path = test::fresh_path("mine.state");
  ASSERT_TRUE(engine->save_state(slot, path).ok());
  EXPECT_THAT(message(engine->load_state(path).status()), HasSubstr("all 1 slots are taken"));
  EXPECT_THAT(message(open({.ctx = 69})->load_state(path).status()),
              HasSubstr("70 positions, and the context is 69"));
  for (const test::FakeOptions &other :
       {test::FakeOptions{.recurrent = false}, test::FakeOptions{.state_format = "bf16"},
        test::FakeOptions{.source_hash = 43}, test::FakeOptions{.made = true}})
    EXPECT_THAT(message(open({}, other)->load_state(path).status()), HasSubstr("another model"));
  EXPECT_TRUE(open({}, {.context = 201, .proof = false})->load_state(path).ok());
  EXPECT_THAT(message(engine->load_state("/nonexistent.state").status()),
              HasSubstr("/nonexistent.state"));
  EXPECT_FALSE(engine->save_state(slot, "/nonexistent/x.state").ok());
  EXPECT_FALSE(engine->save_state(17, path).ok());
}

} // namespace
} // namespace quern::session
