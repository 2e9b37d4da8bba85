#include "frontends/onnx/OnnxFile.h"

#include "tests/frontends/onnx/Reading.h"
#include "tests/support/AllocationMeter.h"

#include <gmock/gmock.h>

#include <functional>

namespace quern::onnx {
namespace {

namespace fs = std::filesystem;
using namespace test;
using testing::HasSubstr;

std::vector<std::string> ops_of(const Graph &graph) {
  std::vector<std::string> ops;
  for (const Node &node : graph.nodes)
    ops.push_back(node.op);
  return ops;
}

/// x + w, where w is what `fill` makes of it.
ModelProto model_with(const std::function<void(TensorProto &)> &fill) {
  ModelProto model = make_model();
  GraphProto &g = *model.mutable_graph();
  add_input(g, "x", {"n", 4});
  TensorProto &w = *g.add_initializer();
  w.set_name("w");
  w.set_data_type(TensorProto::FLOAT);
  w.add_dims(4);
  fill(w);
  add_node(g, "Add", {"x", "w"}, {"y"});
  add_output(g, "y");
  return model;
}

void refer(TensorProto &tensor, const std::string &location, const std::string &offset = "",
           const std::string &length = "") {
  tensor.set_data_location(TensorProto::EXTERNAL);
  for (const auto &[key, value] :
       {std::pair("location", location), std::pair("offset", offset), std::pair("length", length)})
    if (!value.empty()) {
      auto *entry = tensor.add_external_data();
      entry->set_key(key);
      entry->set_value(value);
    }
}

TEST(OnnxFile, SamplesAreRead) {
  for (const auto &[name, proto] : sample_models())
    EXPECT_FALSE(read_sound(proto).graph.nodes.empty()) << name;
}

// Tests that reading takes memory for the graph alone, whatever the weights: the file is 1 GiB, of
// which all but its ends are a hole.
TEST(OnnxFile, InlineWeightsTakeNoMemory) {
  constexpr uint64_t kElements = uint64_t{1} << 28, kBytes = kElements * 4;
  ModelProto model = model_with([](TensorProto &w) { w.set_dims(0, kElements); });
  std::string bytes;
  const auto varint = [](uint64_t value) {
    std::string out;
    for (; value >= 0x80; value >>= 7)
      out += static_cast<char>(value | 0x80);
    return out + static_cast<char>(value);
  };
  // The raw data are appended to the initializer, and so to the graph, by hand.
  TensorProto w = model.graph().initializer(0);
  model.mutable_graph()->clear_initializer();
  const std::string tensor = w.SerializeAsString() + "\x4a" + varint(kBytes);
  const std::string head = "\x2a" + varint(tensor.size() + kBytes) + tensor;
  const std::string rest = model.graph().SerializeAsString();
  model.clear_graph();
  bytes =
      model.SerializeAsString() + "\x3a" + varint(rest.size() + head.size() + kBytes) + rest + head;
  const std::string path = write_file(fresh_folder() / "big.onnx", bytes);
  fs::resize_file(path, bytes.size() + kBytes);
  const size_t before = testing_support::allocated_bytes();
  Problems problems;
  const auto read = read_model(path, problems);
  EXPECT_LT(testing_support::allocated_bytes() - before, size_t{1} << 20);
  EXPECT_EQ(text_of(problems), "");
  const Tensor &tensor_read = *read->value(find_value(*read, "w")).constant;
  EXPECT_EQ(tensor_read.storage, Storage::File);
  EXPECT_EQ(tensor_read.offset, bytes.size());
  EXPECT_EQ(tensor_read.size, kBytes);
  fs::remove(path);
}

// Tests every way in which a file holds numbers, short and long.
TEST(OnnxFile, ElementsAreReadFromEveryField) {
  for (const int64_t count : {3, 3000}) {
    ModelProto proto = make_model();
    GraphProto &g = *proto.mutable_graph();
    add_input(g, "x", {1});
    const auto add = [&](const std::string &name, TensorProto::DataType type) -> TensorProto & {
      TensorProto &tensor = *g.add_initializer();
      tensor.set_name(name);
      tensor.set_data_type(type);
      tensor.add_dims(count);
      return tensor;
    };
    TensorProto &i64 = add("i64", TensorProto::INT64), &i8 = add("i8", TensorProto::INT8),
                &f32 = add("f32", TensorProto::FLOAT), &f64 = add("f64", TensorProto::DOUBLE),
                &u32 = add("u32", TensorProto::UINT32), &half = add("half", TensorProto::FLOAT16),
                &raw = add("raw", TensorProto::INT16), &i4 = add("i4", TensorProto::INT4);
    std::string raw_data;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t value = i % 13 - 6;
      i64.add_int64_data(value);
      i8.add_int32_data(static_cast<int32_t>(value));
      f32.add_float_data(static_cast<float>(value));
      f64.add_double_data(static_cast<double>(value));
      u32.add_uint64_data(static_cast<uint64_t>(i));
      half.add_int32_data(value < 0 ? 0xbc00 : 0x3c00); // -1, 1
      const auto narrow = static_cast<int16_t>(value);
      raw_data.append(reinterpret_cast<const char *>(&narrow), sizeof narrow);
      if (i % 2 == 0)
        i4.add_int32_data(static_cast<int32_t>((value & 15) | ((((i + 1) % 13 - 6) << 4) & 0xf0)));
    }
    raw.set_raw_data(raw_data);
    add_node(g, "Identity", {"x"}, {"y"});
    add_output(g, "y");
    const Model model = read_sound(proto);
    for (const char *name : {"i64", "i8", "f32", "f64", "u32", "half", "raw", "i4"}) {
      const Tensor &tensor = *model.value(find_value(model, name)).constant;
      const auto numbers = read_numbers(tensor, model.files, count);
      ASSERT_TRUE(numbers.ok()) << name << ": " << numbers.status();
      for (int64_t i = 0; i < count; ++i) {
        const double value = static_cast<double>(i % 13 - 6);
        EXPECT_EQ((*numbers)[static_cast<size_t>(i)],
                  std::string(name) == "u32"    ? static_cast<double>(i)
                  : std::string(name) == "half" ? (value < 0 ? -1 : 1)
                                                : value)
            << name << " " << i;
      }
      EXPECT_FALSE(read_numbers(tensor, model.files, count - 1).ok());
    }
  }
}

TEST(OnnxFile, ExternalDataAreInTheModelsFolder) {
  const fs::path folder = fresh_folder();
  write_file(folder / "w.bin", std::string(100, 'w'));
  write_file(folder.parent_path() / "outside.bin", std::string(100, 'w'));
  fs::create_symlink("../outside.bin", folder / "link.bin");
  fs::create_symlink("w.bin", folder / "inner.bin");
  write_file(folder / "lfs.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n");
  const auto said = [&](const std::string &location, const std::string &offset = "",
                        const std::string &length = "") {
    const ModelProto model =
        model_with([&](TensorProto &w) { refer(w, location, offset, length); });
    Problems problems;
    read_model(write_file(folder / "m.onnx", model.SerializeAsString()), problems);
    return text_of(problems);
  };
  EXPECT_EQ(said("w.bin"), "");
  EXPECT_EQ(said("w.bin", "84", "16"), "");
  EXPECT_EQ(said("./inner.bin"), "");
  EXPECT_THAT(said("w.bin", "85", "16"), HasSubstr("of w.bin, which has 100"));
  EXPECT_THAT(said("w.bin", "18446744073709551615"), HasSubstr("of w.bin, which has 100"));
  EXPECT_THAT(said("w.bin", "0", "17"), HasSubstr("17 bytes of external data"));
  EXPECT_THAT(said("w.bin", "-1"), HasSubstr("whose offset is '-1'"));
  EXPECT_THAT(said("none.bin"), HasSubstr("the file 'none.bin' is not in " + folder.string()));
  write_file(folder / "late.bin.part", "w");
  EXPECT_THAT(said("late.bin"), HasSubstr("its download was interrupted"));
  EXPECT_THAT(said("../outside.bin"), HasSubstr("outside the model's folder"));
  EXPECT_THAT(said("/etc/passwd"), HasSubstr("absolute path"));
  EXPECT_THAT(said("link.bin"), HasSubstr("a link out of the model's folder"));
  EXPECT_THAT(said("."), HasSubstr("no regular file"));
  EXPECT_THAT(said("lfs.bin"), HasSubstr("Git LFS pointer"));
  EXPECT_THAT(said(std::string("w.bin\0", 6)), HasSubstr("does not say in which file"));
}

// Tests that a model in the Hugging Face cache is read, whose files are links to others side by
// side.
TEST(OnnxFile, ExternalDataBesideALinkedModelAreRead) {
  const fs::path folder = fresh_folder();
  fs::create_directories(folder / "blobs");
  fs::create_directories(folder / "snapshots/main");
  write_file(folder / "blobs/a",
             model_with([](TensorProto &w) { refer(w, "w.bin"); }).SerializeAsString());
  write_file(folder / "blobs/b", std::string(16, 'w'));
  fs::create_symlink("../../blobs/a", folder / "snapshots/main/m.onnx");
  fs::create_symlink("../../blobs/b", folder / "snapshots/main/w.bin");
  Problems problems;
  read_model((folder / "snapshots/main/m.onnx").string(), problems);
  EXPECT_EQ(text_of(problems), "");
}

TEST(OnnxFile, TensorsThatContradictThemselvesAreNamed) {
  const auto said = [](const std::function<void(TensorProto &)> &fill) {
    return problems_of(model_with(fill));
  };
  EXPECT_THAT(said([](TensorProto &w) { w.set_raw_data("abc"); }),
              HasSubstr("tensor 'w', float32 [4], has 3 bytes of data where its shape takes 16"));
  EXPECT_THAT(said([](TensorProto &w) { w.set_raw_data(std::string(5000, 'x')); }),
              HasSubstr("has 5000 bytes of data where its shape takes 16"));
  EXPECT_THAT(said([](TensorProto &) {}), HasSubstr("has 0 bytes"));
  EXPECT_THAT(said([](TensorProto &w) { w.set_data_type(99); }), HasSubstr("elements of type 99"));
  EXPECT_THAT(said([](TensorProto &w) { w.set_dims(0, -1); }), HasSubstr("no tensor can have"));
  EXPECT_THAT(said([](TensorProto &w) {
                for (int i = 0; i < 8; ++i)
                  w.add_dims(int64_t{1} << 40);
              }),
              HasSubstr("no tensor can have"));
  EXPECT_THAT(said([](TensorProto &w) {
                w.set_data_type(TensorProto::INT64);
                w.set_dims(0, 2000);
                for (int i = 0; i < 2000; ++i)
                  w.add_float_data(0);
              }),
              HasSubstr("a field for another type"));
}

TEST(OnnxFile, GraphsThatAreNoneAreNamed) {
  ModelProto cycle = make_model();
  GraphProto &g = *cycle.mutable_graph();
  add_input(g, "x", {1});
  add_node(g, "Add", {"x", "b"}, {"a"});
  add_node(g, "Neg", {"a"}, {"b"});
  add_output(g, "a");
  EXPECT_EQ(problems_of(cycle),
            "Add_1: it needs its own result: the graph has a cycle through it\n");

  ModelProto undefined = make_model();
  add_node(*undefined.mutable_graph(), "Neg", {"nowhere"}, {"y"});
  add_output(*undefined.mutable_graph(), "z");
  EXPECT_EQ(problems_of(undefined), "Neg_1: uses 'nowhere', which nothing computes\n"
                                    "graph output: uses 'z', which nothing computes\n");

  ModelProto twice = make_model();
  GraphProto &t = *twice.mutable_graph();
  add_input(t, "x", {1});
  add_node(t, "Neg", {"x"}, {"y"});
  add_node(t, "Abs", {"x"}, {"y"});
  add_output(t, "y");
  EXPECT_EQ(problems_of(twice), "Abs_2: gives the name 'y' to a second value\n");

  ModelProto initializers = make_model();
  GraphProto &two = *initializers.mutable_graph();
  for (const float number : {1.0f, 2.0f}) {
    TensorProto &w = *two.add_initializer();
    w.set_name("w");
    w.set_data_type(TensorProto::FLOAT);
    w.add_dims(1);
    w.add_float_data(number);
  }
  add_output(two, "w");
  EXPECT_EQ(problems_of(initializers),
            "w: two initializers have this name, of which only one can be meant\n");

  ModelProto versions = make_model();
  versions.clear_opset_import();
  add_input(*versions.mutable_graph(), "x", {1});
  add_node(*versions.mutable_graph(), "Neg", {"x"}, {"y"});
  EXPECT_THAT(problems_of(versions), HasSubstr("does not say which version"));
}

TEST(OnnxFile, NodesArePutInOrder) {
  ModelProto model = make_model();
  GraphProto &g = *model.mutable_graph();
  add_input(g, "x", {1});
  add_node(g, "Neg", {"b"}, {"c"});
  NodeProto &choice = add_node(g, "If", {"x"}, {"b"});
  for (const char *branch : {"then_branch", "else_branch"}) {
    GraphProto &inner = set_graph(choice, branch);
    add_node(inner, "Abs", {"a"}, {branch}); // a use that is seen in the branch alone
    add_output(inner, branch);
  }
  add_node(g, "Relu", {"x"}, {"a"});
  add_output(g, "c");
  EXPECT_THAT(ops_of(read_sound(model).graph), testing::ElementsAre("Relu", "If", "Neg"));
}

TEST(OnnxFile, VersionsAreRead) {
  EXPECT_EQ(problems_of(sample_models()[0].second), "");
  for (const int64_t version : {6, 29}) {
    ModelProto model = make_model(version);
    add_input(*model.mutable_graph(), "x", {1});
    add_node(*model.mutable_graph(), "Add", {"x", "x"}, {"y"});
    EXPECT_THAT(problems_of(model), HasSubstr("written for version " + std::to_string(version)));
  }
  ModelProto later = sample_models()[0].second;
  later.set_ir_version(99);
  EXPECT_THAT(problems_of(later), HasSubstr("version 99 of ONNX's format"));
  ModelProto old = make_model(1); // of which the op is still what it was
  add_input(*old.mutable_graph(), "x", {1}, TensorProto::BOOL);
  add_node(*old.mutable_graph(), "Not", {"x"}, {"y"});
  EXPECT_EQ(problems_of(old), "");
}

TEST(OnnxFile, FunctionsAreInlined) {
  const auto functions = sample_models()[2].second;
  const Model model = read_sound(functions);
  ASSERT_THAT(ops_of(model.graph), testing::ElementsAre("Flatten"));
  const Node &node = model.graph.nodes[0];
  EXPECT_EQ(node.name, "Flatten producing 'Inner producing 'Outer_1/r'/r'");
  EXPECT_EQ(node.find("axis")->ints, std::vector<int64_t>{2});
  EXPECT_EQ(node.outputs[0], model.graph.outputs[0]);
  EXPECT_EQ(node.version, 18);

  ModelProto recursive = functions;
  recursive.mutable_functions(0)->mutable_node(0)->set_op_type("Outer");
  recursive.mutable_functions(0)->mutable_node(0)->set_domain("own");
  EXPECT_THAT(problems_of(recursive), HasSubstr("calls itself"));
}

// Tests that functions which double what they hold end in an error, and soon.
TEST(OnnxFile, FunctionsThatMultiplyAreRefused) {
  ModelProto model = make_model();
  auto *domain = model.add_opset_import();
  domain->set_domain("own");
  domain->set_version(1);
  for (int i = 0; i < 30; ++i) {
    auto *function = model.add_functions();
    function->set_name("f" + std::to_string(i));
    function->set_domain("own");
    function->add_input("a");
    function->add_output("r");
    *function->add_opset_import() = model.opset_import(0);
    *function->add_opset_import() = *domain;
    for (const auto &[from, to] : {std::pair("a", "m"), std::pair("m", "r")}) {
      auto *node = function->add_node();
      node->set_op_type(i == 0 ? "Neg" : "f" + std::to_string(i - 1));
      node->set_domain(i == 0 ? "" : "own");
      node->add_input(from);
      node->add_output(to);
    }
  }
  add_input(*model.mutable_graph(), "x", {1});
  add_node(*model.mutable_graph(), "f29", {"x"}, {"y"}).set_domain("own");
  EXPECT_THAT(problems_of(model), HasSubstr("more than 50100 nodes"));
}

TEST(OnnxFile, ConstantsAreValues) {
  ModelProto proto = make_model();
  GraphProto &g = *proto.mutable_graph();
  set_ints(add_node(g, "Constant", {}, {"c"}), "value_ints", {4, 5});
  add_node(g, "Neg", {"c"}, {"y"});
  add_output(g, "y");
  const Model model = read_sound(proto);
  EXPECT_THAT(ops_of(model.graph), testing::ElementsAre("Neg"));
  const Tensor &tensor = *model.value(find_value(model, "c")).constant;
  EXPECT_EQ(*read_integers(tensor, model.files, 2), (std::vector<int64_t>{4, 5}));
}

// Tests that graphs in graphs, and files that are cut short or none, end in an error.
TEST(OnnxFile, DamagedFilesAreRefused) {
  const fs::path folder = fresh_folder();
  const auto said = [&](const std::string &bytes) {
    Problems problems;
    read_model(write_file(folder / "m.onnx", bytes), problems);
    return text_of(problems);
  };
  EXPECT_THAT(said("not a model"), HasSubstr("no ONNX file"));
  EXPECT_THAT(said(""), HasSubstr("is empty"));
  EXPECT_THAT(said("version https://git-lfs.github.com/spec/v1\n"), HasSubstr("Git LFS pointer"));
  EXPECT_THAT(said(std::string("\x08\x08", 2)), HasSubstr("no graph"));
  std::string nested; // graphs in nodes' attributes in graphs
  const auto wrap = [](char tag, const std::string &bytes) {
    std::string size;
    for (size_t rest = bytes.size(); size.empty() || rest != 0; rest >>= 7)
      size += static_cast<char>((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    return tag + size + bytes;
  };
  for (int i = 0; i < 200; ++i)
    nested = wrap('\x0a', wrap('\x2a', wrap('\x32', nested)));
  EXPECT_THAT(said(wrap('\x3a', nested)), HasSubstr("nested too deeply"));
  const std::string whole = sample_models()[1].second.SerializeAsString();
  for (size_t size = 1; size < whole.size(); size += 7)
    said(whole.substr(0, size)); // none may crash
}

} // namespace
} // namespace quern::onnx
