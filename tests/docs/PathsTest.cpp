// Tests that what the documents name is there.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

namespace {

namespace fs = std::filesystem;

std::string read(const fs::path &path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

// What stands in backquotes and looks like a file: a folder, a name, an extension.
std::set<std::string> paths_in(const std::string &text) {
  static const std::regex path("`([A-Za-z0-9_.-]+/[A-Za-z0-9_./-]*[A-Za-z0-9])`");
  std::set<std::string> paths;
  for (std::sregex_iterator it(text.begin(), text.end(), path), end; it != end; ++it)
    paths.insert((*it)[1]);
  return paths;
}

class Documents : public testing::TestWithParam<const char *> {};

TEST_P(Documents, NameFilesThatAreThere) {
  const fs::path root(QUERN_SOURCE_DIR);
  const std::set<std::string> paths = paths_in(read(root / GetParam()));
  EXPECT_GT(paths.size(), 3u) << "the pattern finds no paths any more";
  for (const std::string &path : paths) {
    if (path.starts_with("build/"))
      continue; // made by the build
    EXPECT_TRUE(fs::exists(root / path)) << GetParam() << " names " << path;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Documents, testing::Values("README.md", "docs/architecture.md"));

} // namespace
