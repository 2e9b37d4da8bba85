#include "compiler/driver/TextFile.h"

#include "runtime/artifact/AtomicFile.h"

namespace quern::driver {

absl::Status write_text(const std::string &path, std::string_view text) {
  auto file = artifact::AtomicFile::create(path);
  if (!file.ok())
    return file.status();
  if (absl::Status status = (*file)->write(text.data(), text.size()); !status.ok())
    return status;
  return (*file)->commit();
}

} // namespace quern::driver
