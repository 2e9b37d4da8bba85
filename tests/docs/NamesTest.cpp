// Tests that functions are spelled as CONTRIBUTING.md says: lowerCamelCase in code written on
// MLIR's classes, snake_case elsewhere. What headers declare is looked at.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>

namespace {

namespace fs = std::filesystem;

const fs::path kRoot(QUERN_SOURCE_DIR);
constexpr const char *kHouse[] = {"codegen", "compiler", "frontends", "ir", "passes", "runtime"};

bool is_on_mlir(const std::string &header) {
  const auto begins = [&](const char *room) { return header.starts_with(room); };
  constexpr const char *rooms[] = {"passes/",           "ir/quern/",     "ir/interfaces/",
                                   "codegen/cpu/",      "codegen/cuda/", "codegen/schedule/",
                                   "compiler/pipeline/"};
  // Beside what generates code, these rooms have what knows nothing of the IR.
  constexpr const char *others[] = {"codegen/cpu/microkernels/", "codegen/cuda/device/",
                                    "codegen/cuda/Assembler",    "codegen/cuda/DeviceHeaders",
                                    "codegen/cuda/Nvrtc",        "codegen/cuda/PtxVersion"};
  return std::ranges::any_of(rooms, begins) && std::ranges::none_of(others, begins);
}

TEST(Names, OfFunctionsHaveTheirRoomsCase) {
  // A type, then a name before a parenthesis, at the beginning of a line.
  static const std::regex function("^[ \t]*(?!return |else |case |throw |new |using |#)"
                                   "[A-Za-z_][A-Za-z0-9_:<>,&*\\[\\] ]*[ &*>]"
                                   "([a-z][a-z0-9]*(?:_[a-z0-9_]+|[A-Z][A-Za-z0-9]*))\\(.*");
  size_t snake = 0, camel = 0;
  for (const char *top : kHouse)
    for (const auto &entry : fs::recursive_directory_iterator(kRoot / top)) {
      if (entry.path().extension() != ".h")
        continue;
      const std::string header = fs::relative(entry.path(), kRoot).string();
      std::ifstream in(entry.path());
      for (std::string line; std::getline(in, line);) {
        std::smatch match;
        line.erase(std::min(line.find("//"), line.size()));
        if (!std::regex_match(line, match, function))
          continue;
        const std::string name = match[1];
        const bool is_camel = name.find('_') == std::string::npos;
        ++(is_camel ? camel : snake);
        EXPECT_EQ(is_camel, is_on_mlir(header)) << header << " declares " << name;
      }
    }
  EXPECT_GT(snake, 400u) << "the pattern finds no functions any more";
  EXPECT_GT(camel, 40u);
}

} // namespace
