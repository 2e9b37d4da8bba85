#include "frontends/ModelFile.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <filesystem>
#include <string_view>

namespace quern {

namespace {

namespace fs = std::filesystem;
using weights::MappedFile;

/// What downloaders append to a file's name until it is whole.
constexpr const char *kUnfinished[] = {".incomplete", ".part", ".partial", ".crdownload",
                                       ".download",   ".tmp",  ".aria2"};

/// The specification has it on the first line; the file is under 1024 bytes.
constexpr const char *kLfsPointer = "version https://git-lfs.github.com/spec/";

absl::Status wrong(const std::string &path, const std::string &what, const std::string &hint) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what, "\nhint: ", hint));
}

bool is_web_page(std::string text) {
  if (text.starts_with("\xef\xbb\xbf"))
    text.erase(0, 3);
  text.erase(0, text.find_first_not_of(" \t\r\n"));
  return absl::StartsWithIgnoreCase(text, "<!doctype html") ||
         absl::StartsWithIgnoreCase(text, "<html");
}

/// Whether a file of that name holds numbers, not text: text may well be empty.
bool is_weights(const std::string &path) {
  return absl::EndsWith(path, ".safetensors") || absl::EndsWithIgnoreCase(path, ".gguf");
}

bool is_printable(char c) { return c >= ' ' && c < 127; }

/// Whether the bytes begin as no weights do: GGUF's version, and a length in the first 8 bytes of a
/// safetensors file, have zeros among them.
bool is_text(std::string_view bytes) {
  constexpr size_t kFew = 8;
  return bytes.size() >= kFew && std::all_of(bytes.begin(), bytes.begin() + kFew, [](char c) {
           return is_printable(c) || c == '\n' || c == '\r' || c == '\t';
         });
}

/// Of a text, for a message.
std::string first_line(std::string text) {
  constexpr size_t kMost = 100;
  text.erase(0, text.find_first_not_of(" \t\r\n"));
  const auto end = std::find_if_not(text.begin(), text.end(), is_printable);
  text.erase(end, text.end());
  return text.size() > kMost ? text.substr(0, kMost) + "..." : text;
}

} // namespace

absl::Status check_fetched(const std::string &path, std::span<const std::byte> bytes) {
  const std::string text(reinterpret_cast<const char *>(bytes.data()),
                         std::min<size_t>(bytes.size(), 512));
  if (text.empty())
    return wrong(path, "is empty: it was not downloaded, or the download was interrupted",
                 "download it again");
  if (text.starts_with(kLfsPointer))
    return wrong(path, "is a Git LFS pointer, not the file that it stands for",
                 "run git lfs pull in the model's repository, or download the file itself");
  if (is_web_page(text))
    return wrong(path, "is a web page, of an error or a login, saved under the file's name",
                 "download the file itself");
  if (is_weights(path) && is_text(text))
    return wrong(
        path,
        absl::StrCat("is a text, as of an error, saved under the file's name: ", first_line(text)),
        "download the file itself");
  if (is_weights(path) && bytes.size() >= 64 &&
      std::all_of(text.begin(), text.begin() + 64, [](char c) { return c == 0; }))
    return wrong(path,
                 "begins with zeros where its header should be: space was reserved for it, and its "
                 "download was interrupted",
                 "download it again");
  return absl::OkStatus();
}

bool ends_in_zeros(std::span<const std::byte> bytes, uint64_t last) {
  // Cheap to read, and more than what vectors, which may be zeros, end in.
  constexpr size_t kTail = 64 << 10;
  if (bytes.size() < kTail || last < kTail)
    return false;
  const std::span<const std::byte> tail = bytes.last(kTail);
  return std::all_of(tail.begin(), tail.end(), [](std::byte b) { return b == std::byte{0}; });
}

std::string zeros_note(const std::string &path) {
  return absl::StrCat(path, " ends in zeros, as a file whose download was interrupted may: if the "
                            "model's answers make no sense, download it again");
}

std::string unfinished_download(const std::string &path) {
  std::error_code error;
  for (const char *suffix : kUnfinished)
    if (fs::exists(path + suffix, error))
      return fs::path(path + suffix).filename().string();
  return "";
}

absl::Status check_fetched(const std::string &path) {
  std::error_code error;
  if (!fs::exists(path, error))
    return absl::OkStatus();
  const auto file = open_model_file(path);
  return file.ok() ? absl::OkStatus() : file.status();
}

absl::StatusOr<std::shared_ptr<const MappedFile>> open_model_file(const std::string &path) {
  absl::StatusOr<std::shared_ptr<const MappedFile>> file = MappedFile::open(path);
  if (!file.ok()) {
    const std::string part = absl::IsNotFound(file.status()) ? unfinished_download(path) : "";
    if (part.empty())
      return file.status();
    return absl::NotFoundError(absl::StrCat(path, ": is not there, and ", part,
                                            " is: its download was interrupted, or still runs"
                                            "\nhint: finish the download, or download it again"));
  }
  // aria2 gives a file its name and its size at once; what it has of it is in a file beside it.
  std::error_code error;
  if (fs::exists(path + ".aria2", error))
    return wrong(path,
                 absl::StrCat(fs::path(path).filename().string(),
                              ".aria2 beside it says that its download is not finished"),
                 "go on with it (aria2c -c), or remove the .aria2 file if the file is whole");
  if (absl::Status status = check_fetched(path, (*file)->bytes()); !status.ok())
    return status;
  return file;
}

} // namespace quern
