#include "runtime/text/PatternDialect.h"

#include "runtime/text/Message.h"

#include <absl/strings/ascii.h>

#include <algorithm>
#include <array>
#include <vector>

namespace quern::text {
namespace {

// Insides of a character class.
constexpr std::string_view kSpace =
    R"(\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";
constexpr std::string_view kNotSpace =
    R"(\x{0}-\x{8}\x{e}-\x{1f}\x{21}-\x{84}\x{86}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{10ffff})";
constexpr std::string_view kWordInClass = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";
// With the superscripts and fractions of Latin-1, which Oniguruma counts since its beginnings, but
// not in classes.
constexpr std::string_view kWord =
    R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{b2}\x{b3}\x{b9}\x{bc}-\x{be})";
constexpr std::string_view kHex = "0-9A-Fa-f";

struct LongName {
  std::string_view name, category;
};
constexpr std::array<LongName, 7> kLongNames = {{{"letter", "L"},
                                                 {"mark", "M"},
                                                 {"number", "N"},
                                                 {"punctuation", "P"},
                                                 {"symbol", "S"},
                                                 {"separator", "Z"},
                                                 {"other", "C"}}};

bool is_category(std::string_view name) {
  static constexpr std::string_view kAll =
      " L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So "
      "Z Zs Zl Zp C Cc Cf Co Cn ";
  return !name.empty() && name.size() <= 2 &&
         kAll.find(concat(" ", name, " ")) != std::string_view::npos;
}

class Rewriter {
public:
  explicit Rewriter(std::string_view pattern) : in_(pattern) {}

  absl::StatusOr<std::string> run() {
    while (at_ < in_.size() && status_.ok())
      step();
    if (!status_.ok())
      return status_;
    return std::move(out_);
  }

private:
  bool looking_at(std::string_view text) const { return in_.substr(at_).starts_with(text); }

  static constexpr int kMaxClassDepth = 8;

  void fail(const std::string &what) {
    if (status_.ok())
      status_ = absl::UnimplementedError(concat("pre-tokenizer pattern \"", in_, "\": ", what,
                                                " at byte ", at_, " is not supported"));
  }

  /// What the next quantifier would repeat begins here.
  void begin_atom() { atom_ = out_.size(); }

  void step() {
    switch (in_[at_]) {
    case '\\':
      begin_atom();
      return escape(/*in_class=*/false);
    case '[':
      begin_atom();
      return character_class();
    case '(':
      return open_group();
    case ')':
      out_ += in_[at_++];
      if (groups_.empty())
        return fail("an unmatched ')'");
      atom_ = groups_.back();
      groups_.pop_back();
      return;
    case '{':
      return interval();
    case '*':
    case '+':
    case '?':
    case '|':
    case '^':
    case '$':
      out_ += in_[at_++];
      return;
    default:
      begin_atom();
      out_ += in_[at_++];
      while (at_ < in_.size() && (static_cast<unsigned char>(in_[at_]) & 0xc0) == 0x80)
        out_ += in_[at_++];
    }
  }

  void open_group() {
    groups_.push_back(out_.size());
    if (!looking_at("(?")) {
      out_ += in_[at_++];
      return;
    }
    for (std::string_view plain : {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>"})
      if (looking_at(plain)) {
        out_ += plain;
        at_ += plain.size();
        return;
      }
    const size_t begin = at_;
    std::string flags = "(?";
    for (at_ += 2; at_ < in_.size(); ++at_) {
      const char c = in_[at_];
      if (c == 'i' || c == 'x' || c == '-') {
        flags += c;
      } else if (c == 'm') {
        flags += 's';
      } else if (c == ':' || (c == ')' && begin == 0)) {
        // Flags without a group reach to the end of the alternation in Ruby's syntax, of the
        // branch in Perl's; at the start of a pattern both mean all of it.
        out_ += flags + c;
        ++at_;
        if (c == ')')
          groups_.pop_back();
        return;
      } else {
        break;
      }
    }
    at_ = begin;
    fail("this kind of group");
  }

  /// {n}, {n,}, {n,m}, {,m}; anything else is a literal brace in both dialects.
  void interval() {
    const size_t close = in_.find('}', at_);
    const std::string_view body =
        close == std::string_view::npos ? std::string_view() : in_.substr(at_ + 1, close - at_ - 1);
    const size_t comma = body.find(',');
    const std::string_view low = body.substr(0, comma);
    const std::string_view high =
        comma == std::string_view::npos ? std::string_view() : body.substr(comma + 1);
    const auto digits = [](std::string_view text) {
      return std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
    };
    if ((low.empty() && high.empty()) || !digits(low) || !digits(high)) {
      begin_atom();
      out_ += "\\{";
      ++at_;
      return;
    }
    out_ +=
        concat("{", low.empty() ? "0" : low, comma == std::string_view::npos ? "" : ",", high, "}");
    at_ = close + 1;
    if (looking_at("+")) {
      out_.insert(atom_, "(?:");
      out_ += ")+";
      ++at_;
    }
  }

  /// A class. PCRE2 has neither classes in classes nor their intersections: the parts of a union
  /// become alternatives, what must be in several classes is looked at before it is taken, and
  /// outside a union is any character that does not begin with it.
  void character_class() {
    if (++class_depth_ > kMaxClassDepth)
      return fail("a class in as many classes");
    const size_t begin = out_.size();
    ++at_;
    const bool negated = looking_at("^");
    at_ += negated;
    if (looking_at("]"))
      return fail("']' at the start of a class");
    std::string intersected, others; // of those before &&, and of this one's parts
    size_t part = out_.size();       // of this one, what is no class of its own
    const auto class_ends = [&] {
      std::string own = out_.substr(part);
      out_.resize(part);
      if (!own.empty())
        own =
            concat(intersected.empty() && others.empty() && negated && looking_at("]") ? "[^" : "[",
                   own, "]");
      if (!others.empty())
        own = concat("(?:", own, own.empty() ? others.substr(1) : others, ")");
      others.clear();
      return own;
    };
    while (at_ < in_.size() && status_.ok()) {
      const char c = in_[at_];
      if (c == ']') {
        const bool simple = intersected.empty() && others.empty();
        const std::string last = class_ends();
        ++at_;
        --class_depth_;
        out_.resize(begin);
        if (simple)
          out_ += last;
        else if (negated)
          out_ += concat("(?:(?!", intersected, last, ")(?s:.))");
        else
          out_ += intersected.empty() ? last : concat("(?:", intersected, last, ")");
        return;
      }
      if (looking_at("&&")) {
        intersected += concat("(?=", class_ends(), ")");
        at_ += 2;
      } else if (c == '[' || looking_at("\\W") || looking_at("\\H")) {
        const size_t inner = out_.size();
        c == '[' ? character_class() : escape(/*in_class=*/true);
        others += concat("|", out_.substr(inner));
        out_.resize(inner);
      } else if (c == '\\') {
        escape(/*in_class=*/true);
      } else {
        out_ += c;
        ++at_;
      }
    }
    fail("an unfinished class");
  }

  void set(std::string_view inside, bool negated, bool in_class) {
    if (in_class && !negated)
      out_ += concat(inside);
    else
      out_ += concat(negated ? "[^" : "[", inside, "]");
    at_ += 2;
  }

  void escape(bool in_class) {
    if (at_ + 1 >= in_.size())
      return fail("a lone backslash");
    const char c = in_[at_ + 1];
    switch (c) {
    case 's':
      return set(kSpace, false, in_class);
    case 'S':
      return in_class ? set(kNotSpace, false, true) : set(kSpace, true, false);
    case 'd':
    case 'D':
      out_ += c == 'd' ? "\\p{Nd}" : "\\P{Nd}";
      at_ += 2;
      return;
    case 'w':
    case 'W':
      return set(in_class ? kWordInClass : kWord, c == 'W', in_class);
    case 'h':
    case 'H':
      return set(kHex, c == 'H', in_class);
    case 'b':
    case 'B':
      if (in_class)
        return fail("a word boundary inside a class");
      out_ += concat("(?:(?<=[", kWord, "])(?", c == 'b' ? "!" : "=", "[", kWord, "])|(?<![", kWord,
                     "])(?", c == 'b' ? "=" : "!", "[", kWord, "]))");
      at_ += 2;
      return;
    case 'p':
    case 'P':
      return property(c == 'P');
    case 'v':
      out_ += "\\x{b}";
      at_ += 2;
      return;
    case 'u': {
      const std::string_view hex = in_.substr(at_ + 2, 4);
      if (hex.size() < 4 || !std::all_of(hex.begin(), hex.end(), absl::ascii_isxdigit))
        return fail("\\u without four hexadecimal digits");
      out_ += concat("\\x{", hex, "}");
      at_ += 6;
      return;
    }
    default:
      if (absl::ascii_isalnum(static_cast<unsigned char>(c)) &&
          std::string_view("tnrfaexAzZ").find(c) == std::string_view::npos)
        return fail(concat("\\", std::string_view(&c, 1)));
      // A code point after a backslash stays whole.
      out_ += '\\';
      ++at_;
      do
        out_ += in_[at_++];
      while (at_ < in_.size() && (static_cast<unsigned char>(in_[at_]) & 0xc0) == 0x80);
    }
  }

  void property(bool negated) {
    const size_t close = in_.find('}', at_);
    if (!in_.substr(at_ + 2).starts_with("{") || close == std::string_view::npos)
      return fail("a property without braces");
    std::string_view name = in_.substr(at_ + 3, close - at_ - 3);
    if (name.starts_with("^")) {
      negated = !negated;
      name.remove_prefix(1);
    }
    if (!std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return absl::ascii_isalpha(c) || c == '_'; }))
      return fail("a property of that name");
    std::string pcre(name);
    const std::string lower = absl::AsciiStrToLower(pcre);
    const auto long_name = std::find_if(kLongNames.begin(), kLongNames.end(),
                                        [&](const LongName &entry) { return entry.name == lower; });
    if (long_name != kLongNames.end())
      pcre = long_name->category;
    else if (!is_category(name) && lower != "any" && lower != "alphabetic")
      pcre = concat("sc:", name);
    out_ += concat(negated ? "\\P{" : "\\p{", pcre, "}");
    at_ = close + 1;
  }

  std::string_view in_;
  size_t at_ = 0;
  std::string out_;
  size_t atom_ = 0;
  std::vector<size_t> groups_;
  int class_depth_ = 0;
  absl::Status status_;
};

} // namespace

absl::StatusOr<std::string> to_pcre2(std::string_view pattern) { return Rewriter(pattern).run(); }

std::string literal_pattern(std::string_view text) {
  std::string pattern;
  for (char c : text) {
    if (absl::ascii_ispunct(static_cast<unsigned char>(c)))
      pattern += '\\';
    pattern += c;
  }
  return pattern;
}

} // namespace quern::text
