// Writes the files of small Hugging Face models for tests, in a folder that goes when the test
// does.
#ifndef QUERN_TESTS_FRONTENDS_FAMILIES_MODELFOLDER_H
#define QUERN_TESTS_FRONTENDS_FAMILIES_MODELFOLDER_H

#include "tests/frontends/families/GoldenTensors.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>
#include <vector>

namespace quern {

class ModelFolder {
public:
  ModelFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "quern-model-XXXXXX").string();
    if (!mkdtemp(name.data()))
      ADD_FAILURE() << "no folder for the test's model";
    path_ = name;
  }
  ~ModelFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ModelFolder(const ModelFolder &) = delete;
  ModelFolder &operator=(const ModelFolder &) = delete;

  std::string path() const { return path_.string(); }
  std::string path(const std::string &file) const { return (path_ / file).string(); }

  void write(const std::string &file, const std::string &text) const {
    std::ofstream(path_ / file, std::ios::binary) << text;
  }
  void write_config(const nlohmann::json &config) const { write("config.json", config.dump()); }

  /// A safetensors file of tensors as a golden describes them (make_goldens.py and
  /// make_quantized_goldens.py), by name.
  void write_tensors(const nlohmann::json &tensors,
                     const std::string &file = "model.safetensors") const {
    nlohmann::json header = nlohmann::json::object();
    std::string data;
    for (const auto &[name, tensor] : tensors.items()) {
      const size_t begin = data.size();
      data += golden_bytes(name, tensor);
      header[name] = {{"dtype", golden_dtype(tensor)},
                      {"shape", tensor["shape"]},
                      {"data_offsets", {begin, data.size()}}};
    }
    std::string text = header.dump();
    uint64_t length = text.size();
    write(file, std::string(reinterpret_cast<const char *>(&length), 8) + text + data);
  }

private:
  std::filesystem::path path_;
};

} // namespace quern

#endif // QUERN_TESTS_FRONTENDS_FAMILIES_MODELFOLDER_H
