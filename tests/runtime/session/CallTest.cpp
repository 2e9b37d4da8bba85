// Calls of an entry whose caller chooses sizes: FakeModel.c's quern_main_sized.
#include "runtime/session/CallShapes.h"
#include "runtime/session/Engine.h"
#include "tests/runtime/fake/FakeArtifact.h"
#include "tests/runtime/session/Sequences.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

namespace quern::session {
namespace {

using artifact::ElementType;
using test::FakeSizes;
using test::message;
using testing::ElementsAre;
using testing::HasSubstr;

std::unique_ptr<Engine> open_sized(const EngineOptions &options = {},
                                   std::function<void(FakeSizes &)> change = nullptr) {
  auto engine = Engine::open(
      test::write_fake("sized.quern", {.sized_entry = true, .change_sizes = std::move(change)}),
      options);
  EXPECT_TRUE(engine.ok()) << engine.status();
  return engine.ok() ? *std::move(engine) : nullptr;
}

// The inputs of quern_main_sized.
struct Inputs {
  Inputs(int64_t b, int64_t s, int64_t t, int64_t tail_rows)
      : ids(static_cast<size_t>(b * s)), mask(static_cast<size_t>(b * t), 1),
        tail(static_cast<size_t>(tail_rows) * 3) {
    std::iota(ids.begin(), ids.end(), 1);
    std::iota(tail.begin(), tail.end(), 0.5f);
    tensors = {{ElementType::i64, {b, s}, ids.data(), ids.size() * 8},
               {ElementType::boolean, {b, t}, mask.data(), mask.size()},
               {ElementType::f32, {tail_rows, 3}, tail.data(), tail.size() * 4}};
  }
  std::vector<int64_t> ids;
  std::vector<uint8_t> mask;
  std::vector<float> tail;
  std::vector<Tensor> tensors;
};

struct Outputs {
  std::vector<float> y;
  std::vector<uint16_t> half;
};

Outputs call(Engine &engine, const Inputs &inputs) {
  auto shapes = engine.output_shapes("main", inputs.tensors);
  EXPECT_TRUE(shapes.ok()) << shapes.status();
  Outputs outputs{std::vector<float>((*shapes)[0].bytes / 4, 99),
                  std::vector<uint16_t>((*shapes)[1].bytes / 2, 99)};
  (*shapes)[0].data = outputs.y.data();
  (*shapes)[1].data = outputs.half.data();
  const absl::Status status = engine.call("main", inputs.tensors, *shapes);
  EXPECT_TRUE(status.ok()) << status;
  return outputs;
}

std::string refused(const Engine &engine, const Inputs &inputs) {
  return message(engine.output_shapes("main", inputs.tensors).status());
}

// Tests that sizes are what the inputs' shapes say, in every call anew: in the code, and in the
// outputs' shapes.
TEST(Call, BindsSizes) {
  auto engine = open_sized();
  for (const auto &[b, s] : {std::pair<int64_t, int64_t>{2, 5}, {1, 3}, {4, 8}, {1, 1}}) {
    Inputs inputs(b, s, s, s + 2);
    inputs.mask[0] = 0;
    const auto shapes = engine->output_shapes("main", inputs.tensors);
    ASSERT_TRUE(shapes.ok()) << shapes.status();
    EXPECT_THAT((*shapes)[0].shape, ElementsAre(b * s, 3));
    EXPECT_THAT((*shapes)[1].shape, ElementsAre(s / 2));
    EXPECT_EQ((*shapes)[1].type, ElementType::bf16);
    const Outputs outputs = call(*engine, inputs);
    for (int64_t i = 0; i < b * s; ++i)
      for (int64_t c = 0; c < 3; ++c) {
        const auto at = static_cast<size_t>(3 * i + c);
        const float tail = inputs.tail[static_cast<size_t>((i % s + 2) * 3 + c)];
        EXPECT_EQ(outputs.y[at],
                  i == 0 ? -1 : static_cast<float>(inputs.ids[static_cast<size_t>(i)]) * tail)
            << b << " x " << s << " at " << i << ", " << c;
      }
    if (s / 2 > 0)
      EXPECT_EQ(outputs.half[0], b == 2 ? 0x4000 : b == 1 ? 0x3f80 : 0x4080);
  }
}

// Tests that a size may be 0: there is nothing to compute.
TEST(Call, TakesEmptyTensors) {
  auto engine = open_sized();
  const Outputs outputs = call(*engine, Inputs(3, 0, 0, 2));
  EXPECT_TRUE(outputs.y.empty());
  EXPECT_TRUE(outputs.half.empty());
}

// Tests that the null device, which only has the manifest, makes results of the right size.
TEST(Call, NullDeviceKnowsSizes) {
  auto engine = open_sized({.device = "null"});
  const Outputs outputs = call(*engine, Inputs(2, 5, 5, 7));
  EXPECT_EQ(outputs.y.size(), 30u);
  EXPECT_THAT(outputs.y, testing::Each(0.0f));
  EXPECT_THAT(outputs.half, ElementsAre(0, 0));
}

// Tests that what does not agree is named, with the sizes that the other inputs gave.
TEST(Call, NamesWhatDoesNotAgree) {
  auto engine = open_sized();
  Inputs other(2, 5, 5, 7);
  other.tensors[1].shape = {3, 5};
  EXPECT_THAT(refused(*engine, other),
              HasSubstr("input 'mask' must have shape [b, t], not [3, 5]: b is 2 in input 'ids'"));
  EXPECT_THAT(refused(*engine, Inputs(2, 5, 5, 6)),
              HasSubstr("input 'tail' must have shape [s + 2, 3], not [6, 3]: s + 2 is 7, where b "
                        "is 2, s is 5, t is 5"));
  EXPECT_THAT(refused(*engine, Inputs(2, 5, 4, 7)),
              HasSubstr("'/layer.0/Add' needs s (5) to be equal to t (4), where b is 2"));
  Inputs flat(2, 5, 5, 7);
  flat.tensors[0].shape = {10};
  EXPECT_THAT(refused(*engine, flat), HasSubstr("must have shape [b, s], not [10]"));
  Inputs negative(2, 5, 5, 7);
  negative.tensors[0].shape = {-1, 5};
  EXPECT_THAT(refused(*engine, negative), HasSubstr("must have shape [b, s], not [-1, 5]"));
  Inputs small(2, 5, 5, 7);
  small.tensors[0].bytes = 79;
  EXPECT_THAT(refused(*engine, small), HasSubstr("does not fit in its 79 bytes"));
}

// Tests that a size that no input has alone is found where a dimension grows evenly with it.
TEST(Call, SolvesForSizes) {
  const auto sized_by = [](std::vector<artifact::SizeStep> steps) {
    return open_sized({}, [steps](FakeSizes &sizes) { sizes.t = {"2*t + s", steps, 200}; });
  };
  using enum artifact::SizeOp;
  constexpr auto kSize = artifact::SizeOp::size;
  auto engine = sized_by({{2, number}, {2, kSize}, {0, multiply}, {1, kSize}, {0, add}});
  Inputs inputs(2, 5, 11, 7);
  const auto message = refused(*engine, inputs); // t is 3, so 2*t + s is not s
  EXPECT_THAT(message, HasSubstr("'/layer.0/Add' needs s (5) to be equal to 2*t + s (11), where b "
                                 "is 2, s is 5, t is 3"));
  EXPECT_THAT(refused(*engine, Inputs(2, 5, 10, 7)), // t is no whole number
              HasSubstr("input 'mask' must have shape [b, 2*t + s], not [2, 10]: 2*t + s is 9"));
  EXPECT_THAT(refused(*engine, Inputs(2, 5, 3, 7)),
              HasSubstr("leave open what the size 't' is, or ask for more than 100"));
  EXPECT_EQ(refused(*engine, Inputs(2, 5, 5, 7)), "");        // t is 0
  engine = sized_by({{2, kSize}, {2, kSize}, {0, multiply}}); // t*t
  EXPECT_THAT(refused(*engine, Inputs(2, 5, 5, 7)), HasSubstr("not [2, 5]: 2*t + s is 25"));
}

// Tests that a size beyond the greatest says how to compile for it.
TEST(Call, NamesSizesThatAreTooGreat) {
  auto engine = open_sized();
  EXPECT_THAT(refused(*engine, Inputs(2, 9, 9, 11)),
              HasSubstr("input 'ids' has shape [2, 9], and s, its dimension 1, can be at most 8\n"
                        "hint: smaller inputs, or compile with --dim s=9"));
}

// Tests that no output is larger than was planned for, whatever the manifest's expressions give.
TEST(Call, OutputsAreWithinWhatWasPlanned) {
  auto engine = open_sized({}, [](FakeSizes &sizes) { sizes.rows.most = 9; });
  EXPECT_THAT(refused(*engine, Inputs(2, 5, 5, 7)),
              HasSubstr("output 'y' has shape [b*s, 3], where b*s is 10, more than the 9"));
  engine = open_sized({}, [](FakeSizes &sizes) {
    using enum artifact::SizeOp;
    sizes.half.steps = {{3, number},
                        {1, artifact::SizeOp::size},
                        {-5, number},
                        {0, add},
                        {0, floordiv}}; // 3 / (s - 5)
  });
  EXPECT_THAT(refused(*engine, Inputs(2, 5, 5, 7)), HasSubstr("it divides by 0"));
  EXPECT_THAT(refused(*engine, Inputs(2, 3, 3, 5)), HasSubstr("less than 0"));
}

// Calls quern_main_counted; what `outputs` hold then.
absl::Status call_counted(Engine &engine, std::vector<int64_t> ids, std::vector<Tensor> &outputs,
                          std::vector<int64_t> &kept) {
  const std::vector<Tensor> inputs = {{ElementType::i64,
                                       {2, static_cast<int64_t>(ids.size()) / 2},
                                       ids.data(),
                                       ids.size() * sizeof(int64_t)}};
  auto shapes = engine.output_shapes("main", inputs);
  EXPECT_TRUE(shapes.ok()) << shapes.status();
  outputs = *std::move(shapes);
  kept.assign(outputs[0].bytes / sizeof(int64_t), 99);
  outputs[0].data = kept.data();
  return engine.call("main", inputs, outputs);
}

// Tests that a size that the model counts is at most its bound before a call, or less where that
// was compiled for, and what it is after it; inputs neither say it nor are asked for it.
TEST(Call, CountsSizes) {
  auto engine = *Engine::open(test::write_fake("counted.quern", {.counted_entry = true}), {});
  std::vector<Tensor> outputs;
  std::vector<int64_t> kept;
  EXPECT_EQ(call_counted(*engine, {0, 7, 0, 8, 9, 0}, outputs, kept), absl::OkStatus());
  EXPECT_THAT(outputs[0].shape, ElementsAre(3));
  EXPECT_THAT(kept, ElementsAre(7, 8, 9, 99, 99, 99));
  EXPECT_EQ(call_counted(*engine, {0, 0}, outputs, kept), absl::OkStatus());
  EXPECT_THAT(outputs[0].shape, ElementsAre(0));
  EXPECT_EQ(call_counted(*engine, std::vector<int64_t>(16, 1), outputs, kept), absl::OkStatus());
  EXPECT_THAT(outputs[0].shape, ElementsAre(16));
  std::vector<int64_t> ids(24);
  const std::vector<Tensor> large = {{ElementType::i64, {4, 6}, ids.data(), 192}};
  EXPECT_THAT((*engine->output_shapes("main", large))[0].shape, ElementsAre(20));
}

// Tests that a fault is told with its node and numbers, and does not stay.
TEST(Call, TellsFaults) {
  using artifact::FaultKind;
  std::vector<Tensor> outputs;
  std::vector<int64_t> kept;
  const std::pair<FaultKind, const char *> kinds[] = {
      {FaultKind::index, "'/table/Gather': index -7 is not within 0 to 4"},
      {FaultKind::index_from_end, "'/table/Gather': index -12 is not within -5 to 4"},
      {FaultKind::divisor, "'/table/Gather': an integer is divided by 0"},
      {FaultKind::too_many, "'/table/Gather': -7 elements are more than the 5 that there is room "
                            "for\nhint: other inputs, or compile with --dim n=-7"},
      {FaultKind::not_as_many, "'/table/Gather': -7 elements, where there have to be 5"}};
  for (const auto &[kind, text] : kinds) {
    auto engine = *Engine::open(
        test::write_fake("counted.quern", {.counted_entry = true, .fault = kind}), {});
    EXPECT_THAT(message(call_counted(*engine, {1, -7}, outputs, kept)), HasSubstr(text));
    EXPECT_EQ(call_counted(*engine, {1, 7}, outputs, kept), absl::OkStatus());
  }
}

// Tests that nothing that is looked at before a call may depend on what is counted in it.
TEST(Call, RefusesBoundsOfWhatIsCounted) {
  const auto opened = [](std::vector<artifact::SizeStep> bound) {
    return message(
        Engine::open(
            test::write_fake("counted.quern", {.counted_entry = true, .counted_bound = bound}), {})
            .status());
  };
  using enum artifact::SizeOp;
  EXPECT_THAT(opened({{2, size}}),
              HasSubstr("the size 'n' is counted, and has to be known before"));
  EXPECT_THAT(opened({{3, size}}),
              HasSubstr("a size's bound: it reads a size that the entry does not have"));
}

// Tests that an encoder that takes sequences as plain tensors is called like other entries, and one
// that packs them is not.
TEST(Call, EntriesOfSizesAreCallable) {
  const auto callable = [](const char *name, std::vector<std::string> sizes) {
    flatbuffers::FlatBufferBuilder builder;
    std::vector<flatbuffers::Offset<artifact::Size>> list;
    for (const std::string &size : sizes)
      list.push_back(artifact::CreateSizeDirect(builder, size.c_str(), 8));
    builder.Finish(
        artifact::CreateEntryDirect(builder, name, nullptr, nullptr, nullptr, &list, nullptr));
    return is_callable(*flatbuffers::GetRoot<artifact::Entry>(builder.GetBufferPointer()));
  };
  EXPECT_TRUE(callable("main", {}));
  EXPECT_TRUE(callable("main", {"s"}));
  EXPECT_TRUE(callable("encode", {"s"}));
  EXPECT_FALSE(callable("encode", {}));
  EXPECT_FALSE(callable("step", {}));
}

} // namespace
} // namespace quern::session
