// A family is a recipe, not a program: its file fills structs, and sees no IR and no builder.
#include "frontends/families/Families.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

namespace quern {
namespace {

constexpr int kMostLines = 150; // three generations in two file formats

/// The files that families share.
const std::set<std::string> kShared = {
    "Activations.cpp", "Aliases.cpp",     "Dense.cpp",      "DenseGguf.cpp",   "Encoders.cpp",
    "Experts.cpp",     "ExpertsGguf.cpp", "Families.cpp",   "Fla.cpp",         "Hybrids.cpp",
    "HybridsGguf.cpp", "KimiDelta.cpp",   "Latent.cpp",     "ModelReader.cpp", "Rotary.cpp",
    "Rwkv.cpp",        "Rwkv6Fla.cpp",    "Rwkv7Layers.cpp"};

TEST(FamilyFiles, HoldRecipesAndNothingElse) {
  const std::filesystem::path folder = QUERN_SOURCE_DIR "/frontends/families";
  std::string recipes;
  int files = 0;
  for (const auto &entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (entry.path().extension() != ".cpp" || kShared.contains(name))
      continue;
    ++files;
    std::stringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    recipes += text.str();
    const std::string source = text.str();
    EXPECT_LE(std::count(source.begin(), source.end(), '\n'), kMostLines) << name;
    for (std::string line; std::getline(text, line);)
      if (line.starts_with("#include \""))
        EXPECT_TRUE(line.starts_with("#include \"frontends/families/")) << name << ": " << line;
    for (const char *other : {"mlir", "Op::create", "OpBuilder", "Builder.h"})
      EXPECT_EQ(source.find(other), std::string::npos) << name << " mentions " << other;
  }
  EXPECT_GE(files, 25);

  // Every family of the table is read by one of those files.
  std::stringstream names(hf_family_names());
  for (std::string name; std::getline(names, name, ',');) {
    name.erase(0, name.find_first_not_of(' '));
    EXPECT_NE(recipes.find("\"" + name + "\""), std::string::npos) << name;
  }
}

} // namespace
} // namespace quern
