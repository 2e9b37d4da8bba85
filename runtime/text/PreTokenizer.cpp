#include "runtime/text/PreTokenizer.h"

#include "runtime/text/ByteAlphabet.h"
#include "runtime/text/Message.h"
#include "runtime/text/Normalize.h"
#include "runtime/text/Regex.h"

#include <optional>

namespace quern::text {
namespace {

using Words = std::vector<std::string_view>;

void add_word(std::string_view text, size_t begin, size_t end, Words &words) {
  if (begin < end)
    words.push_back(text.substr(begin, end - begin));
}

/// Gives out a word's parts, matches and what is between them, as one split behavior says.
class Cutter {
public:
  Cutter(std::string_view word, SplitBehavior behavior, Words &out)
      : word_(word), behavior_(behavior), out_(out) {}

  /// The next part ends at `end`.
  void part(size_t end, bool match) {
    const size_t begin = done_;
    done_ = end;
    switch (behavior_) {
    case SplitBehavior::Isolated:
      return add_word(word_, begin, end, out_);
    case SplitBehavior::Removed:
      if (!match)
        add_word(word_, begin, end, out_);
      return;
    case SplitBehavior::Contiguous:
      if (match == last_match_)
        return;
      flush(begin);
      break;
    case SplitBehavior::MergedWithPrevious: // a match joins the part before it, unless a match too
      if (!match || last_match_)
        flush(begin);
      break;
    case SplitBehavior::MergedWithNext: // a match joins the part behind it, unless a match too
      if (match || !last_match_)
        flush(begin);
      break;
    }
    last_match_ = match;
  }

  void finish() {
    if (behavior_ > SplitBehavior::Removed)
      flush(word_.size());
  }

private:
  void flush(size_t end) {
    add_word(word_, start_, end, out_);
    start_ = end;
  }

  std::string_view word_;
  SplitBehavior behavior_;
  Words &out_;
  size_t done_ = 0;  ///< where the next part begins
  size_t start_ = 0; ///< where the word that is being put together begins
  bool last_match_ = false;
};

} // namespace

class PreTokenizer::Step {
public:
  static absl::StatusOr<std::unique_ptr<Step>> create(const PreTokenizerStep &spec) {
    auto step = std::make_unique<Step>();
    step->spec_ = spec;
    if (spec.kind != PreTokenizerStep::Kind::Split)
      return step;
    absl::StatusOr<Regex> regex = Regex::create(spec.pattern);
    if (!regex.ok())
      return regex.status();
    step->regex_ = *std::move(regex);
    return step;
  }

  /// `place` is that of the first word.
  absl::Status apply(const Words &in, Place place, std::deque<std::string> &storage,
                     Words &out) const {
    switch (spec_.kind) {
    case PreTokenizerStep::Kind::Split:
      for (std::string_view word : in)
        if (absl::Status s = split_word(word, out); !s.ok())
          return s;
      break;
    case PreTokenizerStep::Kind::PrefixSpace:
      for (size_t i = 0; i < in.size(); ++i) {
        const bool as_it_is = in[i].starts_with(' ') || (i == 0 && place == Place::GoesOn);
        out.push_back(as_it_is ? in[i]
                               : std::string_view(storage.emplace_back(concat(" ", in[i]))));
      }
      break;
    case PreTokenizerStep::Kind::Metaspace:
      for (size_t i = 0; i < in.size(); ++i)
        metaspace(in[i], i == 0 ? place : Place::Further, storage, out);
      break;
    case PreTokenizerStep::Kind::Bytes:
      for (std::string_view word : in)
        out.push_back(storage.emplace_back(bytes_to_token(word)));
      break;
    }
    return absl::OkStatus();
  }

  /// Words change but none goes.
  bool rewrites() const { return spec_.kind != PreTokenizerStep::Kind::Split; }

private:
  absl::Status split_word(std::string_view word, Words &out) const {
    Cutter cutter(word, spec_.behavior, out);
    size_t done = 0;
    Regex::Matches matches(*regex_, word);
    while (matches.next()) {
      if (done < matches.begin())
        cutter.part(matches.begin(), spec_.invert);
      cutter.part(matches.end(), !spec_.invert); // an empty match cuts, too
      done = matches.end();
    }
    if (done < word.size())
      cutter.part(word.size(), spec_.invert);
    cutter.finish();
    return matches.status();
  }

  void metaspace(std::string_view word, Place place, std::deque<std::string> &storage,
                 Words &out) const {
    const std::string_view mark = spec_.pattern;
    std::string text;
    const bool wants_prefix =
        (spec_.prepend == MetaspacePrepend::Always && place != Place::GoesOn) ||
        (spec_.prepend == MetaspacePrepend::First && place == Place::First);
    if (wants_prefix && !word.starts_with(' ') && !word.starts_with(mark))
      text = mark;
    append_replaced(word, " ", mark, text);
    const std::string_view whole = storage.emplace_back(std::move(text));
    if (!spec_.split)
      return add_word(whole, 0, whole.size(), out);
    size_t start = 0; // each mark begins a word
    for (size_t at = whole.find(mark); at != std::string_view::npos;
         at = whole.find(mark, at + mark.size())) {
      add_word(whole, start, at, out);
      start = at;
    }
    add_word(whole, start, whole.size(), out);
  }

  PreTokenizerStep spec_;
  std::optional<Regex> regex_;
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

absl::Status PreTokenizer::split(std::string_view text, Place place,
                                 std::deque<std::string> &storage, Words &words) const {
  if (text.empty())
    return absl::OkStatus();
  Words current = {text}, next;
  for (const std::unique_ptr<Step> &step : steps_) {
    next.clear();
    if (absl::Status s = step->apply(current, place, storage, next); !s.ok())
      return s;
    // The first word may be gone, and what is first now did not begin the text.
    if (next.empty() || (!step->rewrites() && next.front().data() != current.front().data()))
      place = Place::Further;
    std::swap(current, next);
  }
  words.insert(words.end(), current.begin(), current.end());
  return absl::OkStatus();
}

} // namespace quern::text
