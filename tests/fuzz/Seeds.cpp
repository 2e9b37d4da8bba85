// Writes what fuzzing starts from: SEEDS/<target>/<file>, of the files that tests have or make, and
// SEEDS/<target>.dict, the words in them.
#include "frontends/gguf/GgufFile.h"
#include "runtime/cli/Npy.h"
#include "runtime/session/Engine.h"
#include "tests/frontends/families/GgufConverter.h"
#include "tests/frontends/families/GoldenFiles.h"
#include "tests/frontends/families/GoldenTensors.h"
#include "tests/frontends/gguf/GgufWriter.h"
#include "tests/frontends/onnx/OnnxModels.h"
#include "tests/runtime/fake/FakeArtifact.h"

#include <nlohmann/json.hpp>

#include <bit>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <span>

namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;
using quern::gguf::GgufWriter;

const fs::path kTests = QUERN_SOURCE_DIR "/tests";

std::string contents(const fs::path &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The seeds of one target.
class Seeds {
public:
  Seeds(const fs::path &folder, const std::string &target)
      : folder_(folder / target), dictionary_(folder / (target + ".dict")) {
    fs::create_directories(folder_);
  }
  void add(const std::string &name, std::string_view bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    collect_words(bytes);
  }
  void write_dictionary() const {
    std::ofstream file(dictionary_);
    for (const std::string &word : words_)
      file << '"' << word << "\"\n";
  }

private:
  void collect_words(std::string_view bytes) {
    std::string word;
    for (const char c : bytes) {
      if (std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.') {
        word += c;
        continue;
      }
      const bool is_name = std::isalpha(static_cast<unsigned char>(word[0]));
      if (is_name && word.size() >= 3 && word.size() <= 40 && words_.size() < kMostWords)
        words_.insert(word);
      word.clear();
    }
  }

  static constexpr size_t kMostWords = 1000;
  fs::path folder_, dictionary_;
  std::set<std::string> words_;
};

void safetensors(Seeds seeds) {
  const auto file = [](const std::string &header, size_t data) {
    return GgufWriter::raw<uint64_t>(header.size()) + header + std::string(data, 'd');
  };
  seeds.add("kinds", file(R"({"__metadata__":{"format":"pt"},
"b.weight":{"dtype":"F32","shape":[2,1],"data_offsets":[6,14]},
"a.weight":{"dtype":"BF16","shape":[3],"data_offsets":[0,6]},
"empty":{"dtype":"F16","shape":[0,5],"data_offsets":[14,14]},
"scalar":{"dtype":"I64","shape":[],"data_offsets":[14,22]}}   )",
                          22));
  seeds.add("bytes", file(R"({"x":{"dtype":"F8_E4M3","shape":[1,1,3],"data_offsets":[0,3]},
"\u00e9\"":{"dtype":"BOOL","shape":[1],"data_offsets":[3,4]}})",
                          4));
  seeds.add("none", file("{}", 0));
  seeds.write_dictionary();
}

/// A golden's model with its first layer alone.
json one_layer(json golden) {
  json &config = golden["config"];
  for (const char *key : {"num_hidden_layers", "n_layer", "n_layers", "num_layers"})
    if (config.contains(key))
      config[key] = 1;
  for (auto &[key, value] : config.items())
    if (value.is_array() && key.find("layer") != key.npos && value.size() > 1)
      value.erase(value.begin() + 1, value.end());
  json tensors = json::object();
  static const std::regex layer(R"(\.([0-9]+)\.)");
  for (const auto &[name, tensor] : golden["tensors"].items())
    if (std::smatch match; !std::regex_search(name, match, layer) || match[1] == "0")
      tensors[name] = tensor;
  golden["tensors"] = tensors;
  return golden;
}

/// The config, the header and the first of the data, as HfFolder.cpp reads them. Small tensors go
/// first: their values may matter.
std::string hf_folder_of(const json &golden) {
  std::vector<std::pair<std::string, std::string>> tensors;
  for (const auto &[name, tensor] : golden["tensors"].items())
    tensors.emplace_back(name, quern::golden_bytes(name, tensor));
  std::sort(tensors.begin(), tensors.end(), [](const auto &a, const auto &b) {
    return std::pair(a.second.size(), a.first) < std::pair(b.second.size(), b.first);
  });
  json header = json::object();
  std::string data;
  for (const auto &[name, bytes] : tensors) {
    const json &tensor = golden["tensors"][name];
    header[name] = {{"dtype", quern::golden_dtype(tensor)},
                    {"shape", tensor["shape"]},
                    {"data_offsets", {data.size(), data.size() + bytes.size()}}};
    data += bytes;
  }
  data.resize(std::min<size_t>(data.size(), 2048));
  return golden["config"].dump() + '\0' + header.dump() + '\0' + data;
}

void hf_folder(Seeds seeds) {
  for (const std::string &name : quern::golden_names())
    if (const json golden = quern::read_golden(name);
        golden["config"].contains("quantization_config") || name.find('-') == name.npos)
      seeds.add(name, hf_folder_of(one_layer(golden)));
  seeds.write_dictionary();
}

/// A file up to its weights.
std::string without_weights(const std::string &file) {
  const auto shard = quern::gguf::parse_shard(std::as_bytes(std::span(file)), "seed");
  if (!shard.ok() || shard->tensors.empty())
    return file;
  uint64_t begin = file.size();
  for (const auto &tensor : shard->tensors)
    begin = std::min(begin, tensor.offset);
  return file.substr(0, begin);
}

/// A language model of one layer, as small as they get.
GgufWriter small_model(const std::string &architecture) {
  GgufWriter writer;
  writer.string("general.architecture", architecture).string("general.type", "model");
  const auto key = [&](const char *name) { return architecture + "." + name; };
  for (const auto &[name, value] :
       {std::pair{"block_count", 1u}, std::pair{"context_length", 64u},
        std::pair{"embedding_length", 4u}, std::pair{"feed_forward_length", 2u},
        std::pair{"attention.head_count", 2u}, std::pair{"attention.head_count_kv", 1u},
        std::pair{"attention.key_length", 2u}, std::pair{"attention.value_length", 2u},
        std::pair{"rope.dimension_count", 2u}})
    writer.u32(key(name), value);
  writer.key(key("attention.layer_norm_rms_epsilon"), 6, GgufWriter::raw(1e-5f));
  writer.key(key("rope.freq_base"), 6, GgufWriter::raw(1e4f));
  const auto tensor = [&](const std::string &name, const std::vector<uint64_t> &dimensions) {
    uint64_t count = 1;
    for (const uint64_t n : dimensions)
      count *= n;
    writer.tensor(name, dimensions, 0, std::string(4 * count, '\0'));
  };
  tensor("token_embd.weight", {4, 6});
  tensor("output_norm.weight", {4});
  tensor("blk.0.attn_norm.weight", {4});
  tensor("blk.0.attn_q.weight", {4, 4});
  tensor("blk.0.attn_k.weight", {4, 2});
  tensor("blk.0.attn_v.weight", {4, 2});
  tensor("blk.0.attn_output.weight", {4, 4});
  tensor("blk.0.ffn_norm.weight", {4});
  tensor("blk.0.ffn_gate.weight", {4, 2});
  tensor("blk.0.ffn_up.weight", {4, 2});
  tensor("blk.0.ffn_down.weight", {2, 4});
  if (architecture == "qwen2")
    for (const auto &[name, size] : {std::pair{"q", 4u}, std::pair{"k", 2u}, std::pair{"v", 2u}})
      tensor(std::string("blk.0.attn_") + name + ".bias", {size});
  if (architecture == "qwen3")
    for (const char *name : {"q", "k"})
      tensor(std::string("blk.0.attn_") + name + "_norm.weight", {2});
  return writer;
}

/// Adds a vocabulary of six tokens in the manner of `model`.
void add_vocabulary(GgufWriter &writer, const std::string &model) {
  const bool spaced = model == "llama" || model == "t5";
  writer.string("tokenizer.ggml.model", model);
  writer.strings("tokenizer.ggml.tokens",
                 {"<unk>", spaced ? "<s>" : "[CLS]", "a", spaced ? "\u2581" : "b",
                  model == "bert" ? "##b" : "ab", "</s>"});
  writer.array<int32_t>("tokenizer.ggml.token_type", 5, {2, 3, 1, 1, 1, 3});
  if (spaced)
    writer.array<float>("tokenizer.ggml.scores", 6, {0, 0, -1, -2, -3, 0});
  if (model == "gpt2")
    writer.strings("tokenizer.ggml.merges", {"a b"}).string("tokenizer.ggml.pre", "qwen2");
  writer.u32("tokenizer.ggml.bos_token_id", 1).u32("tokenizer.ggml.eos_token_id", 5);
  writer.u32("tokenizer.ggml.unknown_token_id", 0);
  writer.key("tokenizer.ggml.add_bos_token", 7, "\1");
  writer.string("tokenizer.chat_template", "{{ messages[0].content }}");
}

void gguf(Seeds seeds) {
  for (const char *architecture : {"llama", "qwen2", "qwen3"})
    seeds.add(architecture, small_model(architecture).bytes());
  for (const char *vocabulary : {"gpt2", "llama", "t5", "bert"}) {
    GgufWriter writer = small_model("llama");
    add_vocabulary(writer, vocabulary);
    seeds.add(std::string("llama-") + vocabulary, writer.bytes());
  }
  GgufWriter kinds;
  kinds.version = 2;
  kinds.key("i8", 1, GgufWriter::raw<int8_t>(-3)).key("u64", 10, GgufWriter::raw(~uint64_t{0}));
  kinds.key("f64", 12, GgufWriter::raw(0.25)).array<uint8_t>("flags", 7, {0, 1, 1});
  kinds.strings("none", {}).array<uint16_t>("shorts", 2, {1, 2});
  for (const auto &[type, bytes] : {std::pair{2u, 18u}, std::pair{3u, 20u}, std::pair{8u, 34u}})
    kinds.tensor("q" + std::to_string(type), {32}, type, std::string(bytes, 'q'));
  seeds.add("kinds", kinds.bytes());
  for (const std::string &name : quern::golden_names())
    if (const json golden = quern::read_golden(name);
        !golden["config"].contains("quantization_config") && name.find('-') == name.npos &&
        !quern::gguf_architecture(golden["config"].value("model_type", "")).empty())
      seeds.add(name, without_weights(quern::to_gguf(one_layer(golden)).bytes()));
  seeds.write_dictionary();
}

void config_json(Seeds seeds) {
  for (const auto &file : fs::directory_iterator(kTests / "frontends/goldens"))
    if (file.path().extension() == ".json")
      seeds.add(file.path().stem().string(), json::parse(contents(file))["config"].dump());
  seeds.write_dictionary();
}

constexpr size_t kFewTokens = 12, kFewMerges = 3;

/// The tokenizer with few of its tokens and merges, so that mutations fall elsewhere.
ordered_json with_few_tokens(ordered_json tokenizer) {
  ordered_json &model = tokenizer["model"];
  ordered_json &vocab = model["vocab"];
  std::set<std::string> wanted;
  if (model.contains("merges")) {
    ordered_json &merges = model["merges"];
    while (merges.size() > kFewMerges)
      merges.erase(merges.size() - 1);
    for (const ordered_json &merge : merges) {
      const bool pair = merge.is_array();
      const std::string both = pair ? merge[0].get<std::string>() : merge.get<std::string>();
      const size_t space = pair ? both.size() : both.find(' ');
      const std::string left = both.substr(0, space);
      const std::string right = pair ? merge[1].get<std::string>() : both.substr(space + 1);
      wanted.insert({left, right, left + right});
    }
  }
  if (vocab.is_array()) {
    while (vocab.size() > kFewTokens)
      vocab.erase(vocab.size() - 1);
    return tokenizer;
  }
  if (model.contains("unk_token") && model["unk_token"].is_string())
    wanted.insert(model["unk_token"]);
  ordered_json few = ordered_json::object();
  for (const auto &[token, id] : vocab.items())
    if (id < kFewTokens || wanted.contains(token))
      few[token] = id;
  vocab = few;
  return tokenizer;
}

void tokenizer_json(Seeds seeds) {
  std::vector<fs::path> folders;
  for (const auto &folder : {kTests / "frontends/text/data", kTests / "frontends/text/data/models"})
    for (const auto &entry : fs::directory_iterator(folder))
      if (fs::exists(entry.path() / "tokenizer.json"))
        folders.push_back(entry.path());
  for (const fs::path &folder : folders) {
    std::string beside;
    for (const char *name : {"tokenizer_config.json", "special_tokens_map.json",
                             "generation_config.json", "config.json", "chat_template.jinja"})
      beside += std::string(1, '\0') + contents(folder / name);
    const ordered_json whole = ordered_json::parse(contents(folder / "tokenizer.json"));
    seeds.add(folder.filename().string(), with_few_tokens(whole).dump() + beside);
  }
  seeds.write_dictionary();
}

/// A field of a Protocol Buffers message with bytes, or with a number below 128.
std::string field(uint32_t number, const std::string &bytes) {
  std::string tag;
  for (uint32_t rest = number << 3 | 2; rest != 0; rest >>= 7)
    tag += static_cast<char>((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
  return tag + static_cast<char>(bytes.size()) + bytes;
}
std::string field(uint32_t number, uint8_t value) {
  std::string tag;
  for (uint32_t rest = number << 3; rest != 0; rest >>= 7)
    tag += static_cast<char>((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
  return tag + static_cast<char>(value);
}

/// A model with few of its pieces, which are the fields of number 1.
std::string with_few_pieces(std::string_view model) {
  std::string few;
  size_t pieces = 0;
  while (model.size() > 2) {
    size_t at = 1, size = 0;
    for (unsigned shift = 0;; shift += 7) {
      const auto byte = static_cast<uint8_t>(model[at++]);
      size |= size_t{byte & 0x7fu} << shift;
      if (byte < 0x80)
        break;
    }
    if (model[0] != '\n' || ++pieces <= 3 * kFewTokens)
      few += model.substr(0, at + size);
    model.remove_prefix(std::min(at + size, model.size()));
  }
  return few;
}

void tokenizer_model(Seeds seeds) {
  for (const char *name : {"spm_bpe", "spm_plain", "spm_unigram"})
    seeds.add(name, with_few_pieces(contents(kTests / "frontends/text/data/models" / name /
                                             "tokenizer.model")));
  for (const uint8_t type : {1, 2}) {
    std::string model;
    const auto piece = [&](const std::string &text, float score, uint8_t kind) {
      model += field(1, field(1, text) + "\x15" + GgufWriter::raw(score) + field(3, kind));
    };
    piece("<unk>", 0, 2);
    piece("<s>", 0, 3);
    piece("</s>", 0, 3);
    piece("<0x0A>", 0, 6);
    piece("\u2581a", -1, 1);
    piece("a", -2, 1);
    piece("\u2581", -3, 1);
    piece("user", 0, 4);
    model += field(2, field(3, type) + field(35, uint8_t{1}) + field(40, uint8_t{0}));
    model += field(3, field(3, uint8_t{1}) + field(4, uint8_t{0}) + field(5, uint8_t{1}));
    seeds.add(type == 1 ? "small-unigram" : "small-bpe", model);
  }
  seeds.write_dictionary();
}

void chat_template(Seeds seeds) {
  const json goldens = json::parse(contents(kTests / "runtime/text/data/templates.json"));
  for (const auto &[name, source] : goldens["families"].items())
    seeds.add(name, source.get<std::string>());
  for (const json &golden : goldens["cases"])
    if (golden.contains("template"))
      seeds.add(std::to_string(std::hash<std::string>()(golden["template"])),
                golden["template"].get<std::string>());
  seeds.write_dictionary();
}

std::string_view view(const std::vector<uint8_t> &bytes) {
  return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

void artifact_file(Seeds seeds) {
  using quern::test::fake_artifact;
  seeds.add("language-model", view(fake_artifact()));
  seeds.add("kv-alone", view(fake_artifact({.recurrent = false, .tokenizer = false})));
  seeds.add("main", view(fake_artifact({.main_entry = true})));
  seeds.add("sized", view(fake_artifact({.sized_entry = true})));
  seeds.add("made", view(fake_artifact({.made = true})));
  // Short PTX, so that the rest of the section is changed often.
  const auto shorten = [](quern::test::FakeCode &code) { code.modules[0].ptx = ".version 7.4"; };
  seeds.add("cuda", view(fake_artifact({.cuda = true, .change_code = shorten})));
  seeds.add("cuda-main",
            view(fake_artifact({.main_entry = true, .cuda = true, .change_code = shorten})));
}

void state_file(Seeds seeds) {
  auto engine =
      quern::session::Engine::open(quern::test::write_fake("seeds.quern", {.window = 70}),
                                   {.device = "null", .checkpoints = 10000, .threads = 1});
  const quern::session::SlotId slot = *(*engine)->create_slot();
  const std::string path = quern::test::fresh_path("seed.state");
  for (const size_t length : {0, 3, 64, 70}) {
    const std::vector<int32_t> tokens(length - (*engine)->length(slot), 5);
    std::vector<float> logits((*engine)->vocab());
    const quern::session::SequenceStep step{slot, tokens, quern::session::Rows::last};
    if (!tokens.empty() && !(*engine)->step(std::span(&step, 1), logits).ok())
      continue;
    if ((*engine)->save_state(slot, path).ok())
      seeds.add(std::to_string(length), contents(path));
    (void)(*engine)->checkpoint(slot);
  }
}

void prefix_file(Seeds seeds) {
  auto engine = quern::session::Engine::open(quern::test::write_fake("seeds.quern", {.window = 70}),
                                             {.device = "null", .threads = 1});
  const std::string folder = quern::test::fresh_path("prefixes");
  const auto cache = (*engine)->prefix_cache(folder, uint64_t{1} << 30);
  const quern::session::SlotId slot = *(*engine)->create_slot();
  const std::vector<int32_t> tokens(99, 5);
  const quern::session::SequenceStep step{slot, tokens, quern::session::Rows::none};
  if (!cache.prepare().ok() || !(*engine)->step(std::span(&step, 1), {}).ok() ||
      !cache.save_point(slot).ok() || !cache.save_rest(slot, 99).ok())
    return;
  for (const auto &entry : std::filesystem::directory_iterator(folder))
    seeds.add(entry.path().extension().string().substr(1), contents(entry.path()));
}

void npy(Seeds seeds) {
  using quern::artifact::ElementType;
  const std::string path = quern::test::fresh_path("seed.npy");
  for (const auto &[name, array] :
       {std::pair{"floats",
                  quern::cli::NpyArray{ElementType::f32, {2, 3}, std::vector<uint8_t>(24)}},
        std::pair{"ids", quern::cli::NpyArray{ElementType::i64, {2}, std::vector<uint8_t>(16)}},
        std::pair{"scalar", quern::cli::NpyArray{ElementType::u8, {}, std::vector<uint8_t>(1)}}})
    if (quern::cli::write_npy(path, array).ok())
      seeds.add(name, contents(path));
  seeds.write_dictionary();
}

void onnx_model(Seeds seeds) {
  for (const auto &[name, model] : quern::onnx::test::sample_models())
    seeds.add(name, model.SerializeAsString());
  seeds.write_dictionary();
}

// Short kernels, of which each has other forms; NVRTC's text looks the same.
void ptx(Seeds seeds) {
  const std::string head = ".version 8.0\n.target sm_80\n.address_size 64\n";
  const std::string registers = "{\n.reg .b32 %r<9>;\n.reg .b64 %d<9>;\n.reg .f32 %f<9>;\n"
                                ".reg .b16 %h<9>;\n.reg .pred %p<4>;\n"
                                "ld.param.u64 %d0, [a];\nmov.u32 %r0, %tid.x;\n"
                                "mul.wide.u32 %d1, %r0, 4;\nadd.s64 %d2, %d0, %d1;\n";
  const auto kernel = [&](const std::string &before, const std::string &body) {
    return head + before + ".visible .entry k(.param .u64 a)\n.maxntid 64, 1, 1\n" + registers +
           body + "ret;\n}\n";
  };
  seeds.add("arithmetic",
            kernel("", "ld.global.u32 %r1, [%d2];\nmad.lo.s32 %r2, %r1, %r0, 7;\n"
                       "lop3.b32 %r3, %r1, %r2, %r0, 0xea;\nshf.l.wrap.b32 %r3, %r3, %r2, 5;\n"
                       "cvt.rn.f32.s32 %f0, %r3;\nfma.rn.f32 %f1, %f0, 0f3F800000, %f0;\n"
                       "cvt.rzi.s32.f32 %r4, %f1;\ndp4a.s32.s32 %r4, %r4, %r1, %r2;\n"
                       "bfe.u32 %r5, %r4, %r0, 9;\nst.global.u32 [%d2], %r5;\n"));
  seeds.add("loop", kernel("", "mov.u32 %r1, 0;\nLOOP:\nadd.s32 %r1, %r1, 1;\n"
                               "setp.lt.u32 %p0|%p1, %r1, %r0;\n@%p0 bra LOOP;\n"
                               "@!%p1 bra END;\nst.global.v2.u32 [%d0+8], {%r1, %r0};\nEND:\n"));
  seeds.add(
      "shared",
      kernel(".extern .shared .align 16 .b8 more[];\n.const .align 4 .u32 t[2] = {1, 0x2};\n",
             ".shared .align 16 .b8 tile[512];\nmov.u64 %d3, tile;\nadd.s64 %d3, %d3, %d1;\n"
             "st.shared.u32 [%d3], %r0;\nbar.sync 0;\nld.shared.u32 %r1, [tile+4];\n"
             "cp.async.ca.shared.global [tile+256], [%d0], 4;\ncp.async.commit_group;\n"
             "cp.async.wait_group 0;\nldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r2}, [tile];\n"
             "ld.const.u32 %r3, [t+4];\n"));
  seeds.add("warp", kernel("", "shfl.sync.bfly.b32 %r1|%p0, %r0, 4, 31, -1;\n"
                               "vote.sync.ballot.b32 %r2, %p0, -1;\nactivemask.b32 %r3;\n"
                               "redux.sync.add.s32 %r4, %r3, -1;\nbar.warp.sync -1;\n"
                               "atom.global.add.u32 %r5, [%d0], 1;\n"));
  seeds.add("call", kernel(".func (.param .b32 r) f(.param .b32 n)\n{\n.reg .b32 %a;\n"
                           "ld.param.b32 %a, [n];\nst.param.b32 [r+0], %a;\nret;\n}\n",
                           "{\n.param .b32 p0;\nst.param.b32 [p0+0], %r0;\n.param .b32 p1;\n"
                           "call.uni (p1), f, (p0);\nld.param.b32 %r1, [p1+0];\n}\n"));
  seeds.add("mma", kernel("", "mov.u32 %r1, 0;\nmov.f32 %f0, 0f00000000;\n"
                              "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                              "{%f1, %f2, %f3, %f4}, {%r1, %r1, %r1, %r1}, {%r1, %r1}, "
                              "{%f0, %f0, %f0, %f0};\n"));
  seeds.write_dictionary();
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: fuzz_seeds FOLDER\n");
    return 2;
  }
  const fs::path folder = argv[1];
  fs::remove_all(folder);
  safetensors({folder, "safetensors"});
  gguf({folder, "gguf"});
  config_json({folder, "config_json"});
  hf_folder({folder, "hf_folder"});
  tokenizer_json({folder, "tokenizer_json"});
  tokenizer_model({folder, "tokenizer_model"});
  chat_template({folder, "chat_template"});
  artifact_file({folder, "artifact_file"});
  state_file({folder, "state_file"});
  prefix_file({folder, "prefix_file"});
  npy({folder, "npy"});
  onnx_model({folder, "onnx"});
  ptx({folder, "ptx"});
  return 0;
}
