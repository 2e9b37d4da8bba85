// Ends an answer where one of the --stop texts begins.
#ifndef QUERN_RUNTIME_CLI_STOPTEXTS_H
#define QUERN_RUNTIME_CLI_STOPTEXTS_H

#include <absl/status/status.h>

#include <string>
#include <vector>

namespace quern::cli {

/// InvalidArgument if one of the --stop texts is empty: it would end every answer before it begins.
absl::Status check_stops(const std::vector<std::string> &texts);

class StopTexts {
public:
  explicit StopTexts(std::vector<std::string> texts);

  /// The text that may be shown after `more` has come: all that cannot be the beginning of a stop
  /// text. Once one is complete, nothing from its beginning on is ever shown.
  std::string push(const std::string &more);
  /// What was held back, when nothing more will come.
  std::string flush();
  bool stopped() const { return stopped_; }

private:
  std::vector<std::string> texts_;
  std::string held_;
  bool stopped_ = false;
};

} // namespace quern::cli

#endif // QUERN_RUNTIME_CLI_STOPTEXTS_H
