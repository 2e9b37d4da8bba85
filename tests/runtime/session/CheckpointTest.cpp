// Checkpoints: what a slot can go back to, what an edit computes again, and what that takes.
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
#include <set>

namespace quern::session {
namespace {

using test::fake_logits;
using test::feed;
using test::message;
using test::random_tokens;
using testing::HasSubstr;

// Each kind of state alone and all together: growing, of a window, recurrent.
struct Kind {
  bool recurrent;
  uint32_t window;
};
constexpr Kind kKinds[] = {{true, 0}, {false, 100}, {true, 100},
                           {true, 1}, {false, 700}, {true, 65}};

std::unique_ptr<Engine> open(const Kind &kind, const EngineOptions &options) {
  auto engine = Engine::open(
      test::write_fake("checkpoint.quern",
                       {.context = 3000, .recurrent = kind.recurrent, .window = kind.window}),
      options);
  EXPECT_TRUE(engine.ok()) << engine.status();
  return engine.ok() ? *std::move(engine) : nullptr;
}

// A budget in which `count` checkpoints of each slot fit, and no more.
uint64_t budget(const Kind &kind, uint64_t ctx, uint64_t slots, uint64_t count) {
  ModelSizes sizes{.slot_bytes = kind.recurrent ? 64u : 0, .max_tokens = 16};
  if (kind.window != 0)
    sizes.kv_groups = {{.layers = 1, .window = kind.window, .page_bytes = 512}};
  return slots * sizes.checkpoint_bytes(ctx, count);
}

// Tests the plan's arithmetic on published shapes: 79 MB of state a slot and 1 GiB is a checkpoint
// every 4096 of 32768 positions, 17 MB every 1024.
TEST(Checkpoint, SpacingFollowsFromTheBudget) {
  constexpr uint64_t kGiB = uint64_t{1} << 30, kMB = 1000000;
  const ModelSizes qwen3_next{.slot_bytes = 79 * kMB}, jamba{.slot_bytes = 17 * kMB};
  auto plan = checkpoint_sizes(qwen3_next, 32768, 1, kGiB);
  EXPECT_EQ(plan.spacing, 4096u);
  EXPECT_EQ(plan.per_slot, 7u + 2); // at 4096 .. 28672, and two
  EXPECT_EQ(plan.bytes, 9 * 79 * kMB);
  EXPECT_EQ(checkpoint_sizes(jamba, 32768, 1, kGiB).spacing, 1024u);
  EXPECT_EQ(checkpoint_sizes(jamba, 32768, 4, kGiB).spacing, 4096u);
  // ctx / spacing * bytes is the budget: one beside the multiples.
  const ModelSizes kib{.slot_bytes = 1024};
  plan = checkpoint_sizes(kib, 4096, 1, 16 * 1024);
  EXPECT_EQ(plan.spacing, 256u);
  EXPECT_EQ(plan.per_slot, 16u);
  EXPECT_EQ(plan.bytes, 16u * 1024);
  EXPECT_EQ(checkpoint_sizes(kib, 4096, 1, 16 * 1024 - 1).spacing, 512u);
  plan = checkpoint_sizes(kib, 4096, 1, 1024);
  EXPECT_EQ(plan.spacing, 4096u);
  EXPECT_EQ(plan.per_slot, 1u);
  EXPECT_EQ(checkpoint_sizes(kib, 4096, 1, 1023).spacing, 0u);
  EXPECT_THAT(message(check_checkpoints(kib, 4096, 2, 1023)),
              HasSubstr("which takes 2.0 KiB\nhint: --checkpoints 2048 or more, or 0 for none"));
  EXPECT_EQ(checkpoint_sizes(kib, 4096, 1, 0).spacing, 0u);
  EXPECT_TRUE(check_checkpoints(kib, 4096, 2, 0).ok());
  // State that can go back by itself needs none.
  const ModelSizes kv{.kv_groups = {{.layers = 1, .window = 0, .page_bytes = 512}}};
  plan = checkpoint_sizes(kv, 4096, 1, kGiB);
  EXPECT_EQ(plan.spacing, 1u);
  EXPECT_EQ(plan.bytes, 0u);
}

// Tests that memory is counted where it is taken, that the total names it, and that what does not
// fit is refused, or left out where nobody asked.
TEST(Checkpoint, MemoryIsCounted) {
  const Kind kind{true, 100};
  const uint64_t bytes = budget(kind, 3000, 2, 4);
  const uint64_t without = open(kind, {.slots = 2})->memory().total;
  auto engine = open(kind, {.slots = 2, .checkpoints = bytes});
  EXPECT_EQ(engine->checkpoints().spacing, 1024u);
  EXPECT_EQ(engine->checkpoints().per_slot, 2u + 2);
  // Each 64 bytes and up to three pages: 99 positions, wherever they end.
  EXPECT_EQ(engine->memory().checkpoints, 2u * 4 * (64 + 3 * 512));
  EXPECT_EQ(engine->memory().checkpoints, engine->checkpoints().bytes);
  EXPECT_EQ(engine->memory().total, without + bytes);
  const std::string path = test::write_fake("m.quern", {.context = 3000, .window = 100});
  EXPECT_THAT(
      message(Engine::open(path, {.slots = 2, .checkpoints = bytes, .memory = without}).status()),
      testing::AllOf(HasSubstr("checkpoints "), HasSubstr("without --checkpoints")));
  EXPECT_THAT(message(Engine::open(path, {.checkpoints = 100}).status()),
              HasSubstr("--checkpoints 100 has no room for one"));
  EXPECT_EQ((*Engine::open(path, {.checkpoints = 100, .checkpoints_needed = false}))
                ->checkpoints()
                .spacing,
            0u);
}

// Tests the bound: wherever a history is edited, at most spacing - 1 tokens before the edit are
// computed again, and what follows is what starting anew gives, however steps are cut.
TEST(Checkpoint, AnEditComputesFewTokensAgain) {
  for (const Kind &kind : kKinds) {
    for (const uint64_t count : {2u, 5u, 14u}) {
      auto engine =
          open(kind, {.slots = 2, .checkpoints = budget(kind, 3000, 2, count), .threads = 1});
      const uint64_t spacing = engine->checkpoints().spacing;
      if (kind.window == 0) {
        EXPECT_EQ(spacing, count == 2 ? 2048u : count == 5 ? 1024u : 256u);
      }
      std::mt19937 random(kind.window + count);
      const auto tokens = random_tokens(random, 2990);
      const SlotId slot = *engine->create_slot();
      for (size_t i = 0; i < tokens.size();) {
        const size_t take = std::min<size_t>(1 + random() % 400, tokens.size() - i);
        feed(*engine, slot, std::span(tokens).subspan(i, take));
        i += take;
      }
      for (const uint64_t at : {2989u, 2500u, 2048u, 2047u, 1500u, 300u, 256u, 255u, 1u, 0u}) {
        const SlotId edited = *engine->fork(slot);
        auto other = tokens;
        other[at] = (other[at] + 1) % FAKE_VOCAB;
        other.resize(std::min<size_t>(tokens.size(), at + 40));
        auto kept = engine->rewind_to_shared(edited, other);
        ASSERT_TRUE(kept.ok());
        EXPECT_LE(*kept, at);
        EXPECT_LT(at - *kept, spacing) << at;
        EXPECT_EQ(feed(*engine, edited, std::span(other).subspan(*kept)),
                  fake_logits(other, kind.recurrent, kind.window));
        ASSERT_TRUE(engine->free_slot(edited).ok());
      }
      // The fork was the one to go back.
      EXPECT_EQ(feed(*engine, slot, std::span(tokens).first(1)), [&] {
        auto all = tokens;
        all.push_back(tokens[0]);
        return fake_logits(all, kind.recurrent, kind.window);
      }());
    }
  }
}

// Tests that a short sequence is held to a finer spacing than the plan's, that it doubles when
// there is no room, and that marks stay.
TEST(Checkpoint, SpacingDoublesAndMarksStay) {
  const Kind kind{true, 0};
  auto engine = open(kind, {.checkpoints = budget(kind, 3000, 1, 5)}); // 1024: two, and two
  ASSERT_EQ(engine->checkpoints().per_slot, 4u);
  const SlotId slot = *engine->create_slot();
  std::mt19937 random(1);
  const auto tokens = random_tokens(random, 3000);
  auto kept = [&](uint64_t length) {
    const SlotId fork = *engine->fork(slot);
    const uint64_t reached = *engine->rewind(fork, length);
    EXPECT_TRUE(engine->free_slot(fork).ok());
    return reached;
  };
  engine = open(kind, {.slots = 2, .checkpoints = budget(kind, 3000, 2, 5)});
  ASSERT_EQ(*engine->create_slot(), slot);
  auto feed_to = [&](uint64_t length) {
    const uint64_t from = engine->length(slot);
    feed(*engine, slot, std::span(tokens).subspan(from, length - from));
  };
  feed_to(1030);
  EXPECT_EQ(kept(800), 768u);
  EXPECT_EQ(kept(1029), 1024u);
  feed_to(1100);
  ASSERT_TRUE(engine->checkpoint(slot).ok());
  EXPECT_EQ(kept(1100), 1100u);
  EXPECT_EQ(kept(800), 512u) << "there was no room: every 512";
  feed_to(1234);
  ASSERT_TRUE(engine->checkpoint(slot).ok());
  EXPECT_EQ(kept(1233), 1100u);
  EXPECT_EQ(kept(1099), 1024u);
  EXPECT_EQ(kept(1000), 512u);
  feed_to(2999);
  EXPECT_EQ(kept(2998), 2048u);
  EXPECT_EQ(kept(2047), 1234u);
  EXPECT_EQ(kept(1233), 1100u);
  ASSERT_TRUE(engine->checkpoint(slot).ok());
  EXPECT_EQ(kept(1233), 1024u) << "the mark before the last but one is gone";
  EXPECT_EQ(kept(2047), 1234u);
  ASSERT_TRUE(engine->truncate(slot, 0).ok());
  feed_to(900);
  EXPECT_EQ(kept(800), 768u) << "an empty slot begins anew";
}

// Tests that a slot goes to any length where there are checkpoints, and says why not where there
// are none.
TEST(Checkpoint, TruncationGoesAnywhere) {
  std::mt19937 random(2);
  const auto tokens = random_tokens(random, 1500);
  for (const Kind &kind : kKinds) {
    auto engine = open(kind, {.slots = 2, .checkpoints = budget(kind, 3000, 2, 5), .threads = 1});
    const SlotId slot = *engine->create_slot();
    feed(*engine, slot, tokens);
    for (const uint64_t length : {1499u, 1100u, 1024u, 1000u, 77u, 1u, 0u}) {
      const SlotId fork = *engine->fork(slot);
      const absl::Status status = engine->truncate(fork, length);
      ASSERT_TRUE(status.ok()) << status;
      EXPECT_EQ(engine->length(fork), length);
      EXPECT_EQ(feed(*engine, fork, std::span(tokens).subspan(length, 1)),
                fake_logits(std::span(tokens).first(length + 1), kind.recurrent, kind.window));
      ASSERT_TRUE(engine->free_slot(fork).ok());
    }
    EXPECT_THAT(message(engine->truncate(slot, 1501)), HasSubstr("the slot has 1500"));
    EXPECT_THAT(message(engine->rewind(7, 1).status()), HasSubstr("slot 7 is not alive"));
    EXPECT_THAT(message(engine->rewind_to_shared(slot, {}).status()), HasSubstr("no tokens"));
  }
  auto engine = open({true, 0}, {});
  const SlotId slot = *engine->create_slot();
  feed(*engine, slot, tokens);
  EXPECT_THAT(message(engine->truncate(slot, 1000)),
              HasSubstr("open with memory for checkpoints, or truncate to 0"));
  EXPECT_EQ(*engine->rewind(slot, 1000), 0u);
}

// Tests thousands of random creations, forks, marks, truncations, rewinds, edits, saves, loads
// (into the same engine and one of another budget), frees and steps against the sequences they must
// stand for.
TEST(Checkpoint, RandomWalkEqualsContinuousDecoding) {
  const std::string path = test::fresh_path("walk.state");
  for (const Kind &kind : kKinds) {
    constexpr uint64_t kCtx = 1200;
    auto engine = open(
        kind, {.ctx = kCtx, .slots = 4, .checkpoints = budget(kind, kCtx, 4, 4), .threads = 1});
    auto other = open(
        kind, {.ctx = kCtx + 7, .slots = 1, .checkpoints = budget(kind, kCtx, 1, 2), .threads = 1});
    std::mt19937 random(kind.window + 17);
    std::map<SlotId, std::vector<int32_t>> alive;
    std::set<SlotId> loaded; // with checkpoints farther apart
    auto any = [&] { return std::next(alive.begin(), random() % alive.size())->first; };
    for (int i = 0; i < 1500; ++i) {
      const int what = static_cast<int>(random() % 16);
      if (alive.empty() || (what == 0 && alive.size() < 4)) {
        alive[*engine->create_slot()] = {};
      } else if (what <= 2 && alive.size() < 4) {
        const SlotId parent = any();
        const SlotId child = *engine->fork(parent);
        alive[child] = alive[parent];
        if (loaded.contains(parent))
          loaded.insert(child);
      } else if (what == 3) {
        const SlotId slot = any();
        ASSERT_TRUE(engine->free_slot(slot).ok());
        alive.erase(slot);
        loaded.erase(slot);
      } else if (what == 4) {
        const SlotId slot = any();
        const size_t length = random() % (alive[slot].size() + 1);
        ASSERT_TRUE(engine->truncate(slot, length).ok());
        alive[slot].resize(length);
      } else if (what == 5) {
        const SlotId slot = any();
        const size_t length = random() % (alive[slot].size() + 1);
        const uint64_t reached = *engine->rewind(slot, length);
        ASSERT_LE(reached, length);
        if (!loaded.contains(slot))
          ASSERT_TRUE(reached == length || length - reached < engine->checkpoints().spacing);
        alive[slot].resize(reached);
      } else if (what == 6 || what == 7) {
        ASSERT_TRUE(engine->checkpoint(any()).ok());
      } else if (what == 8 && alive.size() < 4) {
        const SlotId slot = any();
        ASSERT_TRUE(engine->save_state(slot, path).ok());
        auto through = other->load_state(path);
        ASSERT_TRUE(through.ok()) << through.status();
        if (random() % 2) {
          ASSERT_TRUE(other->save_state(*through, path).ok());
        }
        ASSERT_TRUE(other->free_slot(*through).ok());
        auto copy = engine->load_state(path);
        ASSERT_TRUE(copy.ok()) << copy.status();
        alive[*copy] = alive[slot];
        loaded.insert(*copy);
      } else {
        const SlotId slot = any();
        const size_t room = kCtx - alive[slot].size();
        const auto tokens =
            random_tokens(random, std::min<size_t>(room, 1 + random() % (what < 12 ? 20 : 300)));
        if (tokens.empty())
          continue;
        alive[slot].insert(alive[slot].end(), tokens.begin(), tokens.end());
        ASSERT_EQ(feed(*engine, slot, tokens),
                  fake_logits(alive[slot], kind.recurrent, kind.window))
            << "window " << kind.window << ", step " << i;
      }
    }
  }
}

// Tests that batches whose sequences meet their checkpoints at different places give each its own.
TEST(Checkpoint, RaggedBatchesAreCutWhereOneIsDue) {
  const Kind kind{true, 100};
  auto engine = open(kind, {.slots = 3, .checkpoints = budget(kind, 3000, 3, 14)});
  std::mt19937 random(5);
  std::vector<std::vector<int32_t>> sequences(3);
  std::vector<SlotId> slots;
  for (int i = 0; i < 3; ++i)
    slots.push_back(*engine->create_slot());
  for (int round = 0; round < 12; ++round) {
    std::vector<std::vector<int32_t>> more;
    std::vector<SequenceStep> batch;
    std::vector<float> expected;
    for (int i = 0; i < 3; ++i)
      more.push_back(random_tokens(random, 1 + random() % 130));
    for (int i = 0; i < 3; ++i) {
      batch.push_back({slots[i], more[i], Rows::last});
      sequences[i].insert(sequences[i].end(), more[i].begin(), more[i].end());
      for (float logit : fake_logits(sequences[i], true, 100))
        expected.push_back(logit);
    }
    std::vector<float> logits(expected.size());
    ASSERT_TRUE(engine->step(batch, logits).ok());
    ASSERT_EQ(logits, expected) << round;
  }
  for (int i = 0; i < 3; ++i)
    for (uint64_t length = sequences[i].size(); length >= 256;) {
      length = length / 256 * 256;
      EXPECT_EQ(*engine->rewind(slots[i], length), length);
      --length;
    }
}

// Tests that the token loop allocates nothing, checkpoints included.
TEST(Checkpoint, StepsAllocateNothing) {
  const Kind kind{true, 100};
  auto engine = open(kind, {.checkpoints = budget(kind, 3000, 1, 5), .threads = 1});
  std::mt19937 random(6);
  const auto tokens = random_tokens(random, 3000);
  const SlotId slot = *engine->create_slot();
  std::vector<float> logits(engine->vocab());
  const size_t before = testing_support::allocated_bytes();
  for (size_t i = 0; i < tokens.size(); i += 10) {
    const SequenceStep step{slot, std::span(tokens).subspan(i, 10), Rows::last};
    ASSERT_TRUE(engine->step(std::span(&step, 1), logits).ok());
    if (i % 300 == 0)
      ASSERT_TRUE(engine->checkpoint(slot).ok());
  }
  EXPECT_EQ(testing_support::allocated_bytes(), before);
}

// Tests that no group's pool runs out and none leaks, whatever slots do: thousands of random steps
// with the pools looked at after each, and that what the plan adds is reached.
TEST(Checkpoint, PoolsNeverRunOut) {
  for (const uint32_t window : {1u, 2u, 64u, 65u, 100u, 700u})
    for (const uint64_t count : {1u, 2u, 3u, 6u}) {
      constexpr uint64_t kCtx = 1500, kSlots = 3;
      auto artifact = *artifact::Artifact::open(
          test::write_fake("pool.quern", {.context = 3000, .recurrent = false, .window = window}));
      auto device = *device::open_device("cpu", {.threads = 1});
      const ModelSizes sizes{.max_tokens = 16,
                             .kv_groups = {{.layers = 1, .window = window, .page_bytes = 512}}};
      const CheckpointSizes plan =
          checkpoint_sizes(sizes, kCtx, kSlots, kSlots * sizes.checkpoint_bytes(kCtx, count));
      auto pool = *StatePool::create(*device, artifact->manifest(), kCtx, kSlots, plan);
      std::mt19937 random(window + static_cast<uint32_t>(count));
      std::set<SlotId> alive;
      uint64_t most = 0;
      for (int i = 0; i < 20000; ++i) {
        const uint32_t what = random() % 200;
        auto any = [&] { return *std::next(alive.begin(), random() % alive.size()); };
        if (alive.empty() || (what == 0 && alive.size() < kSlots)) {
          alive.insert(*pool->create_slot());
        } else if (what == 1 && alive.size() < kSlots) {
          alive.insert(*pool->fork(any()));
        } else if (what == 2 && random() % 4 == 0) {
          const SlotId slot = any();
          ASSERT_TRUE(pool->free_slot(slot).ok());
          alive.erase(slot);
        } else if (what == 3 || what == 4) {
          const SlotId slot = any();
          pool->rewind(slot, random() % (pool->length(slot) + 1));
        } else if (what < 20) {
          pool->checkpoint(any(), /*mark=*/true);
        } else {
          const SlotId slot = any();
          const uint64_t take = std::min({kCtx - pool->length(slot), uint64_t{1 + random() % 16},
                                          pool->until_checkpoint(slot)});
          pool->append(slot, std::vector<int32_t>(take));
          pool->checkpoint(slot, /*mark=*/false);
        }
        for (size_t g = 0; g < 2; ++g)
          ASSERT_LE(pool->pages(g).in_use(), pool->pages(g).size()) << "step " << i;
        most = std::max(most, pool->pages(1).in_use());
      }
      EXPECT_GT(most, kSlots * pages_per_slot(window, kCtx, 16)) << window << ", " << count;
      for (const SlotId slot : alive)
        ASSERT_TRUE(pool->free_slot(slot).ok());
      EXPECT_EQ(pool->pages(0).in_use() + pool->pages(1).in_use(), 0u);
    }
}

// Tests that a saved state brings its checkpoints along: the loaded one goes back as the saved one
// would, with as many as there is room for; and that the file has what it must.
TEST(Checkpoint, StatesBringTheirsAlong) {
  std::mt19937 random(7);
  const auto tokens = random_tokens(random, 2600);
  const std::string path = test::fresh_path("checkpoint.state");
  for (const Kind &kind : kKinds) {
    {
      auto engine = open(kind, {.checkpoints = budget(kind, 3000, 1, 14), .threads = 1});
      const SlotId slot = *engine->create_slot();
      feed(*engine, slot, std::span(tokens).first(1000));
      ASSERT_TRUE(engine->checkpoint(slot).ok());
      feed(*engine, slot, std::span(tokens).subspan(1000));
      ASSERT_TRUE(engine->save_state(slot, path).ok());
    }
    for (const uint64_t count : {0u, 2u, 3u, 5u, 14u}) {
      auto engine =
          open(kind, {.slots = 2, .checkpoints = budget(kind, 3000, 2, count), .threads = 1});
      for (const uint64_t at : {2599u, 2300u, 1001u, 999u, 300u}) {
        auto slot = engine->load_state(path);
        ASSERT_TRUE(slot.ok()) << slot.status();
        const uint64_t reached = *engine->rewind(*slot, at);
        if (count != 0)
          EXPECT_LT(at - reached, engine->checkpoints().spacing);
        if (count != 0 && at == 1001)
          EXPECT_EQ(reached, 1000u);
        if (count == 14 && at == 2300)
          EXPECT_EQ(reached, 2048u + 0);
        EXPECT_EQ(feed(*engine, *slot, std::span(tokens).subspan(reached)),
                  fake_logits(tokens, kind.recurrent, kind.window));
        ASSERT_TRUE(engine->free_slot(*slot).ok());
      }
    }
  }
}

// Tests that damage to what a state says of its checkpoints is found, and that no pages or slots
// leak by it, however often.
TEST(Checkpoint, DamagedStatesAreRefused) {
  const Kind kind{true, 100};
  auto engine = open(kind, {.checkpoints = budget(kind, 3000, 1, 14), .threads = 1});
  std::mt19937 random(8);
  const auto tokens = random_tokens(random, 700);
  SlotId slot = *engine->create_slot();
  feed(*engine, slot, tokens);
  ASSERT_TRUE(engine->checkpoint(slot).ok());
  feed(*engine, slot, std::span(tokens).first(3));
  const std::string path = test::fresh_path("good.state");
  ASSERT_TRUE(engine->save_state(slot, path).ok());
  ASSERT_TRUE(engine->free_slot(slot).ok());
  const std::vector<uint8_t> good = test::read_file(path);
  const size_t lists = 72 + 4 * 703 + 2 * 8;
  // Also where who did the damage made the checksums right again.
  auto refused = [&](std::vector<uint8_t> bad, bool right) {
    if (right) {
      const uint64_t body = artifact::checksum(&bad[72], bad.size() - 72);
      std::memcpy(&bad[56], &body, 8);
      const uint64_t header = artifact::checksum(bad.data(), 64);
      std::memcpy(&bad[64], &header, 8);
    }
    return engine->load_state(test::write_file("bad.state", bad)).status();
  };
  for (size_t i = lists - 16; i < lists + 5 * 8; ++i)
    for (int bit = 0; bit < 8; ++bit) {
      auto bad = good;
      bad[i] ^= static_cast<uint8_t>(1u << bit);
      EXPECT_EQ(refused(bad, false).code(), absl::StatusCode::kDataLoss) << i << ", bit " << bit;
    }
  const auto put = [&](size_t at, uint64_t value) {
    auto bad = good;
    std::memcpy(&bad[at], &value, 8);
    return refused(bad, true);
  };
  EXPECT_THAT(message(put(lists + 16, 257)), HasSubstr("cannot be a checkpoint at position 257"));
  EXPECT_THAT(message(put(lists + 24, 256)), HasSubstr("cannot be a checkpoint at position 256"));
  EXPECT_THAT(message(put(lists + 32, 704)), HasSubstr("cannot be a checkpoint at position 704"));
  EXPECT_THAT(message(put(lists + 8, 1u << 20)), HasSubstr("marks beyond its end"));
  EXPECT_THAT(message(put(48, uint64_t{1} << 61)), HasSubstr("checkpoints"));
  EXPECT_THAT(message(put(48, 2)), HasSubstr("bytes, and should have"));
  EXPECT_THAT(message(put(16, 1)), HasSubstr("another model"));
  auto loaded = engine->load_state(path);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(*engine->rewind(*loaded, 702), 700u);
}

} // namespace
} // namespace quern::session
