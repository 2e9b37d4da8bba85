#include "runtime/text/Regex.h"

#include "runtime/text/Message.h"
#include "runtime/text/PatternDialect.h"
#include "runtime/text/Utf8.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>

namespace quern::text {
namespace {

// A match may backtrack once a character over a run of white space, so the limit is far above any
// text that fits in memory for a published pattern and still ends an exponential one.
constexpr uint32_t kMatchLimit = 100'000'000;

template <auto Free> struct Freed {
  template <typename T> void operator()(T *pointer) const { Free(pointer); }
};
using Code = std::unique_ptr<pcre2_code, Freed<pcre2_code_free>>;
using CompileContext = std::unique_ptr<pcre2_compile_context, Freed<pcre2_compile_context_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Freed<pcre2_match_context_free>>;

std::string pcre2_message(int code) {
  PCRE2_UCHAR buffer[256];
  pcre2_get_error_message(code, buffer, sizeof buffer);
  return reinterpret_cast<const char *>(buffer);
}

} // namespace

struct Regex::Compiled {
  std::string pattern;
  Code code;
  MatchContext context;
};

Regex::Regex(std::unique_ptr<Compiled> compiled) : compiled_(std::move(compiled)) {}
Regex::Regex(Regex &&) noexcept = default;
Regex &Regex::operator=(Regex &&) noexcept = default;
Regex::~Regex() = default;

absl::StatusOr<Regex> Regex::create(std::string_view pattern) {
  absl::StatusOr<std::string> pcre = to_pcre2(pattern);
  if (!pcre.ok())
    return pcre.status();
  auto compiled = std::make_unique<Compiled>();
  compiled->pattern = pattern;
  const CompileContext context(pcre2_compile_context_create(nullptr));
  compiled->context.reset(pcre2_match_context_create(nullptr));
  if (!context || !compiled->context)
    return absl::ResourceExhaustedError("no memory for a tokenizer's pattern");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  pcre2_set_match_limit(compiled->context.get(), kMatchLimit);
  int error = 0;
  PCRE2_SIZE offset = 0;
  compiled->code.reset(
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pcre->data()), pcre->size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error,
                    &offset, context.get()));
  if (!compiled->code)
    return absl::InvalidArgumentError(
        concat("pre-tokenizer pattern \"", pattern, "\": ", pcre2_message(error)));
  // Where machine code may not be made, the interpreter gives the same matches.
  pcre2_jit_compile(compiled->code.get(), PCRE2_JIT_COMPLETE);
  return Regex(std::move(compiled));
}

Regex::Matches::Matches(const Regex &regex, std::string_view text)
    : regex_(regex), text_(text),
      match_(pcre2_match_data_create_from_pattern(regex.compiled_->code.get(), nullptr)) {
  if (!match_)
    status_ = absl::ResourceExhaustedError("no memory for a tokenizer's match");
}

Regex::Matches::~Matches() { pcre2_match_data_free(static_cast<pcre2_match_data *>(match_)); }

bool Regex::Matches::next() {
  if (!match_ || search_ > text_.size())
    return false;
  auto *match = static_cast<pcre2_match_data *>(match_);
  const Compiled &compiled = *regex_.compiled_;
  const auto find = [&](uint32_t options) {
    return pcre2_match(compiled.code.get(), reinterpret_cast<PCRE2_SPTR>(text_.data()),
                       text_.size(), search_, PCRE2_NO_UTF_CHECK | options, match,
                       compiled.context.get());
  };
  int count = find(0);
  if (count == PCRE2_ERROR_JIT_STACKLIMIT) // the interpreter keeps its stack on the heap
    count = find(PCRE2_NO_JIT);
  if (count == PCRE2_ERROR_NOMATCH)
    return false;
  if (count < 0) {
    status_ = absl::ResourceExhaustedError(concat("pre-tokenizer pattern \"", compiled.pattern,
                                                  "\" on ", text_.size(),
                                                  " bytes of text: ", pcre2_message(count)));
    return false;
  }
  const PCRE2_SIZE *range = pcre2_get_ovector_pointer(match);
  // \K in a lookahead can put the start behind the end or before the search; neither may move us
  // backwards.
  begin_ = std::max(std::min(range[0], range[1]), end_);
  end_ = std::max(range[1], begin_);
  search_ = end_;
  if (begin_ == end_) // the search goes on behind the next character
    search_ += end_ == text_.size() ? 1 : first_code_point(text_.substr(end_)).size;
  return true;
}

} // namespace quern::text
