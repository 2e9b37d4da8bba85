// Tests that what the documents name is there.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

const fs::path kRoot(QUERN_SOURCE_DIR);

std::string read(const fs::path &path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::set<std::string> found(const std::string &text, const std::regex &pattern) {
  std::set<std::string> names;
  for (std::sregex_iterator it(text.begin(), text.end(), pattern), end; it != end; ++it)
    names.insert((*it)[1]);
  return names;
}

/// What stands in backquotes and looks like a file: a folder, a name, an extension.
std::set<std::string> paths_in(const std::string &text) {
  static const std::regex path("`([A-Za-z0-9_.-]+/[A-Za-z0-9_./-]*[A-Za-z0-9])`");
  return found(text, path);
}

/// What links lead to, within the tree.
std::set<std::string> links_in(const std::string &text) {
  static const std::regex link("\\]\\(([A-Za-z0-9_./-]+)(?:#[^)]*)?\\)");
  return found(text, link);
}

/// Every document: README.md's anywhere, CONTRIBUTING.md, docs, the specification of the file.
std::vector<fs::path> documents() {
  std::vector<fs::path> documents;
  for (fs::recursive_directory_iterator it(kRoot), end; it != end; ++it) {
    const std::string name = it->path().filename().string();
    if (it->is_directory() && (name == "build" || name == "models" || name == "shared" ||
                               name.starts_with(".") || name.starts_with("build-")))
      it.disable_recursion_pending();
    else if (it->path().extension() == ".md")
      documents.push_back(it->path());
  }
  return documents;
}

/// Whether `path` begins in one of the tree's folders, so that it cannot be another project's.
bool is_ours(const std::string &path) {
  const std::string top = path.substr(0, path.find('/'));
  return top != "build" && fs::is_directory(kRoot / top);
}

/// Paths that are made, or that others make.
bool is_made(const std::string &path) {
  return path.starts_with("models/") || path.ends_with(".h.inc") || path.ends_with("_generated.h");
}

TEST(Documents, NameFilesThatAreThere) {
  size_t paths = 0;
  for (const fs::path &document : documents()) {
    const std::string name = fs::relative(document, kRoot).string();
    for (const std::string &path : paths_in(read(document))) {
      if (!is_ours(path) || is_made(path))
        continue;
      ++paths;
      EXPECT_TRUE(fs::exists(kRoot / path)) << name << " names " << path;
    }
  }
  EXPECT_GT(paths, 150u) << "the pattern finds no paths any more";
}

TEST(Documents, LinkToFilesThatAreThere) {
  size_t links = 0;
  for (const fs::path &document : documents())
    for (const std::string &link : links_in(read(document))) {
      ++links;
      EXPECT_TRUE(fs::exists(document.parent_path() / link))
          << fs::relative(document, kRoot).string() << " links to " << link;
    }
  EXPECT_GT(links, 5u) << "the pattern finds no links any more";
}

/// A room's README lists its passes, all of them and no others.
TEST(Documents, OfPhasesNameTheirPasses) {
  static const std::regex declared("Pass<\"(quern-[a-z-]+)\""), named("`(quern-[a-z-]+)`");
  size_t rooms = 0;
  for (const auto &room : fs::directory_iterator(kRoot / "passes")) {
    if (!fs::exists(room.path() / "Passes.td"))
      continue;
    ++rooms;
    EXPECT_EQ(found(read(room.path() / "README.md"), named),
              found(read(room.path() / "Passes.td"), declared))
        << room.path();
  }
  EXPECT_EQ(rooms, 7u);
}

/// What the programs read of the environment is told where their flags are.
TEST(Documents, OfCommandsNameTheEnvironment) {
  static const std::regex variable("\"(QUERN_[A-Z_]+)\"");
  const std::string commands = read(kRoot / "docs/reference/commands.md");
  size_t variables = 0;
  for (const char *top : {"codegen", "compiler", "frontends", "runtime"})
    for (const auto &entry : fs::recursive_directory_iterator(kRoot / top))
      if (entry.path().extension() == ".cpp")
        for (const std::string &name : found(read(entry.path()), variable)) {
          ++variables;
          EXPECT_NE(commands.find("`" + name + "`"), std::string::npos)
              << entry.path() << " reads " << name;
        }
  EXPECT_GE(variables, 2u);
}

/// The walk is a list of files, and so is what the guides say one has to know.
TEST(Documents, OfTheWayNameMany) {
  for (const char *name : {"README.md", "CONTRIBUTING.md", "docs/architecture.md"})
    EXPECT_GT(paths_in(read(kRoot / name)).size(), 5u) << name;
}

} // namespace
