// Pre-tokenizer patterns are published in Oniguruma's dialect (Ruby syntax, Unicode); PCRE2 runs
// them. Most of a pattern means the same in both; this rewrites what does not:
//
//   \s \S \d \D \w \W \b \B    Unicode's sets as Oniguruma defines them (PCRE2's differ: its \s has
//                              U+180E, its \w no marks)
//   \h \H \v \uHHHH            hexadecimal digits, U+000B, a code point
//   \p{Greek}                  a script (PCRE2 alone would read script extensions)
//   \p{Letter} \p{^L}          long names of categories; negation inside
//   x{1,3}+                    a repeated repeat (possessive in PCRE2)
//   (?m:                       dot matches newline: (?s: in PCRE2
//   [a-z&&[^x]] [a[^b]] [\W]    intersections of classes, classes in classes, negated sets in them
//
// What it does not know it refuses by name rather than let it mean something else.
#ifndef QUERN_RUNTIME_TEXT_PATTERNDIALECT_H
#define QUERN_RUNTIME_TEXT_PATTERNDIALECT_H

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

namespace quern::text {

/// The PCRE2 pattern (to be compiled with UTF, UCP and MULTILINE, newline LF) that matches what
/// `pattern` matches in Oniguruma. Errors name the construct and where it stands.
absl::StatusOr<std::string> to_pcre2(std::string_view pattern);

/// A pattern that matches exactly `text`.
std::string literal_pattern(std::string_view text);

} // namespace quern::text

#endif // QUERN_RUNTIME_TEXT_PATTERNDIALECT_H
