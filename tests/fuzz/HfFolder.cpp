// A Hugging Face folder's config.json and weights, quantized ones too. One input: the config, the
// safetensors' header and the beginning of its data, separated by NUL bytes; what more data the
// header names is zeros.
#include "frontends/hf/HfModel.h"
#include "tests/fuzz/Fuzz.h"
#include "tests/fuzz/UseWeights.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace {

constexpr uint64_t kMostData = uint64_t{1} << 20;

/// A folder of this process, gone when it ends.
class Folder {
public:
  Folder() : path_((std::filesystem::temp_directory_path() / "quern-fuzz-XXXXXX").string()) {
    quern::fuzz::require(mkdtemp(path_.data()) != nullptr, "no folder");
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder &) = delete;
  Folder &operator=(const Folder &) = delete;
  const std::string &path() const { return path_; }

private:
  std::string path_;
};

const std::string &folder() {
  static const Folder folder;
  return folder.path();
}

/// Where the data ends that the header tells of; 0 where it cannot be told.
uint64_t data_bytes(std::string_view header) {
  const auto json = nlohmann::json::parse(header, nullptr, /*allow_exceptions=*/false);
  uint64_t end = 0;
  if (json.is_object())
    for (const auto &tensor : json)
      if (tensor.is_object() && tensor.contains("data_offsets") &&
          tensor["data_offsets"].is_array() && tensor["data_offsets"].size() == 2 &&
          tensor["data_offsets"][1].is_number_unsigned())
        end = std::max(end, tensor["data_offsets"][1].get<uint64_t>());
  return end <= kMostData ? end : 0;
}

void write_files(std::string_view config, std::string_view header, std::string_view data) {
  std::ofstream(folder() + "/config.json", std::ios::binary) << config;
  const uint64_t length = header.size();
  const std::string path = folder() + "/model.safetensors";
  std::ofstream(path, std::ios::binary)
      << std::string_view(reinterpret_cast<const char *>(&length), 8) << header << data;
  const uint64_t whole = 8 + length + data_bytes(header);
  if (whole > 8 + length + data.size())
    std::filesystem::resize_file(path, whole);
}

} // namespace

void quern::fuzz::read(std::string_view bytes) {
  const size_t first = std::min(bytes.find('\0'), bytes.size());
  const std::string_view rest = bytes.substr(std::min(first + 1, bytes.size()));
  const size_t second = std::min(rest.find('\0'), rest.size());
  write_files(bytes.substr(0, first), rest.substr(0, second),
              rest.substr(std::min(second + 1, rest.size())));
  Problems problems;
  const LoadedModel model = hf::load_model(folder(), {}, problems);
  if (problems.empty())
    use_weights(model);
}
