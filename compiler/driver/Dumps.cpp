#include "compiler/driver/Dumps.h"

#include "compiler/driver/TextFile.h"

#include <absl/strings/str_format.h>

#include <filesystem>

namespace quern::driver {

void Dumps::write(std::string_view name, std::string_view text) {
  if (!wanted() || !status_.ok())
    return;
  std::error_code error;
  std::filesystem::create_directories(folder_, error); // if that fails, so does the file
  const std::string path = absl::StrFormat("%s/%02d-%s", folder_, ++count_, std::string(name));
  status_ = write_text(path, text);
}

} // namespace quern::driver
