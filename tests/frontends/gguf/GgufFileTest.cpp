// Tests that GGUF files are read as written, and that damaged ones are refused with the place and
// the remedy.
#include "frontends/gguf/GgufFile.h"

#include "ir/formats/Format.h"
#include "tests/frontends/gguf/GgufWriter.h"
#include "tests/support/AllocationMeter.h"
#include "tests/support/GuardedBytes.h"
#include "tests/support/Mutate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <limits>
#include <unistd.h>

namespace quern::gguf {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing_support::GuardedBytes;

GgufWriter sample() {
  GgufWriter writer;
  writer.string("general.architecture", "llama").u32("llama.block_count", 2);
  writer.key("i8", 1, GgufWriter::raw<int8_t>(-3))
      .key("u64", 10, GgufWriter::raw<uint64_t>(1u << 31));
  writer.key("f32", 6, GgufWriter::raw(0.5f)).key("f64", 12, GgufWriter::raw(0.25));
  writer.key("yes", 7, "\1").key("huge", 10, GgufWriter::raw(~uint64_t{0}));
  writer.strings("tokens", {"a", "", "\xff\x01 long token"}).strings("none", {});
  writer.array<int32_t>("types", 5, {1, -1}).array<float>("scores", 6, {1.5f, -2.0f});
  writer.array<uint8_t>("flags", 7, {0, 1, 1});
  writer.tensor("small", {3}, 0, std::string(12, 'x'));
  writer.tensor("weight", {32, 2}, 2, std::string(36, 'y'));
  writer.tensor("last", {5, 1, 2}, 1, std::string(20, 'z'));
  return writer;
}

std::string write_file(const std::string &name, const std::string &bytes) {
  const std::string path = testing::TempDir() + std::to_string(getpid()) + "-" + name;
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

class TemporaryFile {
public:
  TemporaryFile(const std::string &name, const std::string &bytes)
      : path(write_file(name, bytes)) {}
  ~TemporaryFile() { std::remove(path.c_str()); }
  const std::string path;
};

std::string parse_error(const std::string &bytes) {
  const GuardedBytes guarded(bytes);
  const auto shard = parse_shard(guarded.bytes(), "model.gguf");
  return shard.ok() ? "" : std::string(shard.status().message());
}

TEST(GgufFile, ReadsMetadataOfEveryType) {
  for (const uint32_t version : {2u, 3u}) {
    GgufWriter writer = sample();
    writer.version = version;
    const TemporaryFile file("typed.gguf", writer.bytes());
    const auto model = GgufFile::open(file.path);
    ASSERT_TRUE(model.ok()) << model.status();
    EXPECT_EQ(*model->get_string("general.architecture"), "llama");
    EXPECT_EQ(*model->get_int("llama.block_count"), 2);
    EXPECT_EQ(*model->get_int("i8"), -3);
    EXPECT_EQ(*model->get_int("u64"), int64_t{1} << 31);
    EXPECT_EQ(*model->get_int("huge"), std::numeric_limits<int64_t>::max());
    EXPECT_EQ(*model->get_float("f32"), 0.5);
    EXPECT_EQ(*model->get_float("f64"), 0.25);
    EXPECT_TRUE(*model->get_bool("yes"));
    EXPECT_THAT(*model->get_strings("tokens"), ElementsAre("a", "", "\xff\x01 long token"));
    EXPECT_THAT(*model->get_strings("none"), ElementsAre());
    EXPECT_THAT(*model->get_ints("types"), ElementsAre(1, -1));
    EXPECT_THAT(*model->get_floats("scores"), ElementsAre(1.5f, -2.0f));
    EXPECT_THAT(*model->get_bools("flags"), ElementsAre(false, true, true));
    EXPECT_EQ(model->keys().size(), 13u);
    EXPECT_EQ(model->keys()[1], "llama.block_count");
    EXPECT_FALSE(model->has("small"));
  }
}

TEST(GgufFile, SaysWhichKeyIsMissingOrOfAnotherType) {
  const TemporaryFile file("keys.gguf", sample().bytes());
  const auto model = GgufFile::open(file.path);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_THAT(std::string(model->get_int("llama.context_length").status().message()),
              AllOf(HasSubstr(file.path), HasSubstr("key 'llama.context_length' is missing")));
  EXPECT_THAT(std::string(model->get_int("f32").status().message()),
              HasSubstr("key 'f32' is a float32, not an integer"));
  EXPECT_THAT(std::string(model->get_int("types").status().message()),
              HasSubstr("key 'types' is an array of int32, not an integer"));
  EXPECT_THAT(std::string(model->get_strings("general.architecture").status().message()),
              HasSubstr("is a string, not an array of strings"));
}

TEST(GgufFile, PlacesTensors) {
  const TemporaryFile file("tensors.gguf", sample().bytes());
  const auto model = GgufFile::open(file.path);
  ASSERT_TRUE(model.ok()) << model.status();
  ASSERT_EQ(model->tensors().size(), 3u);
  const Tensor &weight = *model->find_tensor("weight");
  EXPECT_THAT(weight.shape, ElementsAre(2, 32));
  EXPECT_STREQ(weight.type->name, "Q4_0");
  EXPECT_EQ(weight.bytes, 36u);
  const Tensor &last = *model->find_tensor("last");
  EXPECT_THAT(last.shape, ElementsAre(2, 1, 5));
  const auto bytes = model->files()[0]->bytes();
  EXPECT_EQ(bytes[weight.offset], std::byte{'y'});
  EXPECT_EQ(bytes[last.offset + last.bytes - 1], std::byte{'z'});
  EXPECT_EQ(model->find_tensor("other"), nullptr);
}

TEST(GgufFile, RespectsAlignment) {
  GgufWriter writer;
  writer.alignment = 256;
  writer.u32("general.alignment", 256);
  writer.tensor("a", {1}, 0, "aaaa").tensor("b", {1}, 0, "bbbb");
  const std::string bytes = writer.bytes();
  const auto shard = parse_shard(std::as_bytes(std::span(bytes)), "model.gguf");
  ASSERT_TRUE(shard.ok()) << shard.status();
  EXPECT_EQ(shard->tensors[1].offset % 256, 0u);
  EXPECT_EQ(bytes[shard->tensors[1].offset], 'b');
  for (const uint32_t bad : {0u, 3u, 1u << 31})
    EXPECT_THAT(parse_error(GgufWriter().u32("general.alignment", bad).bytes()),
                HasSubstr("power of two"));
}

TEST(GgufFile, EveryTypeHasTheSizeOfItsFormat) {
  int formats = 0;
  for (uint32_t number = 0; number < 64; ++number) {
    const TensorType *type = find_tensor_type(number);
    if (type == nullptr || type->format[0] == '\0')
      continue;
    const formats::Format *format = formats::find_format(type->format);
    ASSERT_NE(format, nullptr) << type->name;
    EXPECT_EQ(format->block(), type->block) << type->name;
    EXPECT_EQ(format->block_bytes(), type->block_bytes) << type->name;
    EXPECT_EQ(tensor_type_of(type->format), type);
    ++formats;
  }
  EXPECT_EQ(formats, 26);
  EXPECT_EQ(tensor_type_of("int8"), nullptr);
  EXPECT_EQ(tensor_type_of(""), nullptr);
}

TEST(GgufFile, RefusesWhatIsWrong) {
  const auto header = [](uint32_t version) {
    return "GGUF" + GgufWriter::raw(version) + std::string(16, '\0');
  };
  EXPECT_THAT(parse_error("GGML and more"), HasSubstr("not a GGUF file"));
  EXPECT_THAT(parse_error(header(1)), HasSubstr("GGUF version 1 is not supported"));
  EXPECT_THAT(parse_error(header(0x03000000)), HasSubstr("big-endian"));
  EXPECT_EQ(parse_error(header(3)), "");
  const auto with = [](auto edit) {
    GgufWriter writer;
    edit(writer);
    return parse_error(writer.bytes());
  };
  EXPECT_THAT(with([](GgufWriter &w) { w.u32("twice", 1).u32("twice", 2); }),
              AllOf(HasSubstr("model.gguf: at offset"), HasSubstr("key 'twice' is there twice")));
  EXPECT_THAT(with([](GgufWriter &w) { w.u32("", 1); }), HasSubstr("no printable name"));
  EXPECT_THAT(with([](GgufWriter &w) { w.key("k", 13, "    "); }), HasSubstr("of type 13"));
  EXPECT_THAT(with([](GgufWriter &w) {
                w.key("k", 9, GgufWriter::raw<uint32_t>(9) + GgufWriter::raw<uint64_t>(0));
              }),
              HasSubstr("array of arrays"));
  EXPECT_THAT(with([](GgufWriter &w) {
                w.key("k", 9, GgufWriter::raw<uint32_t>(4) + GgufWriter::raw(~uint64_t{0} / 2));
              }),
              HasSubstr("the file ends inside key 'k'"));
  const std::string four(4, 'd'), data(512, 'd');
  EXPECT_THAT(with([&](GgufWriter &w) { w.tensor("t", {1}, 0, four).tensor("t", {1}, 0, four); }),
              HasSubstr("tensor 't' is there twice"));
  EXPECT_THAT(with([&](GgufWriter &w) { w.tensor("t", {1, 1, 1, 1, 1}, 0, four); }),
              HasSubstr("5 dimensions"));
  EXPECT_THAT(with([&](GgufWriter &w) { w.tensor("t", {0}, 0, four); }), HasSubstr("is empty"));
  EXPECT_THAT(with([&](GgufWriter &w) { w.tensor("t", {1u << 31, 1u << 31, 4}, 0, four); }),
              HasSubstr("larger than any file"));
  EXPECT_THAT(with([&](GgufWriter &w) { w.tensor("t", {1}, 99, four); }),
              HasSubstr("type 99, which is unknown"));
  EXPECT_THAT(with([&](GgufWriter &w) { w.tensor("t", {100}, 12, data); }),
              HasSubstr("rows of 100 elements, which are no whole Q4_K blocks of 256"));
  EXPECT_THAT(with([&](GgufWriter &w) { w.tensor("t", {33}, 0, data.substr(0, 128)); }),
              HasSubstr("132 bytes of tensor 't' at 0"));
  EXPECT_THAT(with([&](GgufWriter &w) { w.tensor("t", {4}, 0, data).tensor_at("u", {1}, 0, 8); }),
              HasSubstr("not a multiple of the alignment"));
  EXPECT_THAT(with([&](GgufWriter &w) { w.tensor("t", {16}, 0, data).tensor_at("u", {1}, 0, 32); }),
              HasSubstr("tensors 't' and 'u' overlap"));
  EXPECT_THAT(with([&](GgufWriter &w) { w.tensor_at("t", {1}, 0, ~uint64_t{31}); }),
              HasSubstr("not inside the file"));
}

TEST(GgufFile, NoticesEveryTruncation) {
  const std::string bytes = sample().bytes();
  ASSERT_EQ(parse_error(bytes), "");
  constexpr size_t kPadding = 12; // after the last tensor's 20 bytes
  for (size_t length = 0; length < bytes.size() - kPadding; ++length)
    ASSERT_NE(parse_error(bytes.substr(0, length)), "") << "cut to " << length;
  EXPECT_THAT(parse_error(bytes.substr(0, bytes.size() - kPadding - 1)),
              AllOf(HasSubstr("tensor 'last'"), HasSubstr("interrupted download")));
}

// Tests that a file may end where its last tensor's data ends, as some writers have it.
TEST(GgufFile, TakesFilesWithoutPaddingAtTheEnd) {
  const std::string bytes = sample().bytes();
  for (size_t less = 0; less <= 12; ++less)
    EXPECT_EQ(parse_error(bytes.substr(0, bytes.size() - less)), "") << less;
}

// Tests that tensors may lie in any order and with gaps between them.
TEST(GgufFile, TakesTensorsInAnyOrder) {
  GgufWriter writer;
  writer.tensor("first", {8}, 0, std::string(256, 'a'));
  writer.tensor_at("last", {4}, 0, 192).tensor_at("middle", {4}, 0, 96);
  const std::string bytes = writer.bytes();
  const auto shard = parse_shard(std::as_bytes(std::span(bytes)), "model.gguf");
  ASSERT_TRUE(shard.ok()) << shard.status();
  EXPECT_EQ(shard->tensors[1].offset - shard->tensors[0].offset, 192u);
}

// Tests that keys may have names that the specification does not allow, and terminals can show.
TEST(GgufFile, TakesNamesThatCanBeRead) {
  for (const char *name : {"general.l\u00e4nge", "my own key", "A-B"})
    EXPECT_EQ(parse_error(GgufWriter().u32(name, 1).bytes()), "") << name;
  for (const char *name : {"a\tb", "a\nb", "\x7f"})
    EXPECT_THAT(parse_error(GgufWriter().u32(name, 1).bytes()), HasSubstr("no printable name"));
}

TEST(GgufFile, SurvivesDamage) {
  const std::string original = sample().bytes();
  int accepted = 0;
  for (uint32_t i = 0; i < 20000; ++i) {
    const std::string bytes = testing_support::mutate(original, i);
    const GuardedBytes guarded(bytes);
    const size_t before = testing_support::allocated_bytes();
    const auto shard = parse_shard(guarded.bytes(), "model.gguf");
    ASSERT_LT(testing_support::allocated_bytes() - before, 64 * bytes.size() + 65536) << i;
    if (!shard.ok()) {
      ASSERT_THAT(std::string(shard.status().message()), HasSubstr("model.gguf: at offset")) << i;
      continue;
    }
    ++accepted;
    for (const Tensor &tensor : shard->tensors) {
      ASSERT_LE(tensor.offset, bytes.size());
      ASSERT_LE(tensor.bytes, bytes.size() - tensor.offset);
    }
  }
  EXPECT_GT(accepted, 100); // flips in tensor data and values are nobody's to notice
}

TEST(GgufFile, GettersSurviveDamage) {
  const std::string original = sample().bytes();
  for (uint32_t i = 0; i < 1000; ++i) {
    const TemporaryFile file("damaged.gguf", testing_support::mutate(original, i));
    const auto model = GgufFile::open(file.path);
    if (!model.ok())
      continue;
    for (const std::string &key : model->keys()) {
      const int readable = model->get_int(key).ok() + model->get_float(key).ok() +
                           model->get_bool(key).ok() + model->get_string(key).ok() +
                           model->get_ints(key).ok() + model->get_floats(key).ok() +
                           model->get_bools(key).ok() + model->get_strings(key).ok();
      ASSERT_EQ(readable, 1) << key;
    }
  }
}

class SplitModel : public testing::Test {
protected:
  std::string path(int number) const {
    return testing::TempDir() + std::to_string(getpid()) + "-split-0000" + std::to_string(number) +
           "-of-00002.gguf";
  }
  void write(int number, uint16_t no, uint16_t count, const std::string &tensor,
             int32_t total = 2) const {
    GgufWriter writer;
    writer.key("split.no", 2, GgufWriter::raw(no)).key("split.count", 2, GgufWriter::raw(count));
    writer.key("split.tensors.count", 5, GgufWriter::raw(total));
    if (number == 1)
      writer.string("general.architecture", "llama");
    writer.tensor(tensor, {1}, 0, std::string(4, static_cast<char>('0' + number)));
    std::ofstream(path(number), std::ios::binary) << writer.bytes();
  }
  void TearDown() override {
    std::remove(path(1).c_str());
    std::remove(path(2).c_str());
  }
  std::string error(int number = 1) const {
    return std::string(GgufFile::open(path(number)).status().message());
  }
};

TEST_F(SplitModel, OpensTogether) {
  write(1, 0, 2, "a");
  write(2, 1, 2, "b");
  const auto model = GgufFile::open(path(1));
  ASSERT_TRUE(model.ok()) << model.status();
  ASSERT_EQ(model->files().size(), 2u);
  const Tensor &b = *model->find_tensor("b");
  EXPECT_EQ(b.file, 1);
  EXPECT_EQ(model->files()[1]->bytes()[b.offset], std::byte{'2'});
  EXPECT_EQ(*model->get_string("general.architecture"), "llama");
  EXPECT_THAT(error(2), AllOf(HasSubstr("give the first"), HasSubstr("-00001-of-00002.gguf")));
}

TEST_F(SplitModel, RefusesMissingOrForeignFiles) {
  write(1, 0, 2, "a");
  EXPECT_THAT(error(), HasSubstr("it is file 2 of the 2 of this split model"));
  write(2, 0, 2, "b");
  EXPECT_THAT(error(), HasSubstr("of different models"));
  write(2, 1, 2, "a");
  EXPECT_THAT(error(), HasSubstr("tensor 'a' is in another file"));
  write(1, 0, 2, "a", 3);
  write(2, 1, 2, "b");
  EXPECT_THAT(error(), HasSubstr("says 3 tensors, the 2 files have 2"));
  write(1, 2, 2, "a");
  EXPECT_THAT(error(), HasSubstr("makes no sense"));
  write(1, 0, 3, "a");
  EXPECT_THAT(error(), HasSubstr("its name does not end in '-00001-of-00003.gguf'"));
}

TEST(GgufFile, NamesWhatCannotBeOpened) {
  EXPECT_THAT(std::string(GgufFile::open("no/such.gguf").status().message()),
              HasSubstr("no/such.gguf: cannot open it"));
  EXPECT_THAT(std::string(GgufFile::open(testing::TempDir()).status().message()),
              HasSubstr("is a directory"));
}

} // namespace
} // namespace quern::gguf
