#include "runtime/session/Memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace quern::session {
namespace {

using testing::HasSubstr;

constexpr ModelSizes kModel{
    .weights = 1000, .code = 10, .arena = 100, .slot_bytes = 64, .page_bytes = 640};

TEST(Memory, CountsWholePagesForEverySlot) {
  EXPECT_EQ(memory_use(kModel, 64, 1).state, 64u + 640);
  EXPECT_EQ(memory_use(kModel, 65, 2).state, 2u * (64 + 2 * 640));
  EXPECT_EQ(memory_use(kModel, 65, 2).total, 1110 + 2u * (64 + 2 * 640));
  EXPECT_EQ(kModel.state_per_token(), 10u);
}

// Tests that the context named as fitting does fit, and that the next page would not.
TEST(Memory, NamesTheContextThatFits) {
  for (uint64_t ceiling : {1174u, 1813u, 1814u, 5000u, 100000u})
    for (uint64_t slots : {1u, 3u}) {
      const uint64_t fits = context_that_fits(kModel, 4096, slots, ceiling);
      if (fits > 0)
        EXPECT_LE(memory_use(kModel, fits, slots).total, ceiling);
      if (fits < 4096)
        EXPECT_GT(memory_use(kModel, fits + 1, slots).total, ceiling);
    }
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
