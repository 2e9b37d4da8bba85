#include "tests/ptx/assembler/Patterns.h"

#include "tests/ptx/Syntax.h"
#include "tests/ptx/Words.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <functional>
#include <optional>

namespace quern::ptx {
namespace {

absl::Status wrong(std::string_view what, std::string_view where) {
  return absl::DataLossError(concat("patterns: ", what, ": ", where));
}

// A register of `bits`, "" of a width that no register has.
std::string_view register_of(int bits) {
  return bits == 1                 ? "%p1"
         : bits == 8 || bits == 16 ? "%h1"
         : bits == 32              ? "%r1"
         : bits == 64              ? "%d1"
                                   : "";
}

// Types that the interpreter does not have are types too.
int bits_named(std::string_view suffix) {
  if (suffix == "pred")
    return 1;
  if (suffix == "e4m3x2" || suffix == "e5m2x2")
    return 16;
  if (suffix == "u16x2" || suffix == "s16x2" || suffix == "f16x2" || suffix == "bf16x2")
    return 32;
  return 8 * bytes_of(type_of(suffix));
}

// The opcode's types give the registers.
std::string with_registers(const std::string &text) {
  const size_t end = std::min(text.find(' '), text.size());
  int first = 0, last = 0;
  for (const std::string_view part : split(std::string_view(text).substr(0, end), '.'))
    if (const int bits = bits_named(part); bits != 0) {
      first = first == 0 ? bits : first;
      last = bits;
    }
  std::string made;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '$' || at + 1 == text.size()) {
      made += text[at];
      continue;
    }
    const char which = text[++at];
    // Where there is no such type there is a register all the same, and something to refuse.
    const std::string_view name = register_of(which == 'D'   ? first
                                              : which == 'W' ? std::min(64, 2 * last)
                                                             : last);
    made += name.empty() ? "%r1" : name;
  }
  return made;
}

} // namespace

absl::StatusOr<Patterns> read_patterns(std::string_view text) {
  Patterns made;
  for (const std::string_view line : split(text, '\n')) {
    if (line.empty() || line.front() == '#' || line.front() == '@') {
      if (!made.patterns.empty() && !line.empty())
        return wrong("names and remarks stand before all patterns", line);
      if (made.patterns.empty())
        made.head += concat(line, "\n");
      if (line.starts_with("@")) {
        const size_t is = line.find(" = ");
        if (is == std::string_view::npos)
          return wrong("a name without alternatives", line);
        made.names.emplace_back(line.substr(1, is - 1), line.substr(is + 3));
      }
    } else if (line.front() != ' ') {
      made.patterns.push_back({std::string(line), {}});
    } else {
      if (made.patterns.empty())
        return wrong("runs of no pattern", line);
      for (const std::string_view number : split(line, ' ')) {
        size_t run = 0;
        if (number.empty())
          continue;
        if (!absl::SimpleAtoi(absl::string_view(number.data(), number.size()), &run))
          return wrong("no number", line);
        made.patterns.back().runs.push_back(run);
      }
    }
  }
  return made;
}

std::string write_patterns(const Patterns &patterns) {
  constexpr size_t kWidth = 120;
  std::string text = patterns.head;
  for (const Pattern &pattern : patterns.patterns) {
    absl::StrAppend(&text, pattern.text, "\n");
    std::string line = " ";
    for (const size_t run : pattern.runs) {
      const std::string number = absl::StrCat(" ", run);
      if (line.size() + number.size() > kWidth) {
        absl::StrAppend(&text, line, "\n");
        line = " ";
      }
      line += number;
    }
    absl::StrAppend(&text, line, "\n");
  }
  return text;
}

absl::StatusOr<std::vector<std::string>> expanded(const Patterns &patterns,
                                                  const Pattern &pattern) {
  std::string text = pattern.text;
  for (size_t at = text.find('@'); at != std::string::npos; at = text.find('@')) {
    size_t end = at + 1;
    while (end < text.size() && ((text[end] >= 'a' && text[end] <= 'z') || text[end] == '_'))
      ++end;
    const std::string name = text.substr(at + 1, end - at - 1);
    std::optional<std::string> found;
    for (const auto &[known, alternatives] : patterns.names)
      if (known == name)
        found = concat("(", alternatives, ")");
    if (!found)
      return wrong("an unknown name", name);
    text.replace(at, end - at, *found);
  }
  std::vector<std::string> all = {""};
  for (size_t at = 0; at < text.size();) {
    if (text[at] != '(') {
      const size_t end = std::min(text.find('(', at), text.size());
      for (std::string &one : all)
        one.append(text, at, end - at);
      at = end;
      continue;
    }
    const size_t end = text.find(')', at);
    if (end == std::string::npos)
      return wrong("an open bracket", text);
    std::vector<std::string> made;
    for (const std::string &one : all)
      for (const std::string_view alternative :
           split(std::string_view(text).substr(at + 1, end - at - 1), '|'))
        made.push_back(concat(one, alternative));
    all = std::move(made);
    at = end + 1;
  }
  for (std::string &one : all)
    one = with_registers(one);
  return all;
}

std::vector<bool> taken(const Pattern &pattern, size_t expansions) {
  std::vector<bool> made;
  bool takes = false;
  for (const size_t run : pattern.runs) {
    made.insert(made.end(), std::min(run, expansions - std::min(expansions, made.size())), takes);
    takes = !takes;
  }
  made.resize(expansions, false);
  return made;
}

std::vector<size_t> runs_of(const std::vector<bool> &taken) {
  std::vector<size_t> runs = {0};
  bool takes = false;
  for (const bool one : taken) {
    if (one != takes) {
      runs.push_back(0);
      takes = one;
    }
    ++runs.back();
  }
  return runs;
}

std::string module_of(const std::vector<std::string> &instructions, std::string_view target) {
  std::string text = absl::StrCat(".version 9.0\n.target ", std::string(target), R"(
.address_size 64
.visible .entry run(.param .u64 in, .param .u64 out)
{
.reg .pred %p<8>;
.reg .b16 %h<8>;
.reg .b32 %r<8>; .reg .b64 %d<8>;
HERE:
)");
  for (const std::string &one : instructions)
    absl::StrAppend(&text, one, ";\n");
  return text + "ret;\n}\n";
}

} // namespace quern::ptx
