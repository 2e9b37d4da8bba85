#include "runtime/session/Memory.h"

#include "runtime/session/KvPages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace quern::session {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

const ModelSizes kModel{.weights = 1000,
                        .code = 10,
                        .arena = 100,
                        .slot_bytes = 64,
                        .max_tokens = 32,
                        .kv_groups = {{.layers = 2, .window = 0, .page_bytes = 640}}};
// As many layers again that see 100 positions.
const ModelSizes kWindowed = [] {
  ModelSizes sizes = kModel;
  sizes.kv_groups.push_back({.layers = 2, .window = 100, .page_bytes = 640});
  return sizes;
}();

TEST(Memory, CountsWholePagesForEverySlot) {
  EXPECT_EQ(memory_use(kModel, 64, 1).state, 64u + 640);
  EXPECT_EQ(memory_use(kModel, 65, 2).state, 2u * (64 + 2 * 640));
  EXPECT_EQ(memory_use(kModel, 65, 2).total, 1110 + 2u * (64 + 2 * 640));
  EXPECT_EQ(kModel.state_per_token(), 10u);
}

// Tests that a window bounds its group's pages: 100 + 32 - 1 positions touch 4, wherever they
// begin, and a context that has fewer needs fewer.
TEST(Memory, WindowsAreBoundedByTheSlot) {
  EXPECT_EQ(kWindowed.state_per_token(), 10u);
  EXPECT_EQ(kWindowed.state_per_slot(64), 64u + 640);
  EXPECT_EQ(kWindowed.state_per_slot(129), 64u + 3 * 640);
  EXPECT_EQ(kWindowed.state_per_slot(1 << 20), 64u + 4 * 640);
  EXPECT_EQ(memory_use(kWindowed, 65, 2).state, 2u * (64 + 2 * 640 + 2 * 640));
  EXPECT_EQ(memory_use(kWindowed, 640, 2).state, 2u * (64 + 4 * 640 + 10 * 640));
}

// Tests pages_per_slot against every place where a step can begin: no fewer pages than it touches,
// and no more than some step does.
TEST(Memory, PagesPerSlotAreWhatAStepTouches) {
  for (uint64_t window : {1, 2, 63, 64, 65, 66, 100, 128, 129})
    for (uint64_t tokens : {1, 2, 16, 63, 64, 65, 200}) {
      uint64_t most = 0;
      for (uint64_t position = 0; position < 1000; ++position)
        most = std::max(most, pages_for(position + tokens) - first_page(window, position));
      EXPECT_EQ(pages_per_slot(window, 10000, tokens), most) << window << ", " << tokens;
    }
  EXPECT_EQ(pages_per_slot(0, 1000, 16), 16u);
  EXPECT_EQ(pages_per_slot(1000, 70, 16), 2u);
}

// Tests that the context named as fitting does fit, and that the next page would not.
TEST(Memory, NamesTheContextThatFits) {
  for (const ModelSizes &sizes : {kModel, kWindowed})
    for (uint64_t ceiling : {1174u, 1813u, 1814u, 3733u, 5000u, 100000u})
      for (uint64_t slots : {1u, 3u})
        for (uint64_t ctx : {4096u, 4095u}) {
          const uint64_t fits = context_that_fits(sizes, ctx, slots, ceiling);
          if (fits > 0)
            EXPECT_LE(memory_use(sizes, fits, slots).total, ceiling);
          if (fits < ctx)
            EXPECT_GT(memory_use(sizes, fits + 1, slots).total, ceiling);
        }
}

// Tests that where all layers have windows, a context that fits is as long as any.
TEST(Memory, WindowsAloneFitAnyContext) {
  ModelSizes sizes = kModel;
  sizes.kv_groups = {{.layers = 2, .window = 100, .page_bytes = 640}};
  EXPECT_EQ(sizes.state_per_token(), 0u);
  EXPECT_EQ(context_that_fits(sizes, 1 << 30, 1, 1110 + 64 + 4 * 640), 1u << 30);
  EXPECT_EQ(context_that_fits(sizes, 1 << 30, 1, 1110 + 64 + 4 * 640 - 1), 192u);
}

// Tests that a device's own memory also holds a step and its results, by the context: they are part
// of what must fit.
TEST(Memory, StagingCounts) {
  ModelSizes sizes = kModel;
  sizes.staging = {.step = 1000, .per_page = 100, .results = 512};
  EXPECT_EQ(memory_use(sizes, 65, 1).staging, 1280u + 512); // 1000 + 2 * 100, to 256 bytes
  EXPECT_EQ(memory_use(sizes, 65, 1).total, memory_use(kModel, 65, 1).total + 1280 + 512);
  EXPECT_EQ(memory_use(kModel, 65, 1).staging, 0u);
  const uint64_t ceiling = memory_use(sizes, 640, 1).total;
  EXPECT_EQ(context_that_fits(sizes, 4096, 1, ceiling), 640u);
  EXPECT_THAT(std::string(check_fits(sizes, 4096, 1, ceiling, "allows").message()),
              HasSubstr(", staging "));
}

// Tests that a step's results are named where they are what does not fit, with a --max-tokens whose
// results do; and that fewer tokens than sequences are not said to.
TEST(Memory, NamesTheStepThatFits) {
  ModelSizes sizes = kModel;
  sizes.max_tokens = 512;
  sizes.max_seqs = 16;
  sizes.staging = {.step = 1000, .per_page = 100, .results = 512 * 1000};
  const auto hint = [&](uint64_t ctx, uint64_t ceiling) {
    const std::string text(check_fits(sizes, ctx, 1, ceiling, "allows").message());
    return text.substr(text.find("hint: "));
  };
  EXPECT_EQ(hint(640, 100000), "hint: no context fits: weights, arena, code and staging alone take "
                               "502.1 KiB; compiled with --max-tokens 64 it would fit");
  sizes.staging.results = 64 * 1000; // as it is compiled then
  EXPECT_TRUE(check_fits(sizes, 640, 1, 100000, "allows").ok());
  sizes.staging.results = 512 * 1000;
  EXPECT_THAT(hint(640, 26000), HasSubstr("with --max-tokens 16 it would fit with -c 64"));
  EXPECT_THAT(hint(64, 3000), EndsWith("of which a smaller --max-tokens takes less"));
  sizes.staging = {};
  EXPECT_EQ(hint(64, 500), "hint: no context fits: weights, arena and code alone take 1.1 KiB");
}

TEST(Memory, SaysWhatWouldFit) {
  EXPECT_TRUE(check_fits(kModel, 64, 1, 1814, "allows").ok());
  const absl::Status status = check_fits(kModel, 4096, 1, 5000, "and --memory allows");
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("needs 41.1 KiB (42134 bytes"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("hint: -c 320 would fit"));
  EXPECT_THAT(std::string(check_fits(kModel, 64, 1, 500, "allows").message()),
              HasSubstr("no context fits"));
}

// Tests that numbers beyond 64 bits are "too much", not small.
TEST(Memory, Saturates) {
  EXPECT_EQ(memory_use(kModel, UINT64_MAX, UINT64_MAX).total, UINT64_MAX);
  EXPECT_FALSE(check_fits(kModel, UINT64_MAX, 5, UINT64_MAX - 1, "allows").ok());
}

TEST(Memory, ReadsTheMachine) { EXPECT_GT(available_memory(), 0u); }

TEST(Memory, PrintsBytes) {
  EXPECT_EQ(human_bytes(412), "412 B");
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
  EXPECT_EQ(human_bytes(UINT64_MAX), "16.0 EiB");
}

} // namespace
} // namespace quern::session
