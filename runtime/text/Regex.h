// A compiled pattern of a tokenizer, in the dialect such patterns are published in
// (PatternDialect.h).
#ifndef QUERN_RUNTIME_TEXT_REGEX_H
#define QUERN_RUNTIME_TEXT_REGEX_H

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <string_view>

namespace quern::text {

class Regex {
public:
  /// An error names the pattern and what is wrong with it.
  static absl::StatusOr<Regex> create(std::string_view pattern);

  Regex(Regex &&) noexcept;
  Regex &operator=(Regex &&) noexcept;
  ~Regex();

  /// Walks over the matches of one text, from left to right.
  class Matches {
  public:
    /// `text` must be valid UTF-8 and, like `regex`, outlive this.
    Matches(const Regex &regex, std::string_view text);
    Matches(const Matches &) = delete;
    ~Matches();

    /// Finds the next match: [begin(), end()). False: there is none, or an error (see status()).
    bool next();
    size_t begin() const { return begin_; }
    size_t end() const { return end_; }
    /// Not ok where the pattern exceeded its work limit or there was no memory.
    const absl::Status &status() const { return status_; }

  private:
    const Regex &regex_;
    std::string_view text_;
    void *match_; ///< pcre2_match_data
    size_t search_ = 0, begin_ = 0, end_ = 0;
    absl::Status status_;
  };

private:
  struct Compiled;
  explicit Regex(std::unique_ptr<Compiled> compiled);
  std::unique_ptr<Compiled> compiled_;
};

} // namespace quern::text

#endif // QUERN_RUNTIME_TEXT_REGEX_H
