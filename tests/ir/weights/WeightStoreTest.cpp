// Tests that weights are read by reference: rows of files and of synthetic weights, with every
// bound checked.
#include "ir/weights/WeightStore.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <limits>
#include <unistd.h>

namespace quern::weights {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class WeightStoreTest : public testing::Test {
protected:
  WeightStoreTest() {
    // 4 bytes, then six floats 0..5, then a q8_0 row of 64: two blocks with scale 0.5 and codes
    // 0..31.
    std::string bytes = "head";
    for (int i = 0; i < 6; ++i) {
      const auto value = static_cast<float>(i);
      bytes.append(reinterpret_cast<const char *>(&value), 4);
    }
    for (int block = 0; block < 2; ++block) {
      bytes += std::string("\x00\x38", 2);
      for (int i = 0; i < 32; ++i)
        bytes += static_cast<char>(i);
    }
    std::ofstream(path_, std::ios::binary) << bytes;
    file_ = *store_.add(path_);
  }
  ~WeightStoreTest() override { std::remove(path_.c_str()); }

  WeightRef floats() const {
    return {.file = file_, .offset = 4, .format = "f32", .shape = {3, 2}, .synthetic = {}};
  }
  WeightRef blocks() const {
    return {.file = file_, .offset = 28, .format = "q8_0", .shape = {64}, .synthetic = {}};
  }
  std::string error(const WeightRef &ref) const { return std::string(store_.check(ref).message()); }

  const std::string path_ = testing::TempDir() + std::to_string(getpid()) + "-weight-store-test";
  WeightStore store_;
  int file_ = -1;
};

TEST_F(WeightStoreTest, ReadsRowsOfFiles) {
  std::vector<float> rows(4);
  ASSERT_TRUE(store_.read_rows(floats(), 1, 2, rows.data()).ok());
  EXPECT_THAT(rows, ElementsAre(2, 3, 4, 5));
  rows.resize(64);
  ASSERT_TRUE(store_.read_rows(blocks(), 0, 1, rows.data()).ok());
  EXPECT_EQ(rows[33], 0.5f);
  EXPECT_EQ(*store_.bytes(floats()), 24);
  EXPECT_EQ(*store_.bytes(blocks()), 68);
}

TEST_F(WeightStoreTest, GivesEncodedRowsInPlace) {
  std::vector<std::byte> scratch;
  const auto rows = store_.encoded_rows(floats(), 2, 1, scratch);
  ASSERT_TRUE(rows.ok());
  EXPECT_EQ(rows->data(), store_.file(file_).bytes().data() + 20);
  EXPECT_EQ(rows->size(), 8u);
  EXPECT_TRUE(scratch.empty());
}

TEST_F(WeightStoreTest, JoinsTensorsOneBehindTheOther) {
  // [3, 1, 2]: floats 4 5, then 0 1, then 2 3.
  WeightRef ref = floats();
  ref.shape = {3, 1, 2};
  ref.places = {{file_, 20}, {file_, 4}, {file_, 12}};
  ref.offset = 20;
  std::vector<float> rows(6);
  ASSERT_TRUE(store_.read_rows(ref, 0, 3, rows.data()).ok());
  EXPECT_THAT(rows, ElementsAre(4, 5, 0, 1, 2, 3));
  std::vector<std::byte> scratch;
  const auto one = store_.encoded_rows(ref, 1, 1, scratch);
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(one->data(), store_.file(file_).bytes().data() + 4);
  ref.places.pop_back();
  EXPECT_THAT(error(ref), HasSubstr("2 tensors do not make up its rows"));
  ref.places.push_back({file_, 1 << 20});
  EXPECT_FALSE(store_.check(ref).ok());
}

TEST_F(WeightStoreTest, AddsAFileOnce) {
  EXPECT_EQ(*store_.add(path_), file_);
  EXPECT_EQ(store_.files(), 1);
  EXPECT_FALSE(store_.add("no/such").ok());
}

TEST_F(WeightStoreTest, RefusesWhatIsOutOfRange) {
  std::vector<float> rows(64);
  EXPECT_THAT(std::string(store_.read_rows(floats(), 2, 2, rows.data()).message()),
              HasSubstr("2 rows from row 2 on are not in its 3 rows"));
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  EXPECT_FALSE(store_.read_rows(floats(), kMax, kMax, rows.data()).ok());
  EXPECT_FALSE(store_.read_rows(floats(), -1, 1, rows.data()).ok());
  EXPECT_TRUE(store_.read_rows(floats(), 3, 0, rows.data()).ok());

  WeightRef ref = floats();
  ref.offset = 76;
  EXPECT_THAT(error(ref), HasSubstr("weight at offset 76 of file 0 [3, 2] f32: "));
  ref = floats();
  ref.file = 1;
  EXPECT_THAT(error(ref), HasSubstr("there are 1 files"));
  ref = floats();
  ref.format = "q9";
  EXPECT_THAT(error(ref), HasSubstr("no weight format is named 'q9'"));
  for (const std::vector<int64_t> &shape : std::initializer_list<std::vector<int64_t>>{
           {-1}, {kMax}, {kMax, kMax}, {int64_t{1} << 40, int64_t{1} << 40, 0}, {0, kMax}}) {
    ref.shape = shape;
    ref.format = "f32";
    EXPECT_THAT(error(ref), HasSubstr("larger than any memory"));
  }
  ref.shape = {int64_t{1} << 47, 1};
  ref.format = "q8_0";
  EXPECT_THAT(error(ref), HasSubstr("padded to blocks"));
}

TEST_F(WeightStoreTest, NoticesThatAFileShrank) {
  ASSERT_EQ(truncate(path_.c_str(), 20), 0);
  std::vector<float> rows(6);
  EXPECT_THAT(std::string(store_.read_rows(floats(), 0, 1, rows.data()).message()),
              HasSubstr("had 96 bytes when it was opened"));
}

TEST_F(WeightStoreTest, MakesSyntheticWeights) {
  WeightRef ref{.format = "f32", .shape = {5, 40}, .synthetic = {9, "w", 0.02f, 0}};
  std::vector<float> expected(200), rows(80);
  generate(ref.synthetic, 0, 200, expected.data());
  ASSERT_TRUE(store_.read_rows(ref, 2, 2, rows.data()).ok());
  EXPECT_EQ(std::memcmp(rows.data(), expected.data() + 80, 80 * 4), 0);

  ref.format = "bf16";
  ASSERT_TRUE(store_.read_rows(ref, 2, 2, rows.data()).ok());
  EXPECT_EQ(rows[0], formats::bf16_to_f32(formats::f32_to_bf16(expected[80])));

  ref.format = "int8";
  std::vector<std::byte> scratch;
  const auto encoded = store_.encoded_rows(ref, 4, 1, scratch);
  ASSERT_TRUE(encoded.ok());
  EXPECT_EQ(encoded->size(), 68u);

  ref.format = "q4_k";
  EXPECT_THAT(error(ref), HasSubstr("synthetic weight w [5, 40] q4_k: Quern cannot make"));
}

TEST_F(WeightStoreTest, AScalarIsOneRow) {
  const WeightRef ref{.format = "f32", .shape = {}, .synthetic = {1, "s", 0, 3}};
  float value = 0;
  ASSERT_TRUE(store_.read_rows(ref, 0, 1, &value).ok());
  EXPECT_EQ(value, 3);
}

} // namespace
} // namespace quern::weights
