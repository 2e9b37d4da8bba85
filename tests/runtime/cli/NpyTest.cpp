#include "runtime/cli/Npy.h"

#include "tests/runtime/fake/FakeArtifact.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

namespace quern::cli {
namespace {

using artifact::ElementType;
using testing::HasSubstr;

NpyArray ramp(ElementType type, std::vector<int64_t> shape) {
  NpyArray array{type, shape, {}};
  uint64_t count = artifact::element_bytes(type);
  for (int64_t dim : shape)
    count *= static_cast<uint64_t>(dim);
  for (uint64_t i = 0; i < count; ++i)
    array.bytes.push_back(static_cast<uint8_t>(i));
  return array;
}

TEST(Npy, ReadsWhatItWrites) {
  const std::string path = test::fresh_path("ramp.npy");
  for (ElementType type : {ElementType::f32, ElementType::i64, ElementType::boolean})
    for (const std::vector<int64_t> &shape :
         std::vector<std::vector<int64_t>>{{}, {5}, {2, 3}, {0, 4}}) {
      const NpyArray array = ramp(type, shape);
      ASSERT_TRUE(write_npy(path, array).ok());
      auto read = read_npy(path);
      ASSERT_TRUE(read.ok()) << read.status();
      EXPECT_EQ(read->type, type);
      EXPECT_EQ(read->shape, shape);
      EXPECT_EQ(read->bytes, array.bytes);
    }
}

// Tests the bytes themselves, against the format's description: what numpy.save writes.
TEST(Npy, WritesTheFormat) {
  const std::string path = test::fresh_path("format.npy");
  ASSERT_TRUE(write_npy(path, ramp(ElementType::f32, {2})).ok());
  const auto bytes = test::read_file(path);
  const std::string text(bytes.begin(), bytes.end());
  EXPECT_EQ(text.substr(0, 10), std::string("\x93NUMPY\x01\x00\x76\x00", 10));
  EXPECT_THAT(text, HasSubstr("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"));
  EXPECT_EQ(text[127], '\n');
  EXPECT_EQ(text.size(), 128u + 8);
}

TEST(Npy, WidensBfloat16) {
  const std::string path = test::fresh_path("bf16.npy");
  ASSERT_TRUE(write_npy(path, {ElementType::bf16, {1}, {0xc0, 0x3f}}).ok()); // 1.5
  auto read = read_npy(path);
  ASSERT_TRUE(read.ok());
  float value;
  std::memcpy(&value, read->bytes.data(), 4);
  EXPECT_EQ(value, 1.5f);
}

// Tests damaged and foreign files: each cut of a good one, and headers that lie.
TEST(Npy, RefusesWhatItCannotRead) {
  const std::string path = test::fresh_path("good.npy");
  ASSERT_TRUE(write_npy(path, ramp(ElementType::i32, {3})).ok());
  const auto good = test::read_file(path);
  for (size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(read_npy(test::write_file("bad.npy", std::span(good).first(size))).ok()) << size;
  auto with = [&](std::string from, std::string to) {
    std::string text(good.begin(), good.end());
    text.replace(text.find(from), from.size(), to);
    const std::vector<uint8_t> bytes(text.begin(), text.end());
    return std::string(read_npy(test::write_file("bad.npy", bytes)).status().message());
  };
  EXPECT_THAT(with("'<i4'", "'>i4'"), HasSubstr("which no tensor has"));
  EXPECT_THAT(with("'<i4'", "'|O4'"), HasSubstr("which no tensor has"));
  EXPECT_THAT(with("False", "True "), HasSubstr("Fortran"));
  EXPECT_THAT(with("(3,)", "(4,)"), HasSubstr("needs 16 bytes"));
  EXPECT_THAT(with("(3,)", "(x,)"), HasSubstr("no shape"));
  EXPECT_FALSE(read_npy("/nonexistent.npy").ok());
}

} // namespace
} // namespace quern::cli
