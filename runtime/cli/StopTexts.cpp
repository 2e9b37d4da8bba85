#include "runtime/cli/StopTexts.h"

#include <algorithm>
#include <utility>

namespace quern::cli {

absl::Status check_stops(const std::vector<std::string> &texts) {
  return std::ranges::any_of(texts, &std::string::empty)
             ? absl::InvalidArgumentError("--stop is empty\nhint: --stop TEXT")
             : absl::OkStatus();
}

StopTexts::StopTexts(std::vector<std::string> texts) : texts_(std::move(texts)) {
  std::erase_if(texts_, [](const std::string &text) { return text.empty(); });
}

std::string StopTexts::push(const std::string &more) {
  if (stopped_)
    return "";
  held_ += more;
  size_t end = std::string::npos; // where the earliest complete stop text begins
  size_t safe = held_.size();     // what lies before this cannot become one
  for (const std::string &text : texts_) {
    end = std::min(end, held_.find(text));
    for (size_t length = std::min(text.size() - 1, held_.size()); length > 0; --length)
      if (held_.ends_with(text.substr(0, length))) {
        safe = std::min(safe, held_.size() - length);
        break;
      }
  }
  stopped_ = end != std::string::npos;
  std::string shown = held_.substr(0, std::min(end, safe));
  held_.erase(0, stopped_ ? std::string::npos : shown.size());
  return shown;
}

std::string StopTexts::flush() { return std::exchange(held_, {}); }

} // namespace quern::cli
