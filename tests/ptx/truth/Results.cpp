#include "tests/ptx/truth/Results.h"

#include <absl/strings/str_cat.h>

namespace quern::ptx {
namespace {

constexpr std::string_view kOf = " of sm_", kRefused = " refused: ";

int digit(char c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

} // namespace

std::string answer_line(const Case &c, const Answer &answer) {
  if (!answer.refused.empty()) {
    constexpr size_t kMost = 400; // a driver may have much to say
    std::string why = answer.refused.substr(0, kMost);
    for (char &letter : why)
      if (letter == '\n' || letter == '\r')
        letter = ' ';
    return absl::StrCat(c.name, std::string(kRefused), why, "\n");
  }
  std::string line = absl::StrCat(c.name, " of ", answer.target, ": ");
  for (size_t i = 0; i < answer.out.size(); ++i)
    for (int shift = 8 * static_cast<int>(c.result_bytes[i / Case::kThreads]) - 4; shift >= 0;
         shift -= 4)
      line += "0123456789abcdef"[answer.out[i] >> shift & 15];
  return line + "\n";
}

absl::StatusOr<Results> read_results(std::string_view text) {
  Results results;
  int number = 0;
  while (!text.empty()) {
    ++number;
    const size_t end = text.find('\n');
    if (end == std::string_view::npos)
      break; // cut off while it was written
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (line.empty() || line.front() == '#') {
      absl::StrAppend(&results.head, std::string(line), "\n");
      continue;
    }
    // A name may have blanks.
    size_t at = line.find(kRefused);
    if (at == std::string_view::npos)
      at = line.find(kOf);
    if (at == std::string_view::npos ||
        !results.lines.emplace(line.substr(0, at), line.substr(at)).second)
      return absl::DataLossError(absl::StrCat(
          "line ", number, " is no answer, or a second one: ", std::string(line.substr(0, 80))));
  }
  return results;
}

absl::StatusOr<Answer> answer_of(const Results &results, const Case &c) {
  const auto found = results.lines.find(c.name);
  if (found == results.lines.end())
    return absl::NotFoundError(absl::StrCat(c.name, " was not asked"));
  const std::string &line = found->second;
  Answer answer;
  if (line.starts_with(kRefused)) {
    answer.refused = line.substr(kRefused.size());
    return answer;
  }
  const size_t colon = line.find(": ");
  answer.target = line.substr(4, colon - 4);
  size_t at = colon == std::string::npos ? line.size() : colon + 2;
  for (const u32 bytes : c.result_bytes)
    for (u32 thread = 0; thread < Case::kThreads; ++thread) {
      u64 word = 0;
      for (u32 n = 0; n < 2 * bytes; ++n, ++at) {
        const int value = at < line.size() ? digit(line[at]) : -1;
        if (value < 0)
          return absl::DataLossError(
              absl::StrCat(c.name, ": a digit is missing: the answers are another corpus's"));
        word = word << 4 | static_cast<u64>(value);
      }
      answer.out.push_back(word);
    }
  if (at != line.size())
    return absl::DataLossError(absl::StrCat(
        c.name, ": there are more digits than results: the answers are another corpus's"));
  return answer;
}

} // namespace quern::ptx
