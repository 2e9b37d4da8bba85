// pack_intervals FILE.csv ...: the planner's allocator alone, on buffers that a file lists.
// README.md says where to get some.
//
// A file has a header with the columns lower, upper and size in any order, others being ignored,
// and a buffer a line that is live at the steps lower <= step < upper. Prints a Markdown row a
// file: arena against the most bytes live at a step.
#include "passes/plan/Allocator.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

namespace quern::plan {
namespace {

[[noreturn]] void fail(const std::string &file, size_t line, const char *what) {
  std::fprintf(stderr, "error: %s, line %zu: %s\n", file.c_str(), line, what);
  std::exit(1);
}

std::vector<Interval> read(const std::string &file) {
  std::ifstream in(file);
  std::vector<std::string> columns;
  std::vector<Interval> intervals;
  std::string line, cell;
  for (size_t number = 1; std::getline(in, line); ++number) {
    std::map<std::string, int64_t> values;
    std::istringstream cells(line);
    for (size_t i = 0; std::getline(cells, cell, ','); ++i)
      if (number == 1)
        columns.push_back(cell);
      else if (i < columns.size())
        values[columns[i]] = std::strtoll(cell.c_str(), nullptr, 10);
    if (number == 1)
      continue;
    if (!values.contains("lower") || !values.contains("upper") || !values.contains("size"))
      fail(file, number, "there is no lower, upper or size");
    intervals.push_back({values["size"], values["lower"], values["upper"] - 1});
    if (intervals.back().bytes < 0 || intervals.back().last < intervals.back().first)
      fail(file, number, "upper is not above lower, or size is below 0");
  }
  if (intervals.empty())
    fail(file, 1, "there are no buffers");
  return intervals;
}

// The arena is checked here and not believed.
void check(const std::string &file, const std::vector<Interval> &all, const Allocation &result) {
  for (size_t i = 0; i < all.size(); ++i) {
    if (result.offsets[i] < 0 || result.offsets[i] + all[i].bytes > result.bytes)
      fail(file, i + 2, "the buffer lies outside the arena");
    for (size_t j = 0; j < i; ++j)
      if (all[i].first <= all[j].last && all[j].first <= all[i].last &&
          result.offsets[i] < result.offsets[j] + all[j].bytes &&
          result.offsets[j] < result.offsets[i] + all[i].bytes)
        fail(file, i + 2, "the buffer overlaps another");
  }
}

void pack(const std::string &file) {
  const std::vector<Interval> intervals = read(file);
  const auto start = std::chrono::steady_clock::now();
  const Allocation result = allocate(intervals, {.alignment = 1});
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  check(file, intervals, result);
  const Allocation greedy = allocate(intervals, {.alignment = 1, .effort = 0});
  const auto share = [&](int64_t bytes) {
    return static_cast<double>(bytes) / static_cast<double>(result.bound);
  };
  std::printf("| %s | %zu | %lld | %lld | %.4f | %.4f | %.2f s |\n",
              std::filesystem::path(file).stem().c_str(), intervals.size(),
              static_cast<long long>(result.bound), static_cast<long long>(result.bytes),
              share(result.bytes), share(greedy.bytes), seconds.count());
}

} // namespace
} // namespace quern::plan

int main(int argc, char **argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: pack_intervals FILE.csv ...\n");
    return 2;
  }
  std::printf("| | buffers | most live | arena | of most live | without the search | time |\n"
              "|---|--:|--:|--:|--:|--:|--:|\n");
  for (int i = 1; i < argc; ++i)
    quern::plan::pack(argv[i]);
}
