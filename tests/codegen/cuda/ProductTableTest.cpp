// Tests of the table that says how streamed products are cut.
#include "codegen/cuda/tuning/ProductTable.h"

#include "codegen/cuda/LinearProduct.h"
#include "ir/formats/Packing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace quern::cuda {
namespace {

using testing::HasSubstr;

constexpr const char *kHead = "# a comment\npacking,inputs,panels,together,ring,device\n";

std::string error_of(const std::string &lines) {
  return std::string(ProductTable::parse(kHead + lines).status().message());
}

// Tests that a shape is cut as its line says, and one without a line by the rule.
TEST(ProductTableTest, ShapesAreFound) {
  const auto table = ProductTable::parse(std::string(kHead) +
                                         "q4.g32.z0.min.u8.row,2048,128,2,4096,NVIDIA H200, one\n"
                                         "bf16,2048,128,4,4096,NVIDIA H200\n");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->size(), 2u);
  const formats::Packing int4 = *formats::parse_packing("q4.g32.z0.min.u8.row"),
                         bf16 = *formats::parse_packing("bf16");
  EXPECT_EQ(table->cut(int4, 128, 2048).panels, 2);
  EXPECT_EQ(table->cut(int4, 128, 2048).warp_bytes, 4096);
  EXPECT_EQ(table->cut(bf16, 128, 2048).panels, 4);
  EXPECT_TRUE(table->cut(int4, 128, 4096).is_default());
  EXPECT_TRUE(table->cut(int4, 64, 2048).is_default());
  EXPECT_TRUE(table->cut(*formats::parse_packing("f16"), 128, 2048).is_default());
}

// Tests that a table that cannot be meant is refused, with its line.
TEST(ProductTableTest, MistakesAreNamed) {
  EXPECT_THAT(std::string(ProductTable::parse("").status().message()),
              HasSubstr("there is no line"));
  EXPECT_THAT(std::string(ProductTable::parse("packing,inputs\n").status().message()),
              HasSubstr("line 1: the columns are"));
  EXPECT_THAT(error_of("bf16,2048,128,2\n"), HasSubstr("line 3: 'bf16,2048,128,2' is not"));
  EXPECT_THAT(error_of("bf17,2048,128,2,8192,x\n"), HasSubstr("line 3"));
  EXPECT_THAT(error_of("bf16,2048,127,2,8192,x\n"), HasSubstr("a multiple"));
  EXPECT_THAT(error_of("bf16,2048,128,3,8192,x\n"), HasSubstr("1, 2, 4 or 8"));
  EXPECT_THAT(error_of("bf16,2048,128,2,100,x\n"), HasSubstr("1024 to 65536"));
  EXPECT_THAT(error_of("bf16,2048,128,2,65536,x\n"), HasSubstr("shared memory"));
  EXPECT_THAT(error_of("bf16,2048,128,2,8192,x\nbf16,2048,128,4,8192,x\n"),
              HasSubstr("line 4: this shape came before"));
}

// Tests that the compiler's own table can be read, and that the one that the environment names is
// what products are cut by.
TEST(ProductTableTest, ProductsAreCutByIt) {
  std::ifstream own(QUERN_SOURCE_DIR "/codegen/cuda/tuning/products.csv");
  const std::string text{std::istreambuf_iterator<char>(own), {}};
  EXPECT_TRUE(ProductTable::parse(text).ok());
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "products.csv";
  std::ofstream(path) << kHead << "bf16,2048,128,4,4096,x\n";
  setenv("QUERN_CUDA_TUNING", path.c_str(), 1);
  ASSERT_TRUE(ProductTable::current().ok()) << ProductTable::current().status();
  ProductShape shape{.packing = *formats::parse_packing("bf16"),
                     .inputs = 2048,
                     .outputs = 2048,
                     .panels = 128,
                     .form = Form::One,
                     .quantized = false};
  for (const Form form : {Form::One, Form::Many}) {
    shape.form = form;
    EXPECT_EQ(productFor(shape).panels, 4);
    EXPECT_THAT(productFor(shape).shape, HasSubstr("{.panels = 4, .warp_bytes = 4096}"));
  }
  shape.inputs = 4096;
  EXPECT_THAT(productFor(shape).shape, testing::Not(HasSubstr("warp_bytes")));
}

} // namespace
} // namespace quern::cuda
