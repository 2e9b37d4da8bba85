#include "runtime/artifact/AtomicFile.h"

#include <absl/strings/str_cat.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <mutex>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace quern::artifact {
namespace {

namespace fs = std::filesystem;

// All objects with a temporary file. Changed under the mutex, walked without it by a signal
// handler.
std::mutex list_mutex;
std::atomic<AtomicFile *> list{nullptr};

// Removes the file if nobody writes it: who does has it locked, and a lock ends with its process.
// Both under the lock, and only while the name is still that file's: between the two somebody else
// could have begun to write under it.
void remove_if_abandoned(const fs::path &file) {
  const int fd = open(file.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
  if (fd < 0)
    return;
  struct stat locked, named;
  if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &locked) == 0 &&
      lstat(file.c_str(), &named) == 0 && locked.st_dev == named.st_dev &&
      locked.st_ino == named.st_ino)
    unlink(file.c_str());
  close(fd);
}

// PATH.quern-partial- and digits.
bool is_temporary_of(const std::string &name, const std::string &path_name) {
  const std::string prefix = path_name + ".quern-partial-";
  return name.starts_with(prefix) && name.size() > prefix.size() &&
         name.find_first_not_of("0123456789", prefix.size()) == std::string::npos;
}

// What killed processes left of this path. Failing is no error: it is in nobody's way.
void remove_abandoned(const fs::path &target) {
  std::error_code error;
  const fs::path folder = target.has_parent_path() ? target.parent_path() : ".";
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error))
    if (is_temporary_of(entry->path().filename(), target.filename()))
      remove_if_abandoned(entry->path());
}

// Signals that end a program wait on this thread while one is alive: between the file's creation
// and its place in the list, nobody would remove it.
class SignalsHeld {
public:
  SignalsHeld() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP})
      sigaddset(&set, signal);
    pthread_sigmask(SIG_BLOCK, &set, &before_);
  }
  ~SignalsHeld() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsHeld(const SignalsHeld &) = delete;
  SignalsHeld &operator=(const SignalsHeld &) = delete;

private:
  sigset_t before_;
};

// A new locked file beside `target`, and its name; -1: the system's error.
int create_temporary(const std::string &target, std::string &temporary) {
  for (uint64_t number = static_cast<uint64_t>(getpid());; ++number) {
    temporary = absl::StrCat(target, ".quern-partial-", number);
    const int fd = open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0 && errno == EEXIST)
      continue; // another process of this number, behind another container's wall
    if (fd < 0)
      return fd;
    // A file system without locks leaves the file unlocked; nothing else depends on it.
    const bool taken = flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    struct stat info;
    if (!taken && fstat(fd, &info) == 0 && info.st_nlink > 0)
      return fd;
    close(fd); // another process takes it, or took it, for abandoned before it was locked
  }
}

} // namespace

absl::StatusOr<std::unique_ptr<AtomicFile>> AtomicFile::create(const std::string &path) {
  // A link is followed: renaming over /dev/stdout would replace the link for everybody.
  std::error_code unresolved;
  const fs::file_status link = fs::symlink_status(path, unresolved);
  fs::path target = path;
  if (fs::is_symlink(link))
    target = fs::canonical(path, unresolved);
  struct stat info;
  const bool special = unresolved ? fs::is_symlink(link)
                                  : stat(target.c_str(), &info) == 0 && !S_ISREG(info.st_mode);
  std::string temporary;
  if (!special)
    remove_abandoned(target);
  const SignalsHeld held;
  const int fd = special ? open(path.c_str(), O_WRONLY | O_CLOEXEC)
                         : create_temporary(target.string(), temporary);
  if (fd < 0)
    return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot write"));
  return std::unique_ptr<AtomicFile>(
      new AtomicFile(special ? path : target.string(), temporary, fd));
}

AtomicFile::AtomicFile(std::string path, std::string temporary, int fd)
    : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd) {
  const std::lock_guard lock(list_mutex);
  next_ = list;
  list = this;
}

AtomicFile::~AtomicFile() {
  {
    const std::lock_guard lock(list_mutex);
    AtomicFile *before = nullptr;
    for (AtomicFile *file = list; file != this; file = file->next_)
      before = file;
    if (before)
      before->next_ = next_;
    else
      list = next_;
  }
  if (fd_ < 0)
    return;
  // Unlinked while it is still locked: the name may be another process's a moment later.
  if (!temporary_.empty())
    unlink(temporary_.c_str());
  close(fd_);
}

void AtomicFile::remove_temporaries() {
  for (const AtomicFile *file = list; file; file = file->next_)
    if (file->fd_ >= 0 && !file->temporary_.empty())
      unlink(file->temporary_.c_str());
}

absl::Status AtomicFile::write(const void *data, uint64_t bytes) {
  const auto *next = static_cast<const uint8_t *>(data);
  while (bytes != 0) {
    const ssize_t written = ::write(fd_, next, bytes);
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return error("cannot write");
    next += written;
    bytes -= static_cast<uint64_t>(written);
  }
  return absl::OkStatus();
}

absl::Status AtomicFile::write_at(uint64_t offset, const void *data, uint64_t bytes) {
  const auto *next = static_cast<const uint8_t *>(data);
  while (bytes != 0) {
    const ssize_t written = pwrite(fd_, next, bytes, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return error("cannot write");
    next += written;
    offset += static_cast<uint64_t>(written);
    bytes -= static_cast<uint64_t>(written);
  }
  return absl::OkStatus();
}

absl::Status AtomicFile::read_at(uint64_t offset, void *data, uint64_t bytes) const {
  auto *next = static_cast<uint8_t *>(data);
  while (bytes != 0) {
    const ssize_t got = pread(fd_, next, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return error("cannot read back what was written");
    if (got == 0)
      return absl::OutOfRangeError(absl::StrCat(path_, ": not that much was written"));
    next += got;
    offset += static_cast<uint64_t>(got);
    bytes -= static_cast<uint64_t>(got);
  }
  return absl::OkStatus();
}

absl::Status AtomicFile::commit(bool durable) {
  if (durable && !temporary_.empty() && fsync(fd_) != 0)
    return error("cannot write to the disk");
  if (!temporary_.empty() && rename(temporary_.c_str(), path_.c_str()) != 0)
    return error("cannot rename the finished file");
  const int fd = fd_;
  fd_ = -1; // named: nothing left to undo
  if (close(fd) != 0)
    return error("cannot finish writing");
  return absl::OkStatus();
}

absl::Status AtomicFile::error(const char *what) const {
  return absl::ErrnoToStatus(errno, absl::StrCat(path_, ": ", what));
}

} // namespace quern::artifact
