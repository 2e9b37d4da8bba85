#include "runtime/text/PreTokenizer.h"

#include "runtime/text/PatternDialect.h"
#include "runtime/text/Utf8.h"

#include "runtime/text/Message.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

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
using MatchData = std::unique_ptr<pcre2_match_data, Freed<pcre2_match_data_free>>;

std::string pcre2_message(int code) {
  PCRE2_UCHAR buffer[256];
  pcre2_get_error_message(code, buffer, sizeof buffer);
  return reinterpret_cast<const char *>(buffer);
}

void add_word(std::string_view text, size_t begin, size_t end,
              std::vector<std::string_view> &words) {
  if (begin < end)
    words.push_back(text.substr(begin, end - begin));
}

} // namespace

class PreTokenizer::Step {
public:
  static absl::StatusOr<std::unique_ptr<Step>> create(const PreTokenizerStep &spec) {
    auto step = std::make_unique<Step>();
    step->spec_ = spec;
    if (spec.kind == PreTokenizerStep::Kind::PrefixSpace)
      return step;
    absl::StatusOr<std::string> pattern = to_pcre2(spec.pattern);
    if (!pattern.ok())
      return pattern.status();
    const CompileContext context(pcre2_compile_context_create(nullptr));
    step->context_.reset(pcre2_match_context_create(nullptr));
    if (!context || !step->context_)
      return absl::ResourceExhaustedError("no memory for a pre-tokenizer pattern");
    pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
    pcre2_set_match_limit(step->context_.get(), kMatchLimit);
    int error = 0;
    PCRE2_SIZE offset = 0;
    step->code_.reset(
        pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern->data()), pattern->size(),
                      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error,
                      &offset, context.get()));
    if (!step->code_)
      return absl::InvalidArgumentError(
          concat("pre-tokenizer pattern \"", spec.pattern, "\": ", pcre2_message(error)));
    // Where machine code may not be made, the interpreter gives the same matches.
    pcre2_jit_compile(step->code_.get(), PCRE2_JIT_COMPLETE);
    return step;
  }

  absl::Status apply(const std::vector<std::string_view> &in, std::deque<std::string> &storage,
                     std::vector<std::string_view> &out) const {
    if (spec_.kind == PreTokenizerStep::Kind::PrefixSpace) {
      for (std::string_view word : in)
        out.push_back(word.starts_with(' ')
                          ? word
                          : std::string_view(storage.emplace_back(concat(" ", word))));
      return absl::OkStatus();
    }
    const MatchData match(pcre2_match_data_create_from_pattern(code_.get(), nullptr));
    if (!match)
      return absl::ResourceExhaustedError("no memory for a pre-tokenizer match");
    for (std::string_view word : in)
      if (absl::Status s = split_word(word, match.get(), out); !s.ok())
        return s;
    return absl::OkStatus();
  }

private:
  absl::Status split_word(std::string_view word, pcre2_match_data *match,
                          std::vector<std::string_view> &out) const {
    const bool keep_matches = spec_.behavior == SplitBehavior::Isolated || spec_.invert;
    const bool keep_between = spec_.behavior == SplitBehavior::Isolated || !spec_.invert;
    size_t search = 0, done = 0;
    while (search <= word.size()) {
      int count = find(word, search, 0, match);
      if (count == PCRE2_ERROR_JIT_STACKLIMIT) // the interpreter keeps its stack on the heap
        count = find(word, search, PCRE2_NO_JIT, match);
      if (count == PCRE2_ERROR_NOMATCH)
        break;
      if (count < 0)
        return absl::ResourceExhaustedError(concat("pre-tokenizer pattern \"", spec_.pattern,
                                                   "\" on ", word.size(),
                                                   " bytes of text: ", pcre2_message(count)));
      const PCRE2_SIZE *range = pcre2_get_ovector_pointer(match);
      // \K in a lookahead can put the start behind the end or before the search; neither may move
      // us backwards.
      const size_t begin = std::max(std::min(range[0], range[1]), done);
      const size_t end = std::max(range[1], begin);
      if (keep_between)
        add_word(word, done, begin, out);
      if (keep_matches)
        add_word(word, begin, end, out);
      done = end;
      search = end;
      if (begin == end) { // an empty match cuts, and the search goes on behind the next character
        if (end == word.size())
          break;
        search += first_code_point(word.substr(end)).size;
      }
    }
    if (keep_between)
      add_word(word, done, word.size(), out);
    return absl::OkStatus();
  }

  int find(std::string_view word, size_t from, uint32_t options, pcre2_match_data *match) const {
    return pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(word.data()), word.size(), from,
                       PCRE2_NO_UTF_CHECK | options, match, context_.get());
  }

  PreTokenizerStep spec_;
  Code code_;
  MatchContext context_;
};

PreTokenizer::PreTokenizer(std::vector<std::unique_ptr<Step>> steps) : steps_(std::move(steps)) {}
PreTokenizer::PreTokenizer(PreTokenizer &&) noexcept = default;
PreTokenizer &PreTokenizer::operator=(PreTokenizer &&) noexcept = default;
PreTokenizer::~PreTokenizer() = default;

absl::StatusOr<PreTokenizer> PreTokenizer::create(const std::vector<PreTokenizerStep> &specs) {
  std::vector<std::unique_ptr<Step>> steps;
  for (const PreTokenizerStep &spec : specs) {
    absl::StatusOr<std::unique_ptr<Step>> step = Step::create(spec);
    if (!step.ok())
      return step.status();
    steps.push_back(*std::move(step));
  }
  return PreTokenizer(std::move(steps));
}

absl::Status PreTokenizer::split(std::string_view text, std::deque<std::string> &storage,
                                 std::vector<std::string_view> &words) const {
  if (text.empty())
    return absl::OkStatus();
  std::vector<std::string_view> current = {text}, next;
  for (const std::unique_ptr<Step> &step : steps_) {
    next.clear();
    if (absl::Status s = step->apply(current, storage, next); !s.ok())
      return s;
    std::swap(current, next);
  }
  words.insert(words.end(), current.begin(), current.end());
  return absl::OkStatus();
}

} // namespace quern::text
