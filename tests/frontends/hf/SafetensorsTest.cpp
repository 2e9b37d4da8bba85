// Tests that safetensors files are read as written, and that anything missing, left over or
// inconsistent is refused.
#include "frontends/hf/Safetensors.h"

#include "tests/support/AllocationMeter.h"
#include "tests/support/GuardedBytes.h"
#include "tests/support/Mutate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace quern::hf {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string file_bytes(const std::string &header, const std::string &data) {
  const uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

std::string sample() {
  return file_bytes(R"({"__metadata__":{"format":"pt"},
"b.weight":{"dtype":"F32","shape":[2,1],"data_offsets":[6,14]},
"a.weight":{"dtype":"BF16","shape":[3],"data_offsets":[0,6]},
"empty":{"dtype":"F32","shape":[0,5],"data_offsets":[14,14]},
"scalar":{"dtype":"I64","shape":[],"data_offsets":[14,22]}}   )",
                    "AAAAAABBBBBBBBCCCCCCCC");
}

std::string parse_error(const std::string &bytes) {
  const testing_support::GuardedBytes guarded(bytes);
  const auto tensors = parse_safetensors(guarded.bytes(), "m.safetensors");
  return tensors.ok() ? "" : std::string(tensors.status().message());
}

std::string tensor_error(const std::string &tensors, size_t data) {
  return parse_error(file_bytes(tensors, std::string(data, 'd')));
}

class Folder : public testing::Test {
protected:
  Folder() { fs::create_directories(path_); }
  ~Folder() override { fs::remove_all(path_); }
  void write(const std::string &name, const std::string &bytes) const {
    std::ofstream(path_ / name, std::ios::binary) << bytes;
  }
  void write_tensor(const std::string &file, const std::string &tensor, char value) const {
    write(file, file_bytes("{\"" + tensor +
                               "\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
                           std::string(4, value)));
  }
  std::string error(const std::string &name = "") const {
    return std::string(Safetensors::open((path_ / name).string()).status().message());
  }
  const fs::path path_ = fs::path(testing::TempDir()) / (std::to_string(getpid()) + "-safetensors");
};

TEST_F(Folder, ReadsAFile) {
  write("model.safetensors", sample());
  const auto model = Safetensors::open(path_.string());
  ASSERT_TRUE(model.ok()) << model.status();
  ASSERT_EQ(model->tensors().size(), 4u);
  const SafeTensor &b = **model->require("b.weight");
  EXPECT_EQ(b.dtype, "F32");
  EXPECT_EQ(b.format, "f32");
  EXPECT_THAT(b.shape, ElementsAre(2, 1));
  EXPECT_EQ(b.bytes, 8u);
  EXPECT_EQ(model->files()[0]->bytes()[b.offset], std::byte{'B'});
  EXPECT_EQ(model->find("a.weight")->format, "bf16");
  EXPECT_EQ(model->find("scalar")->format, "");
  EXPECT_EQ(model->find("empty")->bytes, 0u);
  EXPECT_EQ(model->find("c"), nullptr);
  EXPECT_THAT(std::string(model->require("c").status().message()),
              AllOf(HasSubstr("model.safetensors: tensor 'c' is missing")));
}

TEST_F(Folder, ReadsShardsByTheirIndex) {
  write_tensor("one.safetensors", "a", '1');
  write_tensor("two.safetensors", "b", '2');
  write(
      "model.safetensors.index.json",
      R"({"metadata":{"total_size":8},"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})");
  const auto model = Safetensors::open(path_.string());
  ASSERT_TRUE(model.ok()) << model.status();
  ASSERT_EQ(model->files().size(), 2u);
  const SafeTensor &b = *model->find("b");
  EXPECT_EQ(model->files()[static_cast<size_t>(b.file)]->bytes()[b.offset], std::byte{'2'});
  // A copy of a tensor in another shard does not count.
  write_tensor("one.safetensors", "b", '1');
  EXPECT_THAT(error(), HasSubstr("tensor 'a' is not in one.safetensors, where the index has it"));
}

TEST_F(Folder, RefusesAnIndexThatLeadsElsewhere) {
  const std::string name = "model.safetensors.index.json";
  for (const char *file : {"../x.safetensors", "/etc/passwd", "", ".."}) {
    write(name, std::string(R"({"weight_map":{"a":")") + file + "\"}}");
    EXPECT_THAT(error(), HasSubstr("no file beside it"));
  }
  write(name, R"({"weight_map":{"a":"missing.safetensors"}})");
  EXPECT_THAT(error(),
              HasSubstr("missing.safetensors: is missing, and the model's index names it"));
  write(name, R"({"weight_map":[]})");
  EXPECT_THAT(error(), HasSubstr("no object 'weight_map'"));
  write(name, R"({"weight_map":{"a":1}})");
  EXPECT_THAT(error(), HasSubstr("no file name for tensor 'a'"));
}

TEST_F(Folder, SaysWhatIsInAFolderWithoutWeights) {
  EXPECT_THAT(error(), HasSubstr("has no .safetensors file\nhint: download"));
  write("pytorch_model.bin", "x");
  EXPECT_THAT(error(), HasSubstr("PyTorch's pickle format"));
  write_tensor("one.safetensors", "a", '1');
  EXPECT_EQ(error(), "");
  write_tensor("two.safetensors", "b", '2');
  EXPECT_THAT(error(), HasSubstr("(one.safetensors, two.safetensors)"));
  EXPECT_THAT(error("no"), HasSubstr("cannot open it"));
}

TEST(Safetensors, RefusesWhatIsWrong) {
  EXPECT_THAT(parse_error("1234567"), HasSubstr("m.safetensors: has 7 bytes"));
  EXPECT_THAT(parse_error(std::string(8, '\xff')), HasSubstr("it may be no safetensors file"));
  EXPECT_THAT(parse_error(std::string("\x09\0\0\0\0\0\0\0{}", 10)),
              HasSubstr("ends inside its header"));
  EXPECT_THAT(tensor_error("{", 0), HasSubstr("m.safetensors (header): not valid JSON"));
  EXPECT_THAT(tensor_error("[]", 0), HasSubstr("no JSON object"));
  EXPECT_EQ(tensor_error("{}", 0), "");
  EXPECT_THAT(tensor_error("{}", 1), HasSubstr("has 11 bytes, its tensors end at 10"));
  const auto one = [](const std::string &entry, size_t data) {
    return tensor_error("{\"t\":" + entry + "}", data);
  };
  EXPECT_EQ(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})", 8), "");
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})", 9),
              HasSubstr("its tensors end at"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[2],"data_offsets":[1,9]})", 9),
              HasSubstr("not at the end of"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})", 7),
              HasSubstr("0 to 8 of the 7 bytes"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})", 8),
              HasSubstr("has 8 bytes of data, not 12"));
  EXPECT_THAT(one(R"({"dtype":"F4","shape":[3],"data_offsets":[0,1]})", 1),
              HasSubstr("bytes of data, not"));
  EXPECT_EQ(one(R"({"dtype":"F4","shape":[4],"data_offsets":[0,2]})", 2), "");
  EXPECT_THAT(one(R"({"dtype":"F99","shape":[2],"data_offsets":[0,8]})", 8),
              HasSubstr("dtype that is unknown"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})", 8),
              HasSubstr("dimension that is no number"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]})", 0),
              HasSubstr("larger than any file"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})", 8), HasSubstr("8 to 0"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0]})", 8),
              HasSubstr("no [begin, end]"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[2]})", 8), HasSubstr("not described by"));
  const std::string overlap =
      R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})";
  EXPECT_THAT(tensor_error(overlap, 3),
              AllOf(HasSubstr("tensor 'b' begins at"), HasSubstr("inside the data before it")));
  const std::string twice =
      R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})";
  EXPECT_THAT(tensor_error(twice, 2), HasSubstr("key 'a' is there twice"));
}

TEST(Safetensors, NoticesEveryTruncation) {
  const std::string bytes = sample();
  ASSERT_EQ(parse_error(bytes), "");
  for (size_t length = 0; length < bytes.size(); ++length)
    ASSERT_NE(parse_error(bytes.substr(0, length)), "") << "cut to " << length;
  EXPECT_NE(parse_error(bytes + "x"), "");
}

TEST(Safetensors, SurvivesDamage) {
  const std::string original = sample();
  int accepted = 0;
  for (uint32_t i = 0; i < 10000; ++i) {
    const std::string bytes = testing_support::mutate(original, i);
    const testing_support::GuardedBytes guarded(bytes);
    const size_t before = testing_support::allocated_bytes();
    const auto tensors = parse_safetensors(guarded.bytes(), "m.safetensors");
    ASSERT_LT(testing_support::allocated_bytes() - before, 64 * bytes.size() + 65536) << i;
    if (!tensors.ok()) {
      ASSERT_THAT(std::string(tensors.status().message()), HasSubstr("m.safetensors")) << i;
      continue;
    }
    ++accepted;
    for (const SafeTensor &tensor : *tensors) {
      ASSERT_LE(tensor.offset, bytes.size());
      ASSERT_LE(tensor.bytes, bytes.size() - tensor.offset);
    }
  }
  EXPECT_GT(accepted, 100);
}

} // namespace
} // namespace quern::hf
