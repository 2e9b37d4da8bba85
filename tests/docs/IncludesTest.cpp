// Tests that rooms include, and link, only what docs/architecture.md lets them: its table is what
// is tested.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

const fs::path kRoot(QUERN_SOURCE_DIR);
constexpr const char *kHouse[] = {"codegen", "compiler", "frontends", "ir", "passes", "runtime"};

std::string read(const fs::path &path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::vector<std::string>> matches(const std::string &text, const std::regex &pattern) {
  std::vector<std::vector<std::string>> found;
  for (std::sregex_iterator it(text.begin(), text.end(), pattern), end; it != end; ++it)
    found.emplace_back(it->begin(), it->end());
  return found;
}

/// Whether `path` is `room`, or lies in it.
bool within(const std::string &path, const std::string &room) {
  return path == room || path.starts_with(room + "/");
}

/// A room, and the rooms, files and packages that it may include beside itself.
using Table = std::map<std::string, std::set<std::string>>;

Table read_table() {
  static const std::regex row("\n\\| `([^`|]+)` \\|([^|\n]*)\\|"), entry("`([^`]+)`");
  std::string text = read(kRoot / "docs/architecture.md");
  text.erase(0, text.find("## What may include what"));
  Table table;
  for (const auto &cells : matches(text, row))
    for (table[cells[1]]; const auto &name : matches(cells[2], entry))
      table[cells[1]].insert(name[1]);
  return table;
}

/// The row of the innermost room that `path` lies in.
const Table::value_type *row_of(const Table &table, const std::string &path) {
  const Table::value_type *row = nullptr;
  for (const auto &candidate : table)
    if (within(path, candidate.first) && (!row || candidate.first.size() > row->first.size()))
      row = &candidate;
  return row;
}

struct Include {
  std::string file;
  std::string path; ///< as it stands there
};

std::vector<Include> includes() {
  static const std::regex include("(?:^|\n)[ \t]*#?[ \t]*include [\"<]([^\">]+)[\">]");
  std::vector<Include> found;
  for (const char *top : kHouse)
    for (const auto &entry : fs::recursive_directory_iterator(kRoot / top)) {
      const std::string extension = entry.path().extension().string();
      if (extension != ".h" && extension != ".cpp" && extension != ".cuh" && extension != ".td")
        continue;
      for (const auto &match : matches(read(entry.path()), include))
        found.push_back({fs::relative(entry.path(), kRoot).string(), match[1]});
    }
  return found;
}

/// What the table calls a header: a path in the house as it is, another package's by its first
/// word, "" for what every file may include: the C and C++ libraries, the system's headers.
std::string name_of(const std::string &include) {
  static const std::set<std::string> packages = {"pcre2.h", "utf8proc.h", "xxhash.h"};
  const std::string first = include.substr(0, include.find('/'));
  if (std::ranges::count(kHouse, first) || first == "tests" || first == "benchmarks")
    return include;
  if (packages.contains(include))
    return include.substr(0, include.size() - 2);
  return first == include || first == "sys" ? "" : first;
}

TEST(Includes, WalkOneWay) {
  const Table table = read_table();
  ASSERT_GT(table.size(), 20u) << "docs/architecture.md has no table of rooms any more";
  const std::vector<Include> all = includes();
  ASSERT_GT(all.size(), 1500u) << "the pattern finds no includes any more";
  std::set<std::string> used;
  for (const auto &[file, path] : all) {
    const auto *row = row_of(table, file);
    ASSERT_TRUE(row) << file << " lies in no room of the table in docs/architecture.md";
    const std::string name = name_of(path);
    const auto *home = row_of(table, name);
    if (name.empty() || (home && home->first == row->first))
      continue;
    const auto allowed = std::ranges::find_if(
        row->second, [&](const std::string &entry) { return within(name, entry); });
    if (allowed != row->second.end())
      used.insert(row->first + " " + *allowed);
    else
      ADD_FAILURE() << file << " includes " << path << ", which docs/architecture.md does not let "
                    << row->first << " include";
  }
  // An exception, a single file, that nobody needs any more is none.
  for (const auto &[room, entries] : table)
    for (const std::string &entry : entries)
      if (entry.ends_with(".h"))
        EXPECT_TRUE(used.contains(room + " " + entry))
            << room << " does not include " << entry << ", which docs/architecture.md lets it";
}

TEST(Libraries, LinkWhatTheirRoomsMayInclude) {
  static const std::regex library("quern_(?:mlir_)?(?:library|phase)\\((\\w+)\\s([^)]*)\\)|"
                                  "target_link_libraries\\((\\w+)\\s([^)]*)\\)"),
      word("\\bquern_\\w+");
  struct Use {
    std::string room, library, text;
  };
  std::map<std::string, std::string> rooms; // of libraries
  std::vector<Use> uses;
  for (const char *top : kHouse)
    for (const auto &entry : fs::recursive_directory_iterator(kRoot / top)) {
      if (entry.path().filename() != "CMakeLists.txt")
        continue;
      const std::string room = fs::relative(entry.path().parent_path(), kRoot).string();
      for (const auto &match : matches(read(entry.path()), library)) {
        if (!match[1].empty())
          rooms[match[1]] = room;
        uses.push_back({room, match[1] + match[3], match[2] + match[4]});
      }
    }
  ASSERT_GT(rooms.size(), 20u) << "the pattern finds no libraries any more";
  const Table table = read_table();
  for (const auto &[room, name, text] : uses)
    for (const auto &match : matches(text, word)) {
      const auto other = rooms.find(match[0]);
      const auto *row = row_of(table, room);
      ASSERT_TRUE(row) << room;
      if (other == rooms.end() || within(other->second, room) || within(room, other->second))
        continue;
      EXPECT_TRUE(std::ranges::any_of(row->second,
                                      [&](const std::string &entry) {
                                        return within(entry, other->second) ||
                                               within(other->second, entry);
                                      }))
          << name << " of " << room << " links " << match[0] << " of " << other->second
          << ", which docs/architecture.md does not let it include";
    }
}

} // namespace
