// Runs the built programs as processes: what a user sees of them.
#ifndef QUERN_TESTS_CONFORMANCE_PROGRAMS_H
#define QUERN_TESTS_CONFORMANCE_PROGRAMS_H

#include "runtime/cli/Npy.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <sys/wait.h>
#include <vector>

namespace quern::conformance {

/// A folder of the running test's own, gone when it is.
class Folder {
public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "quern-test-XXXXXX").string();
    if (!mkdtemp(name.data()))
      ADD_FAILURE() << "no folder for the test's files";
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder &) = delete;
  Folder &operator=(const Folder &) = delete;

  std::string path(const std::string &name = "") const {
    return name.empty() ? path_.string() : (path_ / name).string();
  }
  void write(const std::string &name, const std::string &bytes) const {
    std::ofstream(path_ / name, std::ios::binary) << bytes;
  }
  std::string read(const std::string &name) const {
    std::ifstream in(path_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::vector<std::string> names() const { return names(path_.string()); }
  /// What lies in any folder, sorted.
  static std::vector<std::string> names(const std::string &folder) {
    std::vector<std::string> names;
    for (const auto &entry : std::filesystem::directory_iterator(folder))
      names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }

private:
  std::filesystem::path path_;
};

/// No test writes to the user's cache, or takes code from it that another compiler made.
inline const bool kNoCache = setenv("QUERN_CACHE", "off", /*overwrite=*/1) == 0;

/// A cache for the tests of one program that compile the same code again, for other numbers or to
/// look at something else: set up in a fixture's constructor, off again after it.
class SharedCache {
public:
  SharedCache() {
    static const Folder folder;
    setenv("QUERN_CACHE", folder.path("cache").c_str(), /*overwrite=*/1);
  }
  ~SharedCache() { setenv("QUERN_CACHE", "off", /*overwrite=*/1); }
};

struct Result {
  int code = -1; ///< -1: a signal
  std::string out, err;

  nlohmann::json json() const {
    auto parsed = nlohmann::json::parse(out, nullptr, /*allow_exceptions=*/false);
    EXPECT_FALSE(parsed.is_discarded()) << out << err;
    return parsed;
  }
};

inline std::string quoted(const std::string &text) {
  std::string result = "'";
  for (const char c : text)
    result += c == '\'' ? "'\\''" : std::string(1, c);
  return result + "'";
}

/// Runs build/bin/<program> with `args`.
inline Result call(const std::string &program, const std::vector<std::string> &args) {
  const Folder folder;
  std::string command = quoted(QUERN_BINARY_DIR "/bin/" + program);
  for (const std::string &arg : args)
    command += " " + quoted(arg);
  command += " </dev/null >" + quoted(folder.path("out")) + " 2>" + quoted(folder.path("err"));
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, folder.read("out"), folder.read("err")};
}

/// The same, and it must succeed.
inline Result done(const std::string &program, const std::vector<std::string> &args) {
  Result result = call(program, args);
  EXPECT_EQ(result.code, 0) << program << " " << (args.empty() ? "" : args[0]) << "\n"
                            << result.err;
  return result;
}

/// float32 [T, vocab], as `quern-run logits` writes them.
struct Logits {
  int64_t rows = 0;
  int64_t cols = 0;
  std::vector<float> values;
  bool operator==(const Logits &) const = default;
};

inline Logits read_logits(const std::string &path) {
  Logits logits;
  auto array = cli::read_npy(path);
  EXPECT_TRUE(array.ok()) << array.status();
  if (!array.ok() || array->shape.size() != 2)
    return logits;
  logits.rows = array->shape[0];
  logits.cols = array->shape[1];
  logits.values.resize(array->bytes.size() / sizeof(float));
  std::memcpy(logits.values.data(), array->bytes.data(), array->bytes.size());
  return logits;
}

inline std::string joined(const std::vector<int32_t> &tokens) {
  std::string list;
  for (const int32_t token : tokens)
    list += (list.empty() ? "" : ",") + std::to_string(token);
  return list;
}

inline Logits logits(const std::string &artifact, const std::vector<int32_t> &tokens,
                     const std::vector<std::string> &more = {}) {
  const Folder folder;
  std::vector<std::string> args = {
      "logits", "-m", artifact, "--tokens", joined(tokens), "-o", folder.path("l.npy")};
  args.insert(args.end(), more.begin(), more.end());
  done("quern-run", args);
  return read_logits(folder.path("l.npy"));
}

/// A small decoder's config.json, for models whose weights are made up.
inline nlohmann::json small_llama() {
  return {{"model_type", "llama"},
          {"architectures", {"LlamaForCausalLM"}},
          {"vocab_size", 211},
          {"hidden_size", 96},
          {"intermediate_size", 160},
          {"num_hidden_layers", 3},
          {"num_attention_heads", 6},
          {"num_key_value_heads", 2},
          {"max_position_embeddings", 512},
          {"rms_norm_eps", 1e-5},
          {"rope_theta", 10000.0},
          {"hidden_act", "silu"},
          {"tie_word_embeddings", true},
          {"bos_token_id", 1},
          {"eos_token_id", 2}};
}

/// A small model of recurrent and convolution state alone.
inline nlohmann::json small_mamba2() {
  return {{"model_type", "mamba2"},
          {"architectures", {"Mamba2ForCausalLM"}},
          {"vocab_size", 211},
          {"hidden_size", 96},
          {"state_size", 24},
          {"num_hidden_layers", 2},
          {"expand", 2},
          {"conv_kernel", 4},
          {"num_heads", 12},
          {"head_dim", 16},
          {"n_groups", 2},
          {"chunk_size", 8},
          {"hidden_act", "silu"},
          {"tie_word_embeddings", false}};
}

/// An RWKV-7 of 96 channels: its states are two windows of one row, and a matrix, in each layer.
inline nlohmann::json small_rwkv7() {
  return {{"model_type", "rwkv7"},    {"architectures", {"RWKV7ForCausalLM"}},
          {"vocab_size", 211},        {"hidden_size", 96},
          {"num_hidden_layers", 2},   {"head_dim", 32},
          {"intermediate_size", 160}, {"decay_low_rank_dim", 16},
          {"gate_low_rank_dim", 24},  {"a_low_rank_dim", 16},
          {"v_low_rank_dim", 8},      {"tie_word_embeddings", false}};
}

/// small_llama with a sliding window in two layers of three.
inline nlohmann::json small_ministral() {
  auto config = small_llama();
  config["model_type"] = "ministral";
  config["architectures"] = {"MinistralForCausalLM"};
  config["head_dim"] = 16;
  config["sliding_window"] = 20;
  config["layer_types"] = {"sliding_attention", "full_attention", "sliding_attention"};
  return config;
}

} // namespace quern::conformance

#endif // QUERN_TESTS_CONFORMANCE_PROGRAMS_H
