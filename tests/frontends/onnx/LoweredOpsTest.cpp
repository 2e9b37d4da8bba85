// Ops of images, signals and texts, where ONNX's own node cases do not go.
#include "tests/frontends/onnx/Lowered.h"

#include <gmock/gmock.h>

#include <cmath>
#include <complex>
#include <numbers>

namespace quern::onnx {
namespace {

using namespace test;
using reference::Tensor;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

using Complexes = std::vector<std::complex<double>>;

Complexes some(size_t count) {
  Complexes list;
  for (size_t i = 0; i < count; ++i)
    list.emplace_back(std::sin(static_cast<double>(i * i + 1)),
                      std::cos(static_cast<double>(3 * i)));
  return list;
}

/// By its definition; `sign` is -1, and 1 for the inverse, which is divided by the length.
Complexes transformed(const Complexes &x, size_t n, double sign) {
  Complexes y(n);
  for (size_t k = 0; k < n; ++k) {
    for (size_t i = 0; i < n && i < x.size(); ++i)
      y[k] += x[i] * std::polar(1.0, sign * 2 * std::numbers::pi * static_cast<double>(i * k % n) /
                                         static_cast<double>(n));
    if (sign > 0)
      y[k] /= static_cast<double>(n);
  }
  return y;
}

void expect_near(const std::vector<double> &got, const Complexes &want, size_t count) {
  ASSERT_EQ(got.size(), 2 * count);
  for (size_t i = 0; i < count; ++i) {
    ASSERT_NEAR(got[2 * i], want[i].real(), 1e-4) << i;
    ASSERT_NEAR(got[2 * i + 1], want[i].imag(), 1e-4) << i;
  }
}

ModelProto dft_model(const DimText &length, bool inverse, bool one_sided, int64_t parts,
                     std::optional<int64_t> n = std::nullopt) {
  ModelProto model = make_model(20);
  GraphProto &g = *model.mutable_graph();
  add_input(g, "x", {1, length, parts});
  if (n)
    add_integers(g, "n", {*n}, true);
  NodeProto &node = add_node(g, "DFT", {"x", n ? "n" : ""}, {"y"});
  set_int(node, "inverse", inverse);
  set_int(node, "onesided", one_sided);
  add_output(g, "y");
  return model;
}

Tensor complex_input(Lowered &lowered, const Complexes &x) {
  std::vector<double> parts;
  for (const auto &number : x) {
    parts.push_back(number.real());
    parts.push_back(number.imag());
  }
  return lowered.floats({1, static_cast<int64_t>(x.size()), 2}, parts);
}

// Tests that nothing, read backwards, is nothing, whatever it begins and ends with.
TEST(LoweredOps, SlicesOfNothing) {
  for (const auto &[start, rows] : {std::pair<int64_t, int64_t>{-1, 3}, {1, 2}, {-3, 1}}) {
    ModelProto model = make_model(18);
    GraphProto &g = *model.mutable_graph();
    add_input(g, "x", {"n", 2});
    add_integers(g, "starts", {start});
    add_integers(g, "ends", {INT64_MIN});
    add_integers(g, "axes", {0});
    add_integers(g, "steps", {-1});
    add_node(g, "Slice", {"x", "starts", "ends", "axes", "steps"}, {"y"});
    add_output(g, "y");
    Lowered slice(model);
    EXPECT_THAT(slice.call({slice.floats({0, 2}, {})}).shape, ElementsAre(0, 2)) << start;
    EXPECT_THAT(slice.call({slice.floats({3, 2}, {1, 2, 3, 4, 5, 6})}).shape, ElementsAre(rows, 2));
  }
}

// Tests that what a negative border cuts off, where there is less than that, is of the other one.
TEST(LoweredOps, BordersOfNothing) {
  ModelProto model = make_model(18);
  GraphProto &g = *model.mutable_graph();
  add_input(g, "x", {"n", 2});
  add_integers(g, "pads", {2, 0, -1, 0});
  add_node(g, "Pad", {"x", "pads"}, {"y"});
  add_output(g, "y");
  Lowered pad(model);
  const Tensor none = pad.call({pad.floats({0, 2}, {})});
  EXPECT_THAT(none.shape, ElementsAre(1, 2));
  EXPECT_THAT(none.floats, Each(0.0));
  EXPECT_THAT(pad.call({pad.floats({2, 2}, {1, 2, 3, 4})}).floats, ElementsAre(0, 0, 0, 0, 1, 2));
}

// Tests lengths with small factors, without, in between, and one that a call chooses.
TEST(LoweredOps, TransformsOfAnyLength) {
  for (const int64_t n : {1, 2, 12, 97, 134, 360}) {
    const Complexes x = some(static_cast<size_t>(n));
    for (const bool inverse : {false, true}) {
      Lowered fixed(dft_model(n, inverse, false, 2));
      const Complexes want = transformed(x, x.size(), inverse ? 1 : -1);
      expect_near(fixed.call({complex_input(fixed, x)}).floats, want, x.size());
    }
  }
  const Complexes x = some(14);
  Lowered open(dft_model("n", false, false, 2));
  expect_near(open.call({complex_input(open, x)}).floats, transformed(x, 14, -1), 14);
}

// Tests that a signal is cut and filled up, and that a spectrum's half gives back what it came of.
TEST(LoweredOps, TransformsOfOtherLengthsAndHalves) {
  const Complexes x = some(9);
  for (const int64_t n : {6, 15}) {
    Lowered other(dft_model(9, false, false, 2, n));
    expect_near(other.call({complex_input(other, x)}).floats,
                transformed(x, static_cast<size_t>(n), -1), static_cast<size_t>(n));
  }
  for (const int64_t n : {10, 15}) { // even and odd
    std::vector<double> signal;
    for (const auto &number : some(static_cast<size_t>(n)))
      signal.push_back(number.real());
    Lowered there(dft_model(n, false, true, 1));
    const Tensor half = there.call({there.floats({1, n, 1}, signal)});
    EXPECT_THAT(half.shape, ElementsAre(1, n / 2 + 1, 2));
    Lowered back(dft_model(n / 2 + 1, true, true, 2, n));
    const Tensor again = back.call({back.floats({1, n / 2 + 1, 2}, half.floats)});
    ASSERT_EQ(again.floats.size(), signal.size());
    for (size_t i = 0; i < signal.size(); ++i)
      EXPECT_NEAR(again.floats[i], signal[i], 1e-5);
  }
}

// Tests that frames step over a signal, each under its window.
TEST(LoweredOps, FramesAreTransformed) {
  ModelProto model = make_model(17);
  GraphProto &g = *model.mutable_graph();
  add_input(g, "x", {1, 20, 1});
  add_integers(g, "step", {5}, true);
  add_input(g, "window", {6});
  set_int(add_node(g, "STFT", {"x", "step", "window"}, {"y"}), "onesided", 1);
  add_output(g, "y");
  Lowered lowered(model);
  std::vector<double> signal, window = {0, 1, 2, 2, 1, 0.5};
  for (int i = 0; i < 20; ++i)
    signal.push_back(std::sin(i));
  const Tensor y = lowered.call({lowered.floats({1, 20, 1}, signal), lowered.floats({6}, window)});
  ASSERT_THAT(y.shape, ElementsAre(1, 3, 4, 2));
  for (size_t frame = 0; frame < 3; ++frame) {
    Complexes cut;
    for (size_t i = 0; i < 6; ++i)
      cut.emplace_back(signal[5 * frame + i] * window[i]);
    expect_near({y.floats.begin() + static_cast<ptrdiff_t>(8 * frame),
                 y.floats.begin() + static_cast<ptrdiff_t>(8 * frame + 8)},
                transformed(cut, 6, -1), 4);
  }
}

TEST(LoweredOps, DeterminantsLeadWithTheLargest) {
  ModelProto model = make_model();
  add_input(*model.mutable_graph(), "x", {2, 3, 3});
  add_node(*model.mutable_graph(), "Det", {"x"}, {"y"});
  add_output(*model.mutable_graph(), "y");
  Lowered lowered(model);
  const Tensor y = lowered.call({lowered.floats(
      {2, 3, 3}, {0, 2, 1, 3, 0, 1, 1, 1, 1, /*singular:*/ 1, 2, 3, 2, 4, 6, 1, 0, 1})});
  EXPECT_NEAR(y.floats[0], -1, 1e-6);
  EXPECT_NEAR(y.floats[1], 0, 1e-6);
}

// Tests that indices which no window of a pool has, and those of other channels, are gone to.
TEST(LoweredOps, UnpoolingGoesWhereIndicesSay) {
  ModelProto model = make_model();
  GraphProto &g = *model.mutable_graph();
  add_input(g, "x", {1, 1, 4});
  add_input(g, "i", {1, 1, 4}, TensorProto::INT64);
  NodeProto &node = add_node(g, "MaxUnpool", {"x", "i"}, {"y"});
  set_ints(node, "kernel_shape", {3});
  set_ints(node, "strides", {2});
  add_output(g, "y");
  Lowered lowered(model);
  const Tensor x = lowered.floats({1, 1, 4}, {1, 2, 3, 4});
  EXPECT_THAT(lowered.call({x, lowered.ints(64, {1, 1, 4}, {1, 4, 4, 8})}).floats,
              ElementsAre(0, 1, 0, 0, 3, 0, 0, 0, 4));
  EXPECT_THAT(lowered.call({x, lowered.ints(64, {1, 1, 4}, {8, 0, 2, 3})}).floats,
              ElementsAre(2, 0, 3, 4, 0, 0, 0, 0, 1));
}

// Tests that an adaptive region takes as many samples as it is large, and that what is outside
// counts as nothing.
TEST(LoweredOps, RegionsAreSampledBySize) {
  ModelProto model = make_model();
  GraphProto &g = *model.mutable_graph();
  add_input(g, "x", {1, 1, 4, 4});
  add_input(g, "r", {"n", 4});
  add_input(g, "b", {"n"}, TensorProto::INT64);
  NodeProto &node = add_node(g, "RoiAlign", {"x", "r", "b"}, {"y"});
  set_int(node, "output_height", 1);
  set_int(node, "output_width", 2);
  add_output(g, "y");
  Lowered lowered(model);
  std::vector<double> image(16);
  for (size_t i = 0; i < image.size(); ++i)
    image[i] = static_cast<double>(i % 4); // the column
  const Tensor y = lowered.call({lowered.floats({1, 1, 4, 4}, image),
                                 lowered.floats({2, 4}, {0.5, 0.5, 3.5, 3.5, 90, 90, 99, 99}),
                                 lowered.ints(64, {2}, {0, 0})});
  // Columns 0 to 3: the halves' middles.
  EXPECT_NEAR(y.floats[0], 0.75, 1e-6);
  EXPECT_NEAR(y.floats[1], 2.25, 1e-6);
  EXPECT_EQ(y.floats[2], 0);
  EXPECT_EQ(y.floats[3], 0);
}

// Tests that a smoothed image is the same whether its scale is the file's or the run's.
TEST(LoweredOps, SmoothingByScalesOfARun) {
  const auto resized = [](bool known) {
    ModelProto model = make_model();
    GraphProto &g = *model.mutable_graph();
    add_input(g, "x", {1, 12});
    if (known) {
      TensorProto &scales = *g.add_initializer();
      scales.set_name("s");
      scales.set_data_type(TensorProto::FLOAT);
      scales.add_dims(2);
      scales.add_float_data(1);
      scales.add_float_data(0.375F);
    } else {
      add_input(g, "s", {2});
    }
    NodeProto &node = add_node(g, "Resize", {"x", "", "s"}, {"y"});
    set_int(node, "antialias", 1);
    set_string(node, "mode", "cubic");
    add_output(g, "y");
    auto *shape = g.mutable_output(0)->mutable_type()->mutable_tensor_type()->mutable_shape();
    shape->add_dim()->set_dim_value(1);
    shape->add_dim()->set_dim_value(4);
    Lowered lowered(model);
    std::vector<double> line;
    for (int i = 0; i < 12; ++i)
      line.push_back(std::sin(i * i));
    std::vector<Tensor> inputs = {lowered.floats({1, 12}, line)};
    if (!known)
      inputs.push_back(lowered.floats({2}, {1, 0.375}));
    return lowered.call(inputs).floats;
  };
  const auto fixed = resized(true), open = resized(false);
  ASSERT_EQ(fixed.size(), 4u);
  ASSERT_EQ(open.size(), 4u);
  for (size_t i = 0; i < fixed.size(); ++i)
    EXPECT_NEAR(fixed[i], open[i], 1e-6);
}

// Tests that n-grams are counted with what is skipped between their codes, and weighed.
TEST(LoweredOps, GramsAreCounted) {
  ModelProto model = make_model();
  GraphProto &g = *model.mutable_graph();
  add_input(g, "x", {"b", 5}, TensorProto::INT32);
  NodeProto &node = add_node(g, "TfIdfVectorizer", {"x"}, {"y"});
  set_int(node, "min_gram_length", 1);
  set_int(node, "max_gram_length", 2);
  set_int(node, "max_skip_count", 1);
  set_ints(node, "ngram_counts", {0, 2});
  set_ints(node, "ngram_indexes", {2, 0, 1});
  set_ints(node, "pool_int64s", {1, 3, 1, 2});
  set_string(node, "mode", "TF");
  add_output(g, "y");
  Lowered lowered(model);
  EXPECT_THAT(lowered.call({lowered.ints(32, {2, 5}, {1, 2, 1, 3, 2, 9, 9, 1, 1, 2})}).floats,
              ElementsAre(1, 2, 2, 0, 2, 2));
}

// Tests that NaN is one number, the last, and that all results agree.
TEST(LoweredOps, UniqueNumbersAreSorted) {
  const double nan = std::nan("");
  for (const int output : {0, 1, 2, 3}) {
    ModelProto model = make_model();
    GraphProto &g = *model.mutable_graph();
    add_input(g, "x", {7});
    add_node(g, "Unique", {"x"}, {"y", "first", "back", "times"});
    const char *names[] = {"y", "first", "back", "times"};
    add_output(g, names[output], output == 0 ? TensorProto::FLOAT : TensorProto::INT64);
    Lowered lowered(model);
    const Tensor got = lowered.call({lowered.floats({7}, {3, nan, 1, 3, nan, -1, 1})});
    if (output == 0) {
      ASSERT_THAT(got.shape, ElementsAre(4));
      EXPECT_THAT((std::vector<double>(got.floats.begin(), got.floats.begin() + 3)),
                  ElementsAre(-1, 1, 3));
      EXPECT_TRUE(std::isnan(got.floats[3]));
    } else if (output == 1) {
      EXPECT_THAT(got.ints, ElementsAre(5, 2, 0, 1));
    } else if (output == 2) {
      EXPECT_THAT(got.ints, ElementsAre(2, 3, 1, 2, 3, 0, 1));
    } else {
      EXPECT_THAT(got.ints, ElementsAre(1, 2, 2, 2));
    }
  }
}

// Tests more boxes than one step looks at, against a search of all that stay.
TEST(LoweredOps, BoxesAreSuppressedInSteps) {
  constexpr int64_t kBoxes = 150;
  ModelProto model = make_model();
  GraphProto &g = *model.mutable_graph();
  add_input(g, "boxes", {1, kBoxes, 4});
  add_input(g, "scores", {1, 2, kBoxes});
  add_input(g, "most", {}, TensorProto::INT64);
  add_input(g, "overlap", {});
  add_input(g, "least", {});
  add_node(g, "NonMaxSuppression", {"boxes", "scores", "most", "overlap", "least"}, {"y"});
  add_output(g, "y", TensorProto::INT64);
  Lowered lowered(model);
  std::vector<double> boxes, scores;
  for (int i = 0; i < kBoxes; ++i)
    for (const double side : {0.0, 0.0, 1.0, 1.0})
      boxes.push_back(side + (i * 37 % 101) * 0.11);
  for (int i = 0; i < 2 * kBoxes; ++i)
    scores.push_back((i * 61 % 151) / 151.0);
  const auto covers = [&](int64_t a, int64_t b) {
    const double apart =
        std::fabs(boxes[static_cast<size_t>(4 * a)] - boxes[static_cast<size_t>(4 * b)]);
    const double side = std::max(0.0, 1 - apart), shared = side * side;
    return shared / (2 - shared) > 0.4;
  };
  for (const size_t most : {200, 9}) {
    std::vector<int64_t> want;
    for (int64_t which = 0; which < 2; ++which) {
      std::vector<int64_t> order, kept;
      for (int64_t i = 0; i < kBoxes; ++i)
        if (scores[static_cast<size_t>(which * kBoxes + i)] > 0.2)
          order.push_back(i);
      std::ranges::sort(order, [&](int64_t a, int64_t b) {
        const double x = scores[static_cast<size_t>(which * kBoxes + a)],
                     y = scores[static_cast<size_t>(which * kBoxes + b)];
        return x > y || (x == y && a < b);
      });
      for (const int64_t i : order)
        if (kept.size() < most &&
            std::ranges::none_of(kept, [&](int64_t other) { return covers(i, other); }))
          kept.push_back(i);
      for (const int64_t i : kept)
        want.insert(want.end(), {0, which, i});
    }
    const Tensor y =
        lowered.call({lowered.floats({1, kBoxes, 4}, boxes), lowered.floats({1, 2, kBoxes}, scores),
                      lowered.ints(64, {}, {static_cast<int64_t>(most)}), lowered.floats({}, {0.4}),
                      lowered.floats({}, {0.2})});
    EXPECT_EQ(y.ints, want);
  }
}

// Tests that what would be dropped at random is never a number.
TEST(LoweredOps, DroppedElementsAreNoNumbers) {
  ModelProto model = make_model();
  GraphProto &g = *model.mutable_graph();
  add_input(g, "x", {2});
  add_input(g, "r", {});
  add_input(g, "t", {}, TensorProto::BOOL);
  add_node(g, "Dropout", {"x", "r", "t"}, {"y"});
  add_output(g, "y");
  Lowered lowered(model);
  const auto run = [&](double ratio, int64_t trains) {
    return lowered
        .call({lowered.floats({2}, {3, 4}), lowered.floats({}, {ratio}),
               lowered.ints(1, {}, {trains})})
        .floats;
  };
  EXPECT_THAT(run(0, 1), ElementsAre(3, 4));
  EXPECT_THAT(run(0.5, 0), ElementsAre(3, 4));
  EXPECT_THAT(run(0.5, 1), Each(testing::IsNan()));
  EXPECT_THAT(lowered.notes(), ElementsAre(HasSubstr("its result is NaN")));
}

} // namespace
} // namespace quern::onnx
