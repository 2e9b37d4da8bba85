// Tests what is said of folders as people have them: files that were never downloaded, or not to
// their end, and more files than one model has.
#include "frontends/Import.h"
#include "ir/quern/AttributeNames.h"
#include "tests/frontends/families/GgufConverter.h"
#include "tests/frontends/families/Golden.h"
#include "tests/frontends/families/GoldenFiles.h"
#include "tests/frontends/families/ModelFolder.h"

#include "mlir/IR/MLIRContext.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace quern {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr char kPointer[] =
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e"
    "2393\nsize 269060552\n";
constexpr char kTokenizer[] = R"({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2},
                               "merges": []}})";

class ModelFiles : public testing::Test {
protected:
  ModelFiles() : golden_(read_golden("llama")) {
    folder_.write_config(golden_["config"]);
    folder_.write_tensors(golden_["tensors"]);
    folder_.write("tokenizer.json", kTokenizer);
  }
  std::vector<Problem> problems(const std::string &path = "") {
    return check_model(path.empty() ? folder_.path() : path);
  }
  std::vector<std::string> notes(const std::string &path = "") {
    mlir::MLIRContext context;
    const auto model = import_model(path.empty() ? folder_.path() : path, {}, context);
    EXPECT_TRUE(model.ok()) << model.status();
    return model.ok() ? model->notes : std::vector<std::string>();
  }
  /// The model in two shards with their index.
  void write_shards() {
    json parts[2], map;
    int i = 0;
    for (const auto &[name, tensor] : golden_["tensors"].items()) {
      parts[i % 2][name] = tensor;
      map[name] = i++ % 2 ? "model-00002-of-00002.safetensors" : "model-00001-of-00002.safetensors";
    }
    std::filesystem::remove(folder_.path("model.safetensors"));
    folder_.write_tensors(parts[0], "model-00001-of-00002.safetensors");
    folder_.write_tensors(parts[1], "model-00002-of-00002.safetensors");
    folder_.write("model.safetensors.index.json", json{{"weight_map", map}}.dump());
  }
  std::string bytes_of(const std::string &file) {
    std::ifstream stream(folder_.path(file), std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  auto at(const std::string &file, const std::string &what, const std::string &hint = "") {
    return AllOf(Field(&Problem::where, file.empty() ? folder_.path() : folder_.path(file)),
                 Field(&Problem::what, HasSubstr(what)),
                 Field(&Problem::hint, AllOf(HasSubstr(hint), Not(IsEmpty()))));
  }

  json golden_;
  ModelFolder folder_;
};

// Tests that a file that Git LFS has not fetched is named as that, whichever it is, and once.
TEST_F(ModelFiles, AreNoGitLfsPointers) {
  ASSERT_THAT(problems(), IsEmpty());
  for (const char *file : {"model.safetensors", "tokenizer.json", "tokenizer_config.json",
                           "generation_config.json", "special_tokens_map.json", "config.json"}) {
    const std::string before = bytes_of(file);
    folder_.write(file, kPointer);
    EXPECT_THAT(problems(), ElementsAre(at(file, "is a Git LFS pointer", "git lfs pull")));
    if (before.empty())
      std::filesystem::remove(folder_.path(file));
    else
      folder_.write(file, before);
  }
  std::filesystem::remove(folder_.path("tokenizer.json"));
  folder_.write("tokenizer.model", kPointer);
  EXPECT_THAT(problems(), ElementsAre(at("tokenizer.model", "is a Git LFS pointer")));
  std::filesystem::remove(folder_.path("tokenizer.model"));
  write_shards();
  folder_.write("model-00001-of-00002.safetensors", kPointer);
  EXPECT_THAT(problems(),
              ElementsAre(at("model-00001-of-00002.safetensors", "is a Git LFS pointer")));
  folder_.write("model.safetensors.index.json", kPointer);
  EXPECT_THAT(problems(), ElementsAre(at("model.safetensors.index.json", "is a Git LFS pointer")));
  folder_.write("m.gguf", kPointer);
  EXPECT_THAT(problems(folder_.path("m.gguf")), ElementsAre(at("m.gguf", "is a Git LFS pointer")));
}

TEST_F(ModelFiles, AreWhole) {
  const std::string whole = bytes_of("model.safetensors");
  for (const size_t less : {size_t{1}, whole.size() / 2, whole.size() - 20, whole.size() - 7}) {
    folder_.write("model.safetensors", whole.substr(0, whole.size() - less));
    EXPECT_THAT(problems(), ElementsAre(at("model.safetensors", "", "interrupted download")));
  }
  folder_.write("model.safetensors", "");
  EXPECT_THAT(problems(), ElementsAre(at("model.safetensors", "is empty", "download it again")));
  folder_.write("model.safetensors", std::string(whole.size(), '\0'));
  EXPECT_THAT(problems(), ElementsAre(at("model.safetensors", "begins with zeros")));
  folder_.write("model.safetensors", "\n<!DOCTYPE html>\n<html><body>403</body></html>");
  EXPECT_THAT(problems(), ElementsAre(at("model.safetensors", "is a web page")));
  for (const char *text : {"{\"error\": \"Repository not found\"}", " \n{\n \"error\": 404}",
                           "Entry not found", "Invalid username or password."}) {
    for (const char *file : {"model.safetensors", "m.gguf"})
      folder_.write(file, text);
    EXPECT_THAT(problems(), ElementsAre(at("model.safetensors", "is a text, as of an error")));
    EXPECT_THAT(problems(folder_.path("m.gguf")), ElementsAre(at("m.gguf", "is a text")));
  }
  std::filesystem::remove(folder_.path("m.gguf"));
  folder_.write("model.safetensors", whole);
  folder_.write("model.safetensors.aria2", "state");
  EXPECT_THAT(problems(), ElementsAre(at("model.safetensors", "not finished", "aria2c -c")));
  std::filesystem::remove(folder_.path("model.safetensors"));
  std::filesystem::rename(folder_.path("model.safetensors.aria2"),
                          folder_.path("model.safetensors.incomplete"));
  EXPECT_THAT(problems(), ElementsAre(at("", "model.safetensors.incomplete: a download that was "
                                             "interrupted")));
}

TEST_F(ModelFiles, OfTokenizersAreWhole) {
  folder_.write("tokenizer.json", "<html>401</html>");
  folder_.write("generation_config.json", "");
  EXPECT_THAT(problems(), ElementsAre(at("tokenizer.json", "is a web page"),
                                      at("generation_config.json", "is empty")));
}

TEST_F(ModelFiles, AreAllThere) {
  write_shards();
  ASSERT_THAT(problems(), IsEmpty());
  std::filesystem::remove(folder_.path("model-00002-of-00002.safetensors"));
  EXPECT_THAT(problems(), ElementsAre(at("model-00002-of-00002.safetensors",
                                         "is missing, and the model's index names it")));
  folder_.write("model-00002-of-00002.safetensors.part", "x");
  EXPECT_THAT(problems(), ElementsAre(at("model-00002-of-00002.safetensors",
                                         "model-00002-of-00002.safetensors.part is: its download "
                                         "was interrupted")));
  folder_.write("model-00001-of-00002.safetensors", "");
  EXPECT_EQ(problems().size(), 2u);
  folder_.write("m.gguf.crdownload", "GGUF");
  EXPECT_THAT(problems(folder_.path("m.gguf")),
              ElementsAre(at("m.gguf", "m.gguf.crdownload: its download was interrupted")));
}

// Tests that a tensor that is in a second shard, too, is read from where the index has it, and that
// it is said.
TEST_F(ModelFiles, MayHaveCopies) {
  write_shards();
  json part, copied = golden_["tensors"]["model.norm.weight"];
  copied["mean"] = 7;
  const json index = json::parse(bytes_of("model.safetensors.index.json"));
  const std::string home = index["weight_map"]["model.norm.weight"];
  const std::string other = home == "model-00001-of-00002.safetensors"
                                ? "model-00002-of-00002.safetensors"
                                : "model-00001-of-00002.safetensors";
  EXPECT_THAT(notes(), Not(Contains(HasSubstr("in more files"))));
  for (const auto &[name, file] : index["weight_map"].items())
    if (file == other)
      part[name] = golden_["tensors"][name];
  part["model.norm.weight"] = copied;
  folder_.write_tensors(part, other);
  EXPECT_THAT(notes(), Contains(HasSubstr("in more files than the one that the index names, which "
                                          "is read: model.norm.weight (in " +
                                          other + ", read from " + home + ")")));
}

// Tests that of two sets of weights the one is read that transformers reads, and that it is said.
TEST_F(ModelFiles, OfTwoModelsAreToldApart) {
  const std::string single = bytes_of("model.safetensors");
  write_shards();
  EXPECT_THAT(notes(), Not(Contains(HasSubstr("not read"))));
  folder_.write("consolidated.safetensors", single);
  folder_.write("model-00003-of-00003.safetensors", single);
  EXPECT_THAT(notes(), Contains(HasSubstr("consolidated.safetensors, "
                                          "model-00003-of-00003.safetensors are not read")));
  folder_.write("model.safetensors", single);
  EXPECT_THAT(notes(), Contains(AllOf(HasSubstr("two sets of weights: model.safetensors is read"),
                                      HasSubstr("model.safetensors.index.json names, are not"))));
  mlir::MLIRContext context;
  const auto model = import_model(folder_.path(), {}, context);
  ASSERT_TRUE(model.ok());
  const auto files = (*model->module)->getAttrOfType<mlir::ArrayAttr>(attrs::kFiles);
  ASSERT_EQ(files.size(), 1u);
  EXPECT_EQ(mlir::cast<mlir::StringAttr>(files[0]).str(), folder_.path("model.safetensors"));
}

TEST_F(ModelFiles, OfAdaptersAreNotRead) {
  folder_.write("adapter_model.safetensors", "x");
  folder_.write("adapter_config.json", R"({"base_model_name_or_path": "meta/Llama"})");
  EXPECT_THAT(notes(), Contains(HasSubstr("adapter_model.safetensors is not applied")));
  std::filesystem::remove(folder_.path("model.safetensors"));
  EXPECT_THAT(problems(), ElementsAre(at("", "holds an adapter (LoRA)", "meta/Llama")));
  std::filesystem::remove(folder_.path("config.json"));
  EXPECT_THAT(problems(), ElementsAre(at("", "holds an adapter (LoRA)", "meta/Llama")));
}

TEST_F(ModelFiles, InOtherFormatsAreNamed) {
  std::filesystem::remove(folder_.path("model.safetensors"));
  folder_.write("tf_model.h5", "x");
  EXPECT_THAT(problems(), ElementsAre(at("", "another framework's", "convert")));
  folder_.write("pytorch_model.bin", "x");
  EXPECT_THAT(problems(), ElementsAre(at("", "pickle", "convert")));
  std::filesystem::create_directories(folder_.path("onnx"));
  folder_.write("onnx/model.onnx", "x");
  EXPECT_THAT(problems(),
              ElementsAre(at("", "and onnx/model.onnx", folder_.path("onnx/model.onnx"))));
  folder_.write("m-Q4_0.gguf", "x");
  EXPECT_THAT(problems(), ElementsAre(at("", "m-Q4_0.gguf", folder_.path("m-Q4_0.gguf"))));
  folder_.write("consolidated.safetensors", "x");
  EXPECT_THAT(problems(), ElementsAre(at("", "Mistral's own layout")));
}

// RWKV's weights are published as .pth files, with no config.
TEST_F(ModelFiles, OfRwkvAreToBeConverted) {
  std::filesystem::remove(folder_.path("model.safetensors"));
  folder_.write("RWKV-x070.pth", "x");
  EXPECT_THAT(problems(), ElementsAre(at("", "pickle", "torch.load('RWKV-x070.pth'")));
  std::filesystem::remove(folder_.path("config.json"));
  EXPECT_THAT(problems(), ElementsAre(at("", "pickle", "torch.load('RWKV-x070.pth'")));
  const auto file = check_model(folder_.path("RWKV-x070.pth"));
  EXPECT_THAT(file, ElementsAre(at("RWKV-x070.pth", "pickle", R"({"model_type": "rwkv7"})")));
}

// Tests that a folder of one GGUF model is that model, and that of several one is to be given.
TEST_F(ModelFiles, InAFolderMayBeGguf) {
  for (const char *file : {"config.json", "model.safetensors", "tokenizer.json"})
    std::filesystem::remove(folder_.path(file));
  folder_.write("a.gguf", to_gguf(golden_).bytes());
  EXPECT_THAT(notes(), Contains(HasSubstr("a.gguf is read")));
  folder_.write("b.gguf", to_gguf(golden_).bytes());
  EXPECT_THAT(problems(), ElementsAre(at("", "several models: a.gguf, b.gguf", "a.gguf")));
}

// Tests that a file whose end was never written is noted: its space may have been reserved.
TEST_F(ModelFiles, ThatEndInZerosAreNoted) {
  json header;
  uint64_t end = 0;
  const json tensors = golden_["tensors"];
  golden_["config"]["vocab_size"] = 1000;
  folder_.write_config(golden_["config"]);
  for (const auto &[name, tensor] : tensors.items()) {
    json shape = tensor["shape"];
    if (shape[0] == 23)
      shape[0] = 1000;
    uint64_t bytes = 4;
    for (const uint64_t n : shape)
      bytes *= n;
    header[name] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {end, end + bytes}}};
    end += bytes;
  }
  // The largest goes last.
  json &last = header["lm_head.weight"]["data_offsets"];
  const uint64_t begin = last[0], bytes = last[1].get<uint64_t>() - begin;
  for (auto &[name, tensor] : header.items())
    if (tensor["data_offsets"][0] > begin)
      tensor["data_offsets"] = {tensor["data_offsets"][0].get<uint64_t>() - bytes,
                                tensor["data_offsets"][1].get<uint64_t>() - bytes};
  last = {end - bytes, end};
  const std::string text = header.dump();
  const uint64_t length = text.size();
  const std::string front = std::string(reinterpret_cast<const char *>(&length), 8) + text;
  folder_.write("model.safetensors", front + std::string(end, 'x'));
  EXPECT_THAT(notes(), Not(Contains(HasSubstr("ends in zeros"))));
  folder_.write("model.safetensors",
                front + std::string(end - bytes, 'x') + std::string(bytes, '\0'));
  EXPECT_THAT(notes(), Contains(HasSubstr("model.safetensors ends in zeros")));
}

// Tests that the language model inside another one is found by any of the names its tensors have
// there, and that what is left out is said.
TEST_F(ModelFiles, MayBeOfAModelOfSeveralParts) {
  json text = golden_["config"], whole = {{"model_type", "llava"}};
  whole["tie_word_embeddings"] = text["tie_word_embeddings"];
  whole["architectures"] = {"LlavaForConditionalGeneration"};
  text.erase("model_type"); // which its class says
  whole["text_config"] = text;
  whole["vision_config"] = {{"hidden_size", 8}};
  whole["image_token_index"] = 0;
  folder_.write_config(whole);
  mlir::MLIRContext context;
  for (const auto &[around, head] : {std::pair("language_model.model.", "language_model.lm_head."),
                                     {"model.language_model.", "lm_head."},
                                     {"model.text_model.", "lm_head."},
                                     {"model.", "lm_head."}}) {
    json tensors = {{"vision_tower.embedding.weight", golden_["tensors"]["model.norm.weight"]},
                    {"multi_modal_projector.bias", golden_["tensors"]["model.norm.weight"]}};
    std::map<std::string, std::string> names;
    // A tensor's values go by its name in the golden.
    for (const auto &[name, tensor] : golden_["tensors"].items())
      names[name.starts_with("model.") ? around + name.substr(6) : head + name.substr(8)] = name;
    for (const auto &[name, of] : names)
      tensors[name] = {{"shape", golden_["tensors"][of]["shape"]},
                       {"parts", json::object({{of, golden_["tensors"][of]}})}};
    folder_.write_tensors(tensors);
    const auto model = import_model(folder_.path(), {}, context);
    ASSERT_TRUE(model.ok()) << around << model.status();
    EXPECT_THAT(model->notes, Contains(HasSubstr("the language model of a llava")));
    EXPECT_THAT(model->notes,
                Contains(HasSubstr("2 tensors of other parts (multi_modal_projector.bias and the "
                                   "like) left out")));
    expect_logits(*model->module, golden_);
  }
  whole["model_type"] = "a_new_one";
  folder_.write_config(whole);
  EXPECT_THAT(problems(),
              ElementsAre(Field(&Problem::what, HasSubstr("'a_new_one' is not known"))));
  whole["text_config"]["model_type"] = "llama";
  folder_.write_config(whole);
  EXPECT_THAT(problems(),
              ElementsAre(AllOf(Field(&Problem::what, HasSubstr("'a_new_one' is not known")),
                                Field(&Problem::hint, HasSubstr("its language model, a llama")))));
  whole["model_type"] = "llava";
  whole["text_config"] = 3;
  folder_.write_config(whole);
  EXPECT_THAT(problems(), ElementsAre(Field(&Problem::where, "text_config")));
}

// Tests that experts in one tensor are held against the config, and are none the other way round.
TEST_F(ModelFiles, HaveExpertsInOneTensorAsTransformersHasThem) {
  const json golden = read_golden("names/mixtral-of-class");
  const std::string name = "model.layers.1.mlp.experts.down_proj";
  folder_.write_config(golden["config"]);
  json tensors = golden["tensors"];
  folder_.write_tensors(tensors);
  ASSERT_THAT(problems(), IsEmpty());
  json &shape = tensors[name]["shape"];
  std::swap(shape[1], shape[2]);
  folder_.write_tensors(tensors);
  EXPECT_THAT(problems(),
              ElementsAre(AllOf(Field(&Problem::where, name),
                                Field(&Problem::what, HasSubstr("[4, 40, 24], and should be "
                                                                "[4, 24, 40]")),
                                Field(&Problem::hint, HasSubstr("the other way round")))));
  shape = {4, 24, 41};
  folder_.write_tensors(tensors);
  EXPECT_THAT(problems(), ElementsAre(AllOf(Field(&Problem::where, name),
                                            Field(&Problem::hint, HasSubstr("may not belong")))));
  shape = {4, 24, 40};
  tensors[name]["dtype"] = "I32";
  folder_.write_tensors(tensors);
  EXPECT_THAT(problems(), ElementsAre(AllOf(Field(&Problem::where, name),
                                            Field(&Problem::what, HasSubstr("I32")))));
  tensors.erase(name);
  folder_.write_tensors(tensors);
  EXPECT_THAT(problems(), Contains(Field(&Problem::where,
                                         "model.layers.1.block_sparse_moe.experts.0.w2.weight")));
}

// Tests that a tokenizer is held against the rows of the model beside it.
TEST_F(ModelFiles, NotesThatNoTokenEndsAnAnswer) {
  golden_["config"].erase("eos_token_id");
  folder_.write_config(golden_["config"]);
  EXPECT_THAT(notes(), Contains(HasSubstr("no token ends an answer")));
  folder_.write("tokenizer_config.json", R"({"eos_token": "c"})");
  EXPECT_THAT(notes(), Not(Contains(HasSubstr("no token ends an answer"))));
  const int rows = golden_["config"]["vocab_size"];
  json tokenizer = json::parse(kTokenizer);
  for (int id = 3; id < rows; ++id)
    tokenizer["model"]["vocab"]["t" + std::to_string(id)] = id;
  tokenizer["added_tokens"] = {{{"id", rows}, {"content", "<|im_end|>"}, {"special", true}}};
  folder_.write("tokenizer.json", tokenizer.dump());
  folder_.write("tokenizer_config.json", R"({"eos_token": "<|im_end|>"})");
  EXPECT_THAT(notes(), Contains(HasSubstr("the model has no row for \"<|im_end|>\"")));
}

} // namespace
} // namespace quern
