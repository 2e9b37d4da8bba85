// Opening a model's files, which someone downloaded: what says that the download was never made, or
// broke off, is said in those words.
#ifndef QUERN_FRONTENDS_MODELFILE_H
#define QUERN_FRONTENDS_MODELFILE_H

#include "ir/weights/MappedFile.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace quern {

/// An error, "PATH: what" and a line "hint: what to do", where a file's bytes show that it is not
/// what its name says, whatever that is: it is a Git LFS pointer, a web page, empty, a text
/// under the name of weights, or begins with zeros as a download that reserved its space. OK says
/// nothing more than that none of these is so.
absl::Status check_fetched(const std::string &path, std::span<const std::byte> bytes);

/// The same of the file at `path`, and of what lies beside it. OK where there is none.
absl::Status check_fetched(const std::string &path);

/// MappedFile::open of a file for which check_fetched has no complaint. Where there is no such file
/// the error tells of a download of it that is unfinished, if there is one.
absl::StatusOr<std::shared_ptr<const weights::MappedFile>> open_model_file(const std::string &path);

/// "m.gguf.part" where that is an unfinished download of `path` that lies beside it; "" if none is.
std::string unfinished_download(const std::string &path);

/// Whether a file's end, all inside a tensor of `last` bytes, is zeros: as of a download that
/// reserved the file's space and was interrupted. Weights may be zeros, too, so it is worth a note
/// and no more: zeros_note.
bool ends_in_zeros(std::span<const std::byte> bytes, uint64_t last);
std::string zeros_note(const std::string &path);

/// What to do about a file that is shorter than its own header says.
inline constexpr const char *kCutShort =
    "it is cut short, as by an interrupted download: download it again";

} // namespace quern

#endif // QUERN_FRONTENDS_MODELFILE_H
