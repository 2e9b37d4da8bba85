// Recipes: the tensors they list, what contradicts itself, and the IR the builder writes of them.
#include "frontends/recipe/Builder.h"
#include "ir/quern/QuernDialect.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace quern::recipe {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

Mamba2 mamba2() {
  Mamba2 m;
  m.module = "mixer";
  m.conv = "mixer.conv1d";
  m.dt_bias = "mixer.dt_bias";
  m.a = "mixer.A_log";
  m.d = "mixer.D";
  m.heads = 6;
  m.head_dim = 8;
  m.state = 10;
  m.groups = 2;
  m.kernel = 4;
  m.in_proj = {"mixer.in_proj", 24, 48 + 88 + 6};
  m.out_proj = {"mixer.out_proj", 48, 24};
  m.norm = {"mixer.norm", 48, 1e-5, 24};
  return m;
}

/// Of 8 columns, with 4 heads of 6 over 2 kv heads.
Attention attention() {
  Attention a;
  a.module = "attn";
  a.heads = 4;
  a.kv_heads = 2;
  a.head_dim = 6;
  a.q = {"attn.q", 24, 24};
  a.k = {"attn.k", 24, 12};
  a.v = {"attn.v", 24, 12, /*bias=*/true};
  a.o = {"attn.o", 24, 24};
  a.q_norm = Norm{"attn.q_norm", 6, 1e-5, 6};
  a.scale = 0.5;
  a.window = 7;
  return a;
}

Decoder decoder(Block block) {
  Decoder d{.family = "test", .vocab = 11, .hidden = 24, .context = 99, .embedding = "embed"};
  d.ropes = {{{1.0f, 0.5f}, 1.5}};
  d.layers = {{{{{"norm", 24, 1e-5}, std::move(block)}}}};
  d.final_norm = {"last", 24, 1e-5};
  d.head = {"embed", 24, 11};
  return d;
}

mlir::OwningOpRef<mlir::ModuleOp> built(const Decoder &d, mlir::MLIRContext &context) {
  Problems problems;
  check(d, problems);
  EXPECT_THAT(problems.list(), IsEmpty());
  auto module = build(d, synthetic_source(tensors(d), "f16", 3), context);
  EXPECT_TRUE(mlir::succeeded(mlir::verify(*module)));
  return module;
}

/// The one op of a kind.
template <typename Op> Op only(mlir::ModuleOp module) {
  std::vector<Op> found;
  module.walk([&](Op op) { found.push_back(op); });
  EXPECT_THAT(found, SizeIs(1));
  return found.empty() ? Op() : found.front();
}

TEST(Recipe, ListsEachTensorOnce) {
  for (const Block &block : {Block(mamba2()), Block(attention())}) {
    std::set<std::string> names;
    for (const Tensor &tensor : tensors(decoder(block)))
      EXPECT_TRUE(names.insert(tensor.name).second) << tensor.name;
    EXPECT_TRUE(names.contains("embed.weight"));
    EXPECT_TRUE(names.contains("last.weight"));
  }
}

TEST(Recipe, ListsTheHeadUnlessItIsTied) {
  Decoder d = decoder(attention());
  size_t tied = tensors(d).size();
  d.head.module = "head";
  EXPECT_EQ(tensors(d).size(), tied + 1);
  EXPECT_EQ(tensors(d).back().name, "head.weight");
}

TEST(Recipe, FindsContradictions) {
  auto problems = [](Block block) {
    Problems found;
    check(decoder(std::move(block)), found);
    return found.size();
  };
  EXPECT_EQ(problems(attention()), 0u);
  Attention a = attention();
  a.kv_heads = 3;
  EXPECT_EQ(problems(a), 1u);
  a = attention();
  a.head_dim = 2;
  EXPECT_EQ(problems(a), 1u);
  a = attention();
  a.rope = 1;
  EXPECT_EQ(problems(a), 1u);
  EXPECT_EQ(problems(mamba2()), 0u);
  Mamba2 m = mamba2();
  m.groups = 4;
  EXPECT_EQ(problems(m), 1u);
  m = mamba2();
  m.kernel = 0;
  EXPECT_EQ(problems(m), 1u);
  m = mamba2();
  m.dt_min = 2;
  m.dt_max = 1;
  EXPECT_EQ(problems(m), 1u);
}

TEST(Recipe, RefusesImpossibleSizes) {
  Decoder d = decoder(attention());
  d.vocab = kMaxVocab;
  d.hidden = kMaxWidth;
  Problems problems;
  check(d, problems);
  EXPECT_THAT(problems.list(), SizeIs(1));
}

/// RWKV-7's time mixing of 3 heads, the mixes in rows of one tensor; the first layer's has no mix
/// of values.
Rwkv7 rwkv7(bool first) {
  const auto low_rank = [](const char *name, bool bias) {
    Rwkv7::LowRank l{.down = {.module = name, .in = 24, .out = 5},
                     .up = {.module = name, .in = 5, .out = 24, .bias = bias}};
    l.down.weight_tensor = std::string(name) + "1";
    l.up.weight_tensor = std::string(name) + "2";
    l.up.bias_tensor = std::string(name) + "0";
    return l;
  };
  const auto mix = [](int64_t row) { return Vector{"mixes", 24, row, 6}; };
  Rwkv7 m{.module = "time",
          .heads = 3,
          .key_dim = 8,
          .value_dim = 8,
          .mix_receptance = mix(0),
          .mix_decay = mix(1),
          .mix_key = mix(2),
          .mix_value = mix(3),
          .mix_rate = mix(4),
          .mix_gate = mix(5),
          .receptance = {"r", 24, 24},
          .key = {"k", 24, 24},
          .value = {"v", 24, 24},
          .output = {"o", 24, 24},
          .decay = low_rank("w", true),
          .rate = low_rank("a", true),
          .gate = low_rank("g", false),
          .k_k = {"k_k", 24},
          .k_a = {"k_a", 24},
          .r_k = {"r_k", 24},
          .l2_eps = 1e-24};
  m.norm = {"norm", 24, 64e-5, 8, NormKind::Layer};
  if (!first)
    m.value_mix = low_rank("vv", true);
  return m;
}

TEST(Builder, WritesRwkv7) {
  mlir::MLIRContext context;
  auto module = built(decoder(rwkv7(true)), context);
  auto op = only<LinearRecurrenceOp>(*module);
  EXPECT_TRUE(op.getA() && op.getB());
  EXPECT_FALSE(op.getBonus() || op.getBeta());
  EXPECT_EQ(op.getDecayKind(), DecayKind::key);
  EXPECT_EQ(op.heads(), 3);
  EXPECT_EQ(only<TokenShiftOp>(*module).getState().getType().getShape(),
            (llvm::ArrayRef<int64_t>{24, 1}));
  std::set<std::string> names;
  for (const Tensor &tensor : tensors(decoder(rwkv7(true))))
    EXPECT_TRUE(names.insert(tensor.name).second) << tensor.name;
  for (const char *name : {"mixes", "w0", "w1", "w2", "a0", "g1", "g2", "r_k"})
    EXPECT_TRUE(names.contains(name)) << name;
  EXPECT_FALSE(names.contains("g0") || names.contains("vv1"));
}

// Tests that later layers mix their values with the first one's.
TEST(Builder, KeepsTheFirstValuesOfRwkv7) {
  mlir::MLIRContext context;
  Decoder d = decoder(rwkv7(true));
  d.layers.push_back(decoder(rwkv7(false)).layers.front());
  Rwkv7 &second = std::get<Rwkv7>(d.layers[1].sublayers[0].block);
  second.module = "time2";
  auto module = built(d, context);
  llvm::SmallVector<LinearRecurrenceOp> found;
  module->walk([&](LinearRecurrenceOp op) { found.push_back(op); });
  ASSERT_EQ(found.size(), 2u);
  // v + (first - v) * share, whose `first` is the first recurrence's v.
  auto sum = found[1].getV().getDefiningOp<BinaryOp>();
  ASSERT_TRUE(sum);
  auto product = sum.getLhs().getDefiningOp<BinaryOp>();
  ASSERT_TRUE(product);
  auto change = product.getLhs().getDefiningOp<BinaryOp>();
  ASSERT_TRUE(change);
  EXPECT_EQ(change.getFn(), BinaryKind::sub);
  EXPECT_EQ(change.getLhs(), found[0].getV());
}

TEST(Builder, WritesAttention) {
  mlir::MLIRContext context;
  auto module = built(decoder(attention()), context);
  auto op = only<AttentionOp>(*module);
  EXPECT_EQ(op.getHeads(), 4u);
  EXPECT_EQ(op.getWindow(), 7u);
  EXPECT_EQ(op.getScale().convertToFloat(), 0.5f);
  EXPECT_EQ(only<DeclareStateOp>(*module).getSymName(), "attn.kv");
  auto table = only<RopeTableOp>(*module);
  EXPECT_THAT(table.getInvFreq(), ElementsAre(1.0f, 0.5f));
  EXPECT_EQ(table.getScale().convertToFloat(), 1.5f);
  int biased = 0;
  module->walk([&](LinearOp linear) { biased += linear.getBias() ? 1 : 0; });
  EXPECT_EQ(biased, 1);
  // The query's norm comes before its rope, group by group.
  auto rope = op.getQuery().getDefiningOp<RopeOp>();
  ASSERT_TRUE(rope);
  auto norm = rope.getInput().getDefiningOp<RmsNormOp>();
  ASSERT_TRUE(norm);
  EXPECT_EQ(norm.getGroup(), 6u);
}

TEST(Builder, WritesMamba2) {
  mlir::MLIRContext context;
  auto module = built(decoder(mamba2()), context);
  auto op = only<LinearRecurrenceOp>(*module);
  EXPECT_EQ(op.getGroups(), 2u);
  EXPECT_EQ(op.getState().getType(), StateType::get(&context, StateKind::recurrent, {6, 10, 8}));
  auto conv = only<CausalConv1dOp>(*module);
  EXPECT_EQ(conv.getState().getType(), StateType::get(&context, StateKind::window, {88, 3}));
  EXPECT_FALSE(conv.getBias());
  EXPECT_EQ(only<WeightMapOp>(*module).getFn(), "neg_exp");
  module->walk([](ClampOp) { ADD_FAILURE() << "dt has no limits"; });
}

TEST(Builder, ClampsDtWhereItHasLimits) {
  mlir::MLIRContext context;
  Mamba2 m = mamba2();
  m.dt_max = 0.5;
  auto module = built(decoder(m), context);
  EXPECT_EQ(only<ClampOp>(*module).getMax().convertToFloat(), 0.5f);
}

// Tests that what expands latents is turned around as floats where it is stored in blocks of
// numbers, which nothing can transpose.
TEST(Builder, WritesLatentAttentionOfBlocks) {
  Mla m{.module = "attn", .heads = 2, .latent = 32, .plain = 6, .rotary = 4, .values = 5};
  m.q = {"attn.q", 24, 20};
  m.kv = {"attn.kv", 24, 36};
  m.kv_norm = {"attn.norm", 32, 1e-6};
  m.expand = {"attn.expand", 32, 22};
  m.o = {"attn.o", 10, 24};
  m.scale = 0.3;
  for (const char *format : {"f16", "q8_0"}) {
    mlir::MLIRContext context;
    const Decoder d = decoder(m);
    Source source = synthetic_source(tensors(d), "f16", 3);
    for (size_t i = 0; i < source.places.size(); ++i)
      if (tensors(d)[i].name == "attn.expand.weight")
        source.places[i].format = format;
    auto module = build(d, source, context);
    ASSERT_TRUE(mlir::succeeded(mlir::verify(*module)));
    auto turned = only<WeightTransposeOp>(*module);
    EXPECT_EQ(mlir::cast<WeightType>(turned.getType()).getFormat().str(),
              std::string(format) == "f16" ? "f16" : "f32");
  }
}

// Tests that value heads that are tiled read keys that are repeated, and that a decay that is no
// logarithm is taken as it is.
TEST(Builder, RepeatsKeysOfTiledHeads) {
  for (const bool tiled : {false, true}) {
    DeltaNet m{.module = "mixer", .dt_bias = "mixer.dt", .a = "mixer.a", .a_is_log = !tiled};
    m.key_heads = 2;
    m.value_heads = 6;
    m.key_dim = m.value_dim = 4;
    m.tiled = tiled;
    m.kernel = 3;
    m.projections = {{"mixer.qkv", 24, 40}};
    m.convs = {{"mixer.conv", 40}};
    m.b = {"mixer.b", 24, 6};
    m.decay = {"mixer.decay", 24, 6};
    m.z = {"mixer.z", 24, 24};
    m.norm = {"mixer.norm", 4, 1e-6, 4};
    m.out = {"mixer.out", 24, 24};
    mlir::MLIRContext context;
    auto module = built(decoder(m), context);
    EXPECT_EQ(only<LinearRecurrenceOp>(*module).getGroups(), tiled ? 6u : 2u);
    int concats = 0, maps = 0;
    module->walk([&](ConcatOp) { ++concats; });
    module->walk([&](WeightMapOp) { ++maps; });
    EXPECT_EQ(concats, tiled ? 2 : 0);
    EXPECT_EQ(maps, tiled ? 0 : 1);
  }
}

/// Of 24 columns, with 4 heads that share 2 of keys and values.
LinearAttention linear_attention() {
  LinearAttention m;
  m.module = "mix";
  m.heads = 4;
  m.kv_heads = 2;
  m.key_dim = 3;
  m.value_dim = 6;
  m.q = {"mix.q", 24, 12};
  m.k = {"mix.k", 24, 6};
  m.v = {"mix.v", 24, 12};
  m.latent = Linear{"mix.down", 24, 2};
  m.gate = Linear{"mix.up", 2, 6, /*bias=*/true};
  m.norm = {"mix.norm", 6, 1e-5, 6};
  m.out = {"mix.out", 24, 24};
  return m;
}

TEST(Builder, WritesAttentionWithoutASoftmax) {
  mlir::MLIRContext context;
  auto module = built(decoder(linear_attention()), context);
  auto op = only<LinearRecurrenceOp>(*module);
  EXPECT_EQ(op.getDecayKind(), DecayKind::key);
  EXPECT_EQ(op.getGroups(), 4u);
  EXPECT_EQ(op.getState().getType(), StateType::get(&context, StateKind::recurrent, {4, 3, 6}));
  module->walk([](ClampOp) { ADD_FAILURE() << "gates have no floor"; });

  LinearAttention retained = linear_attention();
  retained.latent = retained.gate = std::nullopt;
  retained.retains = true;
  auto other = built(decoder(retained), context);
  EXPECT_EQ(only<LinearRecurrenceOp>(*other).getDecayKind(), DecayKind::head);
  std::vector<float> left;
  other->walk([&](ScaleOp op) {
    if (colsOf(op.getType()) == 1)
      left.push_back(op.getFactor().convertToFloat());
  });
  EXPECT_THAT(left, ElementsAre(1 - 1 / 32.f, 1 - 1 / 64.f, 1 - 1 / 128.f, 1 - 1 / 256.f));
}

// Tests that each layer of HGRN takes its row of the bounds of all.
TEST(Builder, WritesHgrnsBounds) {
  Hgrn m;
  m.module = "mix";
  m.forget = {"mix.f", 24, 36};
  m.input = {"mix.i", 24, 36};
  m.z = Linear{"mix.g", 24, 36};
  m.out = {"mix.o", 36, 24};
  m.bounds = "bounds";
  m.layer = 2;
  m.layers = 5;
  m.norm = {"mix.norm", 36, 1e-5};
  mlir::MLIRContext context;
  auto module = built(decoder(m), context);
  EXPECT_EQ(only<WeightMapOp>(*module).getFn(), "cumulated_softmax");
  EXPECT_EQ(only<WeightRowsOp>(*module).getOffset(), 2u);
  EXPECT_EQ(only<LinearRecurrenceOp>(*module).getDecayKind(), DecayKind::value);
}

// Tests that made-up weights have the module's seed and statistics of their own.
TEST(Builder, WritesSyntheticWeights) {
  mlir::MLIRContext context;
  auto module = built(decoder(mamba2()), context);
  mlir::SymbolTable symbols(*module);
  auto norm = symbols.lookup<WeightOp>("last.weight");
  ASSERT_TRUE(norm);
  EXPECT_EQ(norm.getSeed(), 3u);
  EXPECT_EQ(norm.getMean()->convertToFloat(), 1.0f);
  EXPECT_EQ(norm.getType().getFormat().str(), "f16");
  // A convolution's weight has the op's shape, without the dimension of 1 it is stored with.
  auto conv = symbols.lookup<WeightOp>("mixer.conv1d.weight");
  EXPECT_THAT(conv.getType().getShape(), ElementsAre(88, 4));
}

} // namespace
} // namespace quern::recipe
