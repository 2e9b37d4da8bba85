#include "compiler/driver/Dumps.h"

#include "compiler/driver/TextFile.h"

#include <absl/strings/str_format.h>

#include <filesystem>

namespace quern::driver {

void Dumps::write(std::string_view name, std::string_view text) {
  if (!wanted() || !status_.ok())
    return;
  std::error_code error;
  const std::string folder = inner_.empty() ? folder_ : folder_ + "/" + inner_;
  std::filesystem::create_directories(folder, error); // if that fails, so does the file
  const std::string path =
      absl::StrFormat("%s/%02d-%s", folder, ++count_[inner_], std::string(name));
  status_ = write_text(path, text);
}

} // namespace quern::driver
