#include "runtime/cli/Npy.h"

#include "tests/runtime/fake/FakeArtifact.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
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
  for (ElementType type :
       {ElementType::f32, ElementType::i64, ElementType::boolean, ElementType::i16,
        ElementType::u16, ElementType::u32, ElementType::u64, ElementType::f64, ElementType::f16})
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

// A .npy file with that header's entries and data, as numpy.save writes it.
std::string npy_file(const std::string &descr, bool fortran, const std::string &shape,
                     const std::vector<uint8_t> &data) {
  std::string header = "{'descr': '" + descr +
                       "', 'fortran_order': " + (fortran ? "True" : "False") +
                       ", 'shape': " + shape + ", }";
  header.resize(117, ' ');
  header += '\n';
  std::string bytes("\x93NUMPY\x01\x00\x76\x00", 10);
  bytes += header + std::string(data.begin(), data.end());
  return test::write_file("numpy.npy", std::vector<uint8_t>(bytes.begin(), bytes.end()));
}

// Tests the orders that numpy.save leaves arrays in: the first dimension innermost, and bytes as
// other machines have them.
TEST(Npy, TurnsOrdersRound) {
  auto read = read_npy(npy_file("|u1", true, "(2, 3)", {1, 4, 2, 5, 3, 6}));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_THAT(read->shape, testing::ElementsAre(2, 3));
  EXPECT_THAT(read->bytes, testing::ElementsAre(1, 2, 3, 4, 5, 6));
  read = read_npy(npy_file("<i2", true, "(2, 1, 2)", {1, 0, 3, 0, 2, 0, 4, 0}));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_THAT(read->bytes, testing::ElementsAre(1, 0, 2, 0, 3, 0, 4, 0));
  read = read_npy(npy_file("<i4", true, "(0, 5)", {}));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(read->bytes.empty());
  read = read_npy(npy_file(">i4", false, "(2,)", {0, 0, 1, 2, 0, 0, 3, 4}));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->type, ElementType::i32);
  EXPECT_THAT(read->bytes, testing::ElementsAre(2, 1, 0, 0, 4, 3, 0, 0));
}

std::vector<float> floats_of(const NpyArray &array) {
  std::vector<float> values(array.bytes.size() / 4);
  std::memcpy(values.data(), array.bytes.data(), array.bytes.size());
  return values;
}

// Tests that types that NumPy lacks are read as what the entry takes, from the bytes that it saves
// for ml_dtypes' types and from what results are written as; and not without being asked for.
TEST(Npy, ReadsWhatNumpyLacks) {
  const auto bytes = [](const std::string &descr, ElementType wanted, std::vector<uint8_t> data) {
    const std::string count = std::to_string(data.size() / artifact::element_bytes(wanted));
    auto read = read_npy(npy_file(descr, false, "(" + count + ",)", data), wanted);
    EXPECT_TRUE(read.ok()) << descr << ": " << read.status();
    if (!read.ok())
      return std::vector<uint8_t>();
    EXPECT_EQ(read->type, wanted);
    return read->bytes;
  };
  using testing::ElementsAre;
  EXPECT_THAT(bytes("<V2", ElementType::bf16, {0xc0, 0x3f}), ElementsAre(0xc0, 0x3f));
  EXPECT_THAT(bytes("<V1", ElementType::f8e4m3fn, {0x38, 0xff}), ElementsAre(0x38, 0xff));
  EXPECT_THAT(bytes("<f1", ElementType::f8e5m2, {0x3c}), ElementsAre(0x3c));
  EXPECT_THAT(bytes("|V1", ElementType::i4, {0x08, 0x07, 0xf1}), ElementsAre(0xf8, 7, 1));
  EXPECT_THAT(bytes("|V1", ElementType::u2, {0x07}), ElementsAre(3));
  EXPECT_THAT(bytes("|i1", ElementType::i4, {0xf8, 7}), ElementsAre(0xf8, 7));
  EXPECT_THAT(bytes("|u1", ElementType::u4, {15, 0}), ElementsAre(15, 0));
  const auto refused = [](const std::string &descr, std::optional<ElementType> wanted,
                          std::vector<uint8_t> data) {
    return std::string(read_npy(npy_file(descr, false, "(1,)", data), wanted).status().message());
  };
  EXPECT_THAT(refused("|i1", ElementType::i4, {8}), HasSubstr("a number that no i4 is"));
  EXPECT_THAT(refused("|u1", ElementType::u2, {4}), HasSubstr("a number that no u2 is"));
  EXPECT_THAT(refused("<V2", std::nullopt, {0, 0}), HasSubstr("which no tensor has"));
  EXPECT_THAT(refused("<V2", ElementType::f8e5m2, {0, 0}), HasSubstr("'<V2"));
  EXPECT_THAT(refused("<V2", ElementType::f16, {0, 0}), HasSubstr("'<V2"));
}

// Tests that each is written as a type that NumPy has, with the same values, and comes back from
// it. Source of the values: ml_dtypes 0.5.
TEST(Npy, WritesWhatNumpyLacks) {
  const std::string path = test::fresh_path("lacking.npy");
  const auto written = [&](ElementType type, std::vector<uint8_t> codes) {
    const NpyArray array{type, {static_cast<int64_t>(codes.size())}, codes};
    EXPECT_TRUE(write_npy(path, array).ok());
    auto back = read_npy(path, type);
    EXPECT_TRUE(back.ok()) << back.status();
    if (back.ok())
      EXPECT_EQ(back->bytes, codes) << EnumNameElementType(type);
    auto read = read_npy(path);
    EXPECT_TRUE(read.ok()) << read.status();
    return read.ok() ? *read : NpyArray();
  };
  using testing::ElementsAre;
  EXPECT_THAT(floats_of(written(ElementType::f8e4m3fn, {1, 7, 8, 0x0f, 0x7e, 0xfe})),
              ElementsAre(0.001953125f, 0.013671875f, 0.015625f, 0.029296875f, 448, -448));
  EXPECT_THAT(floats_of(written(ElementType::f8e4m3fnuz, {1, 8, 0x7f, 0xff})),
              ElementsAre(0.0009765625f, 0.0078125f, 240, -240));
  EXPECT_THAT(floats_of(written(ElementType::f8e5m2, {1, 0x0f, 0x7b, 0x7c, 0xfc})),
              ElementsAre(1.52587890625e-05f, 0.00042724609375f, 57344, INFINITY, -INFINITY));
  EXPECT_THAT(floats_of(written(ElementType::f8e5m2fnuz, {1, 0x7f, 0xff})),
              ElementsAre(7.62939453125e-06f, 57344, -57344));
  EXPECT_THAT(floats_of(written(ElementType::f8e8m0, {0, 0x7f, 0x80})),
              ElementsAre(5.877471754111438e-39f, 1, 2));
  EXPECT_THAT(floats_of(written(ElementType::f4e2m1, {0, 1, 2, 3, 4, 5, 6, 7, 9, 15})),
              ElementsAre(0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.5, -6));
  EXPECT_THAT(floats_of(written(ElementType::f6e2m3, {1, 8, 0x1f, 0x3f})),
              ElementsAre(0.125, 1, 7.5, -7.5));
  EXPECT_THAT(floats_of(written(ElementType::f6e3m2, {1, 8, 0x1f, 0x3f})),
              ElementsAre(0.0625, 0.5, 28, -28));
  for (const auto &[type, code] : {std::pair{ElementType::f8e4m3fn, 0x7f},
                                   {ElementType::f8e4m3fnuz, 0x80},
                                   {ElementType::f8e5m2, 0x7d},
                                   {ElementType::f8e5m2fnuz, 0x80},
                                   {ElementType::f8e8m0, 0xff}})
    EXPECT_TRUE(std::isnan(floats_of(written(type, {static_cast<uint8_t>(code)}))[0]));
  const NpyArray four = written(ElementType::i4, {0xf8, 0xff, 7});
  EXPECT_EQ(four.type, ElementType::i8);
  EXPECT_THAT(four.bytes, ElementsAre(0xf8, 0xff, 7));
  // Code leaves what it likes above a number's bits.
  ASSERT_TRUE(write_npy(path, {ElementType::u4, {2}, {0xf3, 0x1f}}).ok());
  EXPECT_THAT(read_npy(path)->bytes, ElementsAre(3, 15));
  ASSERT_TRUE(write_npy(path, {ElementType::i4, {1}, {0x08}}).ok());
  EXPECT_THAT(read_npy(path)->bytes, ElementsAre(0xf8));
  // A float that would have to be rounded is not one of them.
  ASSERT_TRUE(write_npy(path, {ElementType::f32, {1}, {0, 1, 0x80, 0x3f}}).ok());
  EXPECT_THAT(std::string(read_npy(path, ElementType::bf16).status().message()),
              HasSubstr("no bf16 is"));
  EXPECT_THAT(std::string(read_npy(path, ElementType::f8e5m2).status().message()),
              HasSubstr("no f8e5m2 is"));
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
  EXPECT_THAT(with("'<i4'", "'|O4'"), HasSubstr("which no tensor has"));
  EXPECT_THAT(with("'<i4'", "'<M8'"), HasSubstr("which no tensor has"));
  EXPECT_THAT(with("False", "Maybe"), HasSubstr("does not say its order"));
  EXPECT_THAT(with("(3,)", "(4,)"), HasSubstr("needs 16 bytes"));
  EXPECT_THAT(with("(3,)", "(x,)"), HasSubstr("no shape"));
  EXPECT_FALSE(read_npy("/nonexistent.npy").ok());
  const std::vector<uint8_t> archive{'P', 'K', 3, 4, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  EXPECT_THAT(std::string(read_npy(test::write_file("x.npz", archive)).status().message()),
              HasSubstr("save each array by numpy.save"));
}

} // namespace
} // namespace quern::cli
