#include "codegen/artifact/Writer.h"

#include "codegen/artifact/Plan.h"
#include "codegen/artifact/Proof.h"
#include "ir/formats/Packing.h"
#include "ir/quern/QuernDialect.h"
#include "passes/target/Target.h"
#include "runtime/artifact/Artifact.h"
#include "runtime/artifact/MadeWeights.h"
#include "runtime/artifact/cuda_code_generated.h"
#include "tests/codegen/artifact/PlannedModule.h"

#include "mlir/IR/Builders.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace quern::artifact {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing_support::planned_module;

class WriterTest : public testing::Test {
protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) /
              testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string &name) const { return (folder_ / name).string(); }

  static Contents contents(mlir::ModuleOp module) {
    Contents contents;
    contents.planned = {module};
    contents.extras.producer = "quern test";
    contents.extras.source = "toy.gguf";
    contents.extras.context = 100;
    contents.extras.max_tokens = 8;
    contents.extras.max_seqs = 4;
    contents.extras.flags = {"--quant int8"};
    contents.extras.variants = {{"cpu", "x86-64-v3", {"avx2"}}, {"cpu", "x86-64-v4", {"avx512f"}}};
    contents.code = {"first code", std::string(5000, 'x')};
    contents.tokenizer = "tokens";
    contents.proof.tokenizer = {{"hello", {1, 2}}};
    return contents;
  }

  absl::StatusOr<Written> write(const Contents &contents, const std::string &name, int threads = 2,
                                const weights::WeightStore &store = {}) {
    auto file = AtomicFile::create(path(name));
    if (!file.ok())
      return file.status();
    PackOptions options;
    options.threads = threads;
    return write_artifact(contents, store, **file, options);
  }

  // A section of the target cuda, of no kernels.
  static std::string cuda_code() {
    flatbuffers::FlatBufferBuilder builder;
    FinishCudaCodeBuffer(builder, CreateCudaCode(builder));
    return {reinterpret_cast<const char *>(builder.GetBufferPointer()), builder.GetSize()};
  }

  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto &entry : std::filesystem::directory_iterator(folder_))
      names.push_back(entry.path().filename().string());
    return names;
  }

  std::string bytes(const std::string &name) const {
    std::ifstream in(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  mlir::MLIRContext context_;
  std::filesystem::path folder_;
};

std::vector<float> made(const char *name, uint64_t seed, int64_t n, float mean = 0,
                        float spread = 1) {
  std::vector<float> values(static_cast<size_t>(n));
  weights::generate({seed, name, spread, mean}, 0, n, values.data());
  return values;
}

TEST_F(WriterTest, TheReaderAcceptsEveryByte) {
  auto module = planned_module(context_);
  ASSERT_TRUE(module);
  ASSERT_TRUE(write(contents(*module), "m.quern").ok());
  EXPECT_THAT(names(), ElementsAre("m.quern"));
  auto artifact = Artifact::open(path("m.quern"));
  ASSERT_TRUE(artifact.ok()) << artifact.status();
  EXPECT_TRUE((*artifact)->verify_all_checksums().ok());

  const Manifest &manifest = (*artifact)->manifest();
  EXPECT_EQ(text(manifest.family()), "toy");
  EXPECT_EQ(manifest.vocab(), 48u);
  EXPECT_TRUE(manifest.synthetic());
  EXPECT_EQ(manifest.slot_bytes(), 128u);
  EXPECT_EQ(manifest.flops_per_token(), 2u * 48 * 32);
  ASSERT_EQ(items(manifest.entries()).size(), 1u);
  const Entry &entry = *items(manifest.entries())[0];
  ASSERT_EQ(items(entry.buckets()).size(), 2u);
  const Bucket &prefill = *items(entry.buckets())[1];
  EXPECT_EQ(text(prefill.symbol()), "quern_step_prefill");
  EXPECT_EQ(prefill.arena(), 2048u);
  ASSERT_EQ(items(prefill.dispatches()).size(), 3u);
  EXPECT_EQ(items(prefill.dispatches())[0]->weight_bytes(), 0u);
  EXPECT_EQ(items(prefill.dispatches())[0]->row_weight_bytes(), 128u) << "a lookup reads rows";
  EXPECT_EQ(items(prefill.dispatches())[2]->weight_bytes(), 6144u);
  ASSERT_EQ(items(prefill.buffers()).size(), 2u) << "the logits are the caller's";
  EXPECT_EQ(items(prefill.buffers())[0]->size(), 8u * 32 * 4);
  EXPECT_EQ(items(prefill.buffers())[0]->last(), 1u);
  ASSERT_EQ(items(manifest.states()).size(), 2u);
  EXPECT_EQ(items(manifest.states())[0]->bytes(), 64u * (8 + 8) * 4);
  EXPECT_EQ(items(manifest.states())[1]->bytes(), 8u * 3 * 4);

  const auto code = (*artifact)->code("x86-64-v3");
  EXPECT_EQ(std::string(code.begin(), code.end()), "first code");
  EXPECT_EQ((*artifact)->tokenizer().size(), 6u);
  ASSERT_NE((*artifact)->proof(), nullptr);
}

// Tests that what is for one target is named so and counted by itself, and that weights, states and
// the proof are there once.
TEST_F(WriterTest, TargetsShareWeightsAndState) {
  auto cpu = planned_module(context_),
       cuda = planned_module(context_, "arena = 2048 : i64", "arena = 4096 : i64");
  (*cuda)->setAttr(attrs::kTarget, mlir::Builder(&context_).getStringAttr("cuda"));
  Contents both = contents(*cpu);
  both.planned.push_back(*cuda);
  both.extras.variants.push_back({"cuda", "sm_80", {"sm_80"}});
  both.code.push_back(cuda_code());
  ASSERT_TRUE(write(contents(*cpu), "one.quern").ok());
  const auto written = write(both, "m.quern");
  ASSERT_TRUE(written.ok()) << written.status();
  auto one = Artifact::open(path("one.quern")), two = Artifact::open(path("m.quern"));
  ASSERT_TRUE(two.ok()) << two.status();
  EXPECT_TRUE(std::ranges::equal((*one)->weights(), (*two)->weights()));
  const Manifest &manifest = (*two)->manifest();
  EXPECT_EQ(items(manifest.weights()).size(), items((*one)->manifest().weights()).size());
  EXPECT_EQ(items(manifest.states()).size(), 2u);
  EXPECT_EQ(manifest.flops_per_token(), (*one)->manifest().flops_per_token());
  const auto buckets = items(items(manifest.entries())[0]->buckets());
  std::vector<std::string> targets;
  for (const Bucket *bucket : buckets)
    targets.emplace_back(std::string(text(bucket->target())) + " " +
                         std::string(text(bucket->symbol())));
  EXPECT_THAT(targets, ElementsAre("cpu quern_step_decode1", "cpu quern_step_prefill",
                                   "cuda quern_step_decode1", "cuda quern_step_prefill"));
  EXPECT_EQ(buckets[1]->arena(), 2048u);
  EXPECT_EQ(buckets[3]->arena(), 4096u);
  // The third dispatch of each target's buckets is of that target's linear_0.
  const auto kernels = items(manifest.kernels());
  ASSERT_EQ(kernels.size(), 6u);
  EXPECT_EQ(items(buckets[1]->dispatches())[2]->kernel() + 3,
            items(buckets[3]->dispatches())[2]->kernel());
  for (const Bucket *bucket : buckets)
    for (const Dispatch *dispatch : items(bucket->dispatches()))
      EXPECT_EQ(text(kernels[dispatch->kernel()]->target()), text(bucket->target()));
  EXPECT_EQ(text(items(manifest.variants())[2]->target()), "cuda");
}

// Tests that small weights are kept where the others are omitted, and read as they would be.
TEST_F(WriterTest, SmallWeightsAreNotOmitted) {
  auto module = planned_module(context_);
  ASSERT_TRUE(write(contents(*module), "held.quern").ok());
  Contents without = contents(*module);
  without.omit_weights = true;
  const auto written = write(without, "omitted.quern");
  ASSERT_TRUE(written.ok()) << written.status();
  auto held = *Artifact::open(path("held.quern")), omitted = *Artifact::open(path("omitted.quern"));
  EXPECT_FALSE(held->weights_are_made());
  ASSERT_TRUE(omitted->weights_are_made());
  EXPECT_EQ(omitted->weights_bytes(), held->weights().size());
  std::vector<uint8_t> bytes(omitted->weights_bytes());
  make_weights(made_weights(omitted->manifest()), kept_weights(omitted->manifest()),
               omitted->weights(), 0, bytes);
  EXPECT_TRUE(std::ranges::equal(bytes, held->weights()));
}

TEST_F(WriterTest, WeightsAreWhatTheirExpressionsSay) {
  auto module = planned_module(context_);
  const auto written = write(contents(*module), "m.quern");
  ASSERT_TRUE(written.ok()) << written.status();
  auto artifact = *Artifact::open(path("m.quern"));
  const auto *weights = reinterpret_cast<const std::byte *>(artifact->weights().data());

  const auto embed = made("embed", 7, 48 * 32, 0, 0.5f);
  std::vector<float> row(32);
  const auto f32 = *formats::parse_packing("f32");
  for (int64_t i = 0; i < 48; ++i) {
    formats::rows_from_packed(f32, weights, i, 1, 32, row.data());
    EXPECT_EQ(std::vector<float>(embed.begin() + i * 32, embed.begin() + (i + 1) * 32), row);
  }

  // Rows of q (bf16), then of k, each rounded to int8.
  auto rounded = [](const char *format, const float *from) {
    const formats::Format &f = *formats::find_format(format);
    std::vector<std::byte> code(static_cast<size_t>(f.row_bytes(32)));
    std::vector<float> to(32);
    EXPECT_TRUE(f.encode_row(from, 32, code.data()).ok());
    f.decode_row(code.data(), 32, to.data());
    return to;
  };
  const auto q = made("q", 7, 24 * 32);
  const auto k = made("k", 7, 16 * 32);
  const auto int8 = *formats::parse_packing("q8.g32.z128.f16");
  double squared_error = 0;
  for (int64_t i = 0; i < 40; ++i) {
    const auto source = rounded("bf16", i < 24 ? &q[i * 32] : &k[(i - 24) * 32]);
    formats::rows_from_packed(int8, weights + 6144, i, 1, 32, row.data());
    EXPECT_EQ(rounded("int8", source.data()), row) << i;
    for (int j = 0; j < 32; ++j)
      squared_error += std::pow(row[j] - source[j], 2);
  }
  ASSERT_EQ(written->errors.size(), 4u);
  EXPECT_EQ(written->errors[0].relative_energy(), 0);
  EXPECT_NEAR(written->errors[1].sum_squared_error, squared_error, 1e-6 * squared_error);
  EXPECT_GT(items(artifact->manifest().weights())[1]->relative_error(), 0);

  auto norm = made("norm", 7, 32, 0, 0.1f);
  for (float &x : norm)
    x = static_cast<float>(1.0 + static_cast<double>(x));
  EXPECT_EQ(std::memcmp(weights + 7808, norm.data(), 128), 0);
  auto bias = made("qb", 7, 24);
  const auto kb = made("kb", 8, 16);
  bias.insert(bias.end(), kb.begin(), kb.end());
  EXPECT_EQ(std::memcmp(weights + 7936, bias.data(), 160), 0);
}

// What the proof is computed from is what was written: rows of panels and plain rows, read back.
TEST_F(WriterTest, TheProofSeesTheWeightsAsWritten) {
  auto module = planned_module(context_);
  Contents c = contents(*module);
  c.proof.logits = {{.tokens = {1, 2}, .rows = {1}, .vocab = 40, .logits = {}, .tolerance = 0.5f}};
  c.proof.logits[0].logits.resize(40);
  std::vector<float> rows(20 * 32);
  c.compute_logits = [&](ProofContents &proof, const PackedRows &read) {
    if (absl::Status status = read("qk", 13, 20, rows.data()); !status.ok())
      return status;
    EXPECT_FALSE(read("none", 0, 1, rows.data()).ok());
    return read("bias", 0, 1, proof.logits[0].logits.data());
  };
  ASSERT_TRUE(write(c, "m.quern").ok());
  auto artifact = *Artifact::open(path("m.quern"));
  EXPECT_TRUE(artifact->verify_all_checksums().ok());
  const auto *weights = reinterpret_cast<const std::byte *>(artifact->weights().data());
  const auto int8 = *formats::parse_packing("q8.g32.z128.f16");
  std::vector<float> row(32);
  for (int64_t i = 0; i < 20; ++i) {
    formats::rows_from_packed(int8, weights + 6144, 13 + i, 1, 32, row.data());
    EXPECT_EQ(std::vector<float>(rows.begin() + i * 32, rows.begin() + (i + 1) * 32), row);
  }
  const auto logits = items(items(artifact->proof()->logits())[0]->logits());
  ASSERT_EQ(logits.size(), 40u);
  const auto kb = made("kb", 8, 16);
  EXPECT_EQ(logits[24], kb[0]);
}

TEST_F(WriterTest, TheSameBytesWhateverTheThreads) {
  auto module = planned_module(context_);
  ASSERT_TRUE(write(contents(*module), "a.quern", 1).ok());
  ASSERT_TRUE(write(contents(*module), "b.quern", 5).ok());
  EXPECT_EQ(bytes("a.quern"), bytes("b.quern"));
}

TEST_F(WriterTest, AWeightOutsideItsFileIsNamedAndNothingIsLeft) {
  auto module = planned_module(context_, "@k : !quern.weight<16x32, \"bf16\"> {file = -1",
                               "@k : !quern.weight<16x32, \"bf16\"> {file = 0");
  std::ofstream(path("short.bin")) << std::string(100, 'x');
  weights::WeightStore store;
  ASSERT_TRUE(store.add(path("short.bin")).ok());
  const auto written = write(contents(*module), "m.quern", 2, store);
  ASSERT_FALSE(written.ok());
  EXPECT_THAT(std::string(written.status().message()), HasSubstr("k: "));
  EXPECT_THAT(names(), ElementsAre("short.bin"));
}

TEST_F(WriterTest, AWeightThatCannotBeEncodedIsNamed) {
  auto module = planned_module(context_, "seed = 7 : i64}\n  quern.weight @k",
                               "seed = 7 : i64, spread = 0x7F800000 : f32}\n  quern.weight @k");
  ASSERT_TRUE(module);
  const auto written = write(contents(*module), "m.quern");
  ASSERT_FALSE(written.ok());
  EXPECT_THAT(std::string(written.status().message()), HasSubstr("q, row 0: element 0 is"));
  EXPECT_TRUE(names().empty());
}

// Tests that tensors that are packed together are judged each by itself: beside q, k is next to
// nothing.
TEST_F(WriterTest, ATensorThatItsFormatRoundsAwayIsRefusedByName) {
  auto module = planned_module(context_, "seed = 7 : i64}\n  quern.weight @norm",
                               "seed = 7 : i64, spread = 1.0e-9 : f32}\n  quern.weight @norm");
  ASSERT_TRUE(module);
  const auto written = write(contents(*module), "m.quern");
  ASSERT_FALSE(written.ok());
  EXPECT_THAT(std::string(written.status().message()),
              HasSubstr("k: int8 would lose 100 % of it (root mean square)"));
  EXPECT_TRUE(names().empty());
}

// Tests that what is found in weights is said, and carried in the proof; and that zeros are nothing
// to speak of where one is added to them.
TEST_F(WriterTest, WhatIsFoundInWeightsIsInTheProof) {
  using Case = std::tuple<const char *, const char *, const char *>;
  const std::vector<Case> cases = {
      {"mean = 0.0 : f32, spread = 0.5", "mean = 0x7FC00000 : f32, spread = 0.5",
       "embed: 1536 of its 1536 elements are not finite, the first, [0, 0], is NaN"},
      {"mean = 0.0 : f32, spread = 0.5", "mean = 0.0 : f32, spread = 0.0",
       "embed: all of its 1536 elements are zero"},
      {"mean = 0.0 : f32, spread = 0.1", "mean = 0.0 : f32, spread = 0.0", ""}};
  for (const auto &[from, to, note] : cases) {
    auto module = planned_module(context_, from, to);
    ASSERT_TRUE(module);
    const auto written = write(contents(*module), "m.quern");
    ASSERT_TRUE(written.ok()) << written.status();
    ASSERT_EQ(written->notes.size(), note[0] != 0) << to;
    auto artifact = Artifact::open(path("m.quern"));
    ASSERT_TRUE(artifact.ok()) << artifact.status();
    EXPECT_TRUE((*artifact)->verify_all_checksums().ok());
    std::vector<std::string> kept;
    for (const flatbuffers::String *note : items((*artifact)->proof()->notes()))
      kept.emplace_back(text(note));
    EXPECT_EQ(kept, written->notes);
    if (note[0] != 0) {
      EXPECT_THAT(kept[0], HasSubstr(note));
    }
  }
}

TEST_F(WriterTest, APlanThatContradictsItselfIsRefused) {
  for (const auto &[from, to] :
       {std::pair{"offset = 6144 : i64", "offset = 6080 : i64"}, // overlaps
        std::pair{"offset = 7936 : i64", "offset = 8128 : i64"}, // leaves the section
        std::pair{"bytes = 1632 : i64", "bytes = 1600 : i64"},   // wrong size
        std::pair{"quern.arena = 256 : i64, ", ""}}) {           // not planned
    auto module = planned_module(context_, from, to);
    ASSERT_TRUE(module);
    EXPECT_FALSE(write(contents(*module), "m.quern").ok()) << from;
    EXPECT_TRUE(names().empty());
  }
}

TEST_F(WriterTest, SizesAreThePlans) {
  auto module = planned_module(context_);
  const auto sizes = planned_sizes(*module);
  ASSERT_TRUE(sizes.ok());
  EXPECT_EQ(sizes->weights, 8192u);
  EXPECT_EQ(sizes->arena, 2048u);
  ASSERT_EQ(sizes->kv_groups.size(), 1u);
  EXPECT_EQ(sizes->kv_groups[0].layers, 1u);
  EXPECT_EQ(sizes->kv_groups[0].window, 0u);
  EXPECT_EQ(sizes->kv_groups[0].page_bytes, 4096u);
}

} // namespace
} // namespace quern::artifact
