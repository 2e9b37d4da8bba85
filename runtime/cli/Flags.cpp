#include "runtime/cli/Flags.h"

#include "runtime/cli/Report.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cctype>
#include <cstdio>

namespace quern::cli {
namespace {

constexpr size_t kHelpWidth = 100;

std::string_view trim(std::string_view text) {
  while (text.starts_with(' '))
    text.remove_prefix(1);
  while (text.ends_with(' '))
    text.remove_suffix(1);
  return text;
}

// "-m, --model" -> {"-m", "--model"}
std::vector<std::string_view> names_of(const Flag &flag) {
  std::vector<std::string_view> names;
  std::string_view rest = flag.names;
  while (!rest.empty()) {
    const size_t comma = std::min(rest.find(','), rest.size());
    names.push_back(trim(rest.substr(0, comma)));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return names;
}

bool is_switch(const Flag &flag) { return std::holds_alternative<bool *>(flag.target); }

const Flag *find(const Command &command, std::string_view name) {
  for (const Flag &flag : command.flags)
    for (std::string_view known : names_of(flag))
      if (known == name)
        return &flag;
  return nullptr;
}

template <typename Number> bool to_number(const std::string &text, Number *out) {
  if constexpr (std::is_same_v<Number, float>)
    return absl::SimpleAtof(text, out);
  else if constexpr (std::is_same_v<Number, double>)
    return absl::SimpleAtod(text, out);
  else
    return absl::SimpleAtoi(text, out);
}

bool to_bytes(std::string text, uint64_t *out) {
  int shift = 0;
  if (!text.empty()) {
    const char suffix = static_cast<char>(std::toupper(static_cast<unsigned char>(text.back())));
    shift = suffix == 'K' ? 10 : suffix == 'M' ? 20 : suffix == 'G' ? 30 : suffix == 'T' ? 40 : 0;
    if (shift != 0)
      text.pop_back();
  }
  if (!absl::SimpleAtoi(text, out) || *out > UINT64_MAX >> shift)
    return false;
  *out <<= shift;
  return true;
}

// Stores `text` where the flag says. False if it is no value for it.
bool store(const Flag &flag, const std::string &text) {
  return std::visit(
      [&](auto *target) {
        using T = std::remove_pointer_t<decltype(target)>;
        if constexpr (std::is_same_v<T, std::string> ||
                      std::is_same_v<T, std::optional<std::string>>)
          *target = text;
        else if constexpr (std::is_same_v<T, std::optional<uint64_t>>)
          return to_number(text, &target->emplace());
        else if constexpr (std::is_same_v<T, std::vector<std::string>>)
          target->push_back(text);
        else if constexpr (std::is_same_v<T, Bytes>)
          return target->given = true, to_bytes(text, &target->value);
        else if constexpr (std::is_same_v<T, bool>)
          *target = true;
        else
          return to_number(text, target);
        return true;
      },
      flag.target);
}

std::string kind_of(const Flag &flag) {
  if (std::holds_alternative<Bytes *>(flag.target))
    return "a number of bytes";
  if (std::holds_alternative<float *>(flag.target) || std::holds_alternative<double *>(flag.target))
    return "a number";
  return std::holds_alternative<uint64_t *>(flag.target) ||
                 std::holds_alternative<std::optional<uint64_t> *>(flag.target)
             ? "a whole number of 0 or more"
             : "a whole number";
}

int unknown(const Command &command, std::string_view name) {
  std::vector<std::string_view> names = {"-h", "--help"};
  for (const Flag &flag : command.flags)
    for (std::string_view known : names_of(flag))
      names.push_back(known);
  const std::string_view near = nearest(name, names);
  return wrong_usage(absl::StrCat("unknown flag ", std::string(name)),
                     near.empty() ? "-h lists the flags"
                                  : absl::StrCat("did you mean ", std::string(near), "?"));
}

} // namespace

std::optional<int> parse(const Command &command, std::span<const char *const> args) {
  bool flags_ended = false;
  std::vector<const Flag *> given;
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string_view arg = args[i];
    const bool is_flag = !flags_ended && arg.size() > 1 && arg.starts_with('-');
    if (!is_flag) {
      if (!command.positional)
        return wrong_usage(absl::StrCat("unexpected argument '", std::string(arg), "'"),
                           "-h shows what it takes");
      command.positional->emplace_back(arg);
      continue;
    }
    if (arg == "--") {
      flags_ended = true;
      continue;
    }
    if (arg == "-h" || arg == "--help") {
      std::fputs(help(command).c_str(), stdout);
      return kDone;
    }
    const size_t equals = arg.starts_with("--") ? arg.find('=') : std::string_view::npos;
    const std::string name(arg.substr(0, equals));
    const Flag *flag = find(command, name);
    if (!flag)
      return unknown(command, name);
    given.push_back(flag);
    std::string value;
    if (equals != std::string_view::npos) {
      if (is_switch(*flag))
        return wrong_usage(absl::StrCat(name, " takes no value"), name);
      value = arg.substr(equals + 1);
    } else if (!is_switch(*flag)) {
      if (i + 1 == args.size())
        return wrong_usage(absl::StrCat(name, " needs a value"),
                           absl::StrCat(name, " ", std::string(flag->value)));
      value = args[++i];
    }
    if (!store(*flag, value))
      return wrong_usage(absl::StrCat(name, " takes ", kind_of(*flag), ", not '", value, "'"),
                         absl::StrCat(name, " ", std::string(flag->value)));
  }
  for (const Flag &flag : command.flags)
    if (flag.required && std::find(given.begin(), given.end(), &flag) == given.end())
      return wrong_usage(
          absl::StrCat(std::string(names_of(flag)[0]), " is missing"),
          absl::StrCat(std::string(names_of(flag)[0]), " ", std::string(flag.value)));
  return std::nullopt;
}

std::string help(const Command &command) {
  std::string text = absl::StrCat("usage: ", std::string(command.usage), "\n\n",
                                  std::string(command.summary), "\n\n");
  std::vector<std::string> heads;
  size_t width = 0;
  for (const Flag &flag : command.flags) {
    heads.push_back(absl::StrCat("  ", std::string(flag.names), flag.value.empty() ? "" : " ",
                                 std::string(flag.value)));
    width = std::max(width, std::min<size_t>(heads.back().size(), 30));
  }
  for (size_t i = 0; i < heads.size(); ++i) {
    if (command.flags[i].help.empty())
      continue;
    heads[i].resize(std::max(heads[i].size(), width), ' ');
    absl::StrAppend(&text, heads[i], "  ", std::string(command.flags[i].help), "\n");
  }
  std::string line;
  for (size_t i = 0; i < heads.size(); ++i) {
    if (!command.flags[i].help.empty())
      continue;
    if (line.size() + heads[i].size() > kHelpWidth) {
      absl::StrAppend(&text, line, "\n");
      line.clear();
    }
    absl::StrAppend(&line, line.empty() ? heads[i] : heads[i].substr(1));
  }
  if (!line.empty())
    absl::StrAppend(&text, line, "\n");
  absl::StrAppend(&text, "\nexample: ", std::string(command.example), "\n");
  return text;
}

namespace {

// Edits between two words: insert, delete, replace, or swap neighbours (optimal string alignment).
size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i)
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        d[i][j] = i + j;
        continue;
      }
      d[i][j] =
          std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

} // namespace

std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates) {
  std::string_view best;
  size_t best_distance = std::max<size_t>(1, word.size() / 3) + 1;
  if (word.size() > 64) // nobody means that by a slip of the finger
    return best;
  for (std::string_view candidate : candidates) {
    const size_t edits = distance(word, candidate);
    if (edits < best_distance) {
      best_distance = edits;
      best = candidate;
    }
  }
  return best;
}

} // namespace quern::cli
