// Tests that plan, inspect and the process say the same of a file of each GGUF type, and that its
// matrices take no more than 1.03 times the file's bytes.
#include "frontends/gguf/GgufTypes.h"
#include "tests/conformance/Programs.h"
#include "tests/frontends/gguf/GgufWriter.h"

#include <random>

namespace quern::conformance {
namespace {

using gguf::GgufWriter;

constexpr uint64_t kWidth = 256, kInner = 512, kVocab = 320;

/// The types that Quern reads.
std::vector<gguf::TensorType> types() {
  std::vector<gguf::TensorType> found;
  for (uint32_t number = 0; number < 64; ++number)
    if (const gguf::TensorType *type = gguf::find_tensor_type(number);
        type && *type->format != '\0')
      found.push_back(*type);
  return found;
}

struct File {
  std::string bytes;
  int64_t matrices = 0; ///< bytes of all of the type
};

/// A Llama of one layer, whose matrices are all random blocks of the type.
File file_of(const gguf::TensorType &type) {
  File file;
  GgufWriter writer;
  std::mt19937 engine(type.number);
  const auto f32 = [&](const std::string &key, float value) {
    writer.key("llama." + key, 6, GgufWriter::raw(value));
  };
  writer.string("general.architecture", "llama");
  for (const auto &[key, value] : {std::pair{"context_length", 64},
                                   {"embedding_length", int{kWidth}},
                                   {"block_count", 1},
                                   {"feed_forward_length", int{kInner}},
                                   {"attention.head_count", 4},
                                   {"attention.head_count_kv", 2},
                                   {"rope.dimension_count", 64},
                                   {"vocab_size", int{kVocab}}})
    writer.u32(std::string("llama.") + key, static_cast<uint32_t>(value));
  f32("attention.layer_norm_rms_epsilon", 1e-5f);
  f32("rope.freq_base", 10000);
  const auto matrix = [&](const std::string &name, uint64_t rows, uint64_t columns) {
    std::string bytes(rows * columns / static_cast<uint64_t>(type.block) *
                          static_cast<uint64_t>(type.block_bytes),
                      '\0');
    // No byte is the upper one of a float of any size to speak of, wherever a block's floats lie:
    // values stay finite.
    for (char &byte : bytes)
      byte = static_cast<char>(engine() & 0x2f);
    file.matrices += static_cast<int64_t>(bytes.size());
    writer.tensor(name + ".weight", {columns, rows}, type.number, bytes);
  };
  const auto norm = [&](const std::string &name) {
    std::string ones;
    for (uint64_t i = 0; i < kWidth; ++i)
      ones += GgufWriter::raw(1.0f);
    writer.tensor(name + ".weight", {kWidth}, 0, ones);
  };
  matrix("token_embd", kVocab, kWidth);
  norm("output_norm");
  norm("blk.0.attn_norm");
  norm("blk.0.ffn_norm");
  matrix("blk.0.attn_q", kWidth, kWidth);
  matrix("blk.0.attn_k", kWidth / 2, kWidth);
  matrix("blk.0.attn_v", kWidth / 2, kWidth);
  matrix("blk.0.attn_output", kWidth, kWidth);
  matrix("blk.0.ffn_gate", kInner, kWidth);
  matrix("blk.0.ffn_up", kInner, kWidth);
  matrix("blk.0.ffn_down", kWidth, kInner);
  file.bytes = writer.bytes();
  return file;
}

class GgufSizes : public testing::TestWithParam<gguf::TensorType> {};

TEST_P(GgufSizes, AreThoseOfTheFile) {
  const Folder folder;
  const File file = file_of(GetParam());
  folder.write("m.gguf", file.bytes);
  const std::string model = folder.path("m.gguf"), artifact = folder.path("m.quern");
  const auto plan = done("quern", {"plan", model, "-c", "64", "--json"}).json();
  done("quern", {"compile", model, "-o", artifact, "-c", "64", "--variant", "native", "-q"});
  const auto inspected = done("quern", {"inspect", artifact, "--json"}).json();
  const auto memory = done("quern-run", {"run", "-m", artifact, "--tokens", "5,6,7", "-n", "2",
                                         "--temp", "0", "--ignore-eos", "--json"})
                          .json()["memory"];
  for (const char *key : {"weights", "arena", "state_per_slot", "state_per_token"})
    EXPECT_EQ(plan[key], inspected["plan"][key]) << key;
  for (const char *key : {"weights", "arena"})
    EXPECT_EQ(plan[key], memory[key]) << key;
  // What else there is are three norms, and what tensors are aligned to.
  constexpr double kElse = 3 * kWidth * 4 + 16 * 64;
  EXPECT_LE(plan["weights"].get<double>(), 1.03 * static_cast<double>(file.matrices) + kElse);
  EXPECT_GE(plan["weights"].get<double>(), static_cast<double>(file.matrices));
}

INSTANTIATE_TEST_SUITE_P(All, GgufSizes, testing::ValuesIn(types()),
                         [](const auto &info) { return std::string(info.param.name); });

} // namespace
} // namespace quern::conformance
