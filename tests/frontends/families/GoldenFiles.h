// The goldens of tests/frontends/goldens, by name.
#ifndef QUERN_TESTS_FRONTENDS_FAMILIES_GOLDENFILES_H
#define QUERN_TESTS_FRONTENDS_FAMILIES_GOLDENFILES_H

#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace quern {

inline const std::string kGoldens = QUERN_SOURCE_DIR "/tests/frontends/goldens/";

inline std::vector<std::string> golden_names() {
  std::vector<std::string> names;
  for (const auto &entry : std::filesystem::directory_iterator(kGoldens))
    if (entry.path().extension() == ".json")
      names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

inline nlohmann::json read_golden(const std::string &name) {
  return nlohmann::json::parse(std::ifstream(kGoldens + name + ".json"));
}

} // namespace quern

#endif
