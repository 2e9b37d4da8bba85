#include "runtime/session/StateFile.h"

#include "runtime/artifact/AtomicFile.h"
#include "runtime/artifact/Layout.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <span>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace quern::session {
namespace {

constexpr std::array<uint8_t, 8> kStateMagic = {'Q', 'U', 'E', 'R', 'N', 'S', 'T', '\n'};
constexpr uint32_t kStateVersion = 2;

struct StateHeader {
  std::array<uint8_t, 8> magic;
  uint32_t version;
  uint32_t header_bytes;
  uint64_t identity;
  uint64_t length;     // positions
  uint64_t slot_bytes; // fixed state
  uint64_t file_size;
  uint64_t body_checksum;
  uint64_t header_checksum; // of the bytes before it
};
static_assert(sizeof(StateHeader) == 64);

uint64_t checksum_of(const StateHeader &header) {
  return artifact::checksum(&header, offsetof(StateHeader, header_checksum));
}

// What every file of `length` positions has: it is read before the rest is believed.
uint64_t bytes_before_state(const StatePool &pool, uint64_t length) {
  return sizeof(StateHeader) + length * sizeof(int32_t) + pool.num_groups() * sizeof(uint64_t);
}

// Length is at most 2^30 wherever this is called, first pages no more, and page bytes at most 2^46:
// no overflow in 128 bits.
uint64_t file_size(const StatePool &pool, uint64_t length, std::span<const uint64_t> first) {
  unsigned __int128 bytes = bytes_before_state(pool, length) + pool.slot_bytes();
  for (size_t g = 0; g < first.size(); ++g)
    bytes +=
        static_cast<unsigned __int128>(pages_for(length) - first[g]) * pool.pages(g).page_bytes();
  return static_cast<uint64_t>(std::min<unsigned __int128>(bytes, UINT64_MAX));
}

// The first page that the slot holds of each group.
std::vector<uint64_t> first_pages(const StatePool &pool, SlotId slot) {
  std::vector<uint64_t> first;
  for (size_t g = 0; g < pool.num_groups(); ++g)
    first.push_back(pool.held(g, slot).first);
  return first;
}

// Walks the device memory that the body ends with, in the file's order.
template <typename Visit>
absl::Status visit_state(const StatePool &pool, SlotId slot, Visit visit) {
  if (absl::Status status = visit(pool.fixed_state(slot), pool.slot_bytes()); !status.ok())
    return status;
  for (size_t g = 0; g < pool.num_groups(); ++g) {
    const auto [first, end] = pool.held(g, slot);
    for (uint64_t i = first; i < end; ++i)
      if (absl::Status status = visit(pool.page(g, slot, i), pool.pages(g).page_bytes());
          !status.ok())
        return status;
  }
  return absl::OkStatus();
}

// Reads a file from its beginning on, never beyond its end.
class Reader {
public:
  // O_NONBLOCK: a named pipe is refused, not waited for.
  explicit Reader(const std::string &path)
      : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~Reader() {
    if (fd_ >= 0)
      close(fd_);
  }
  Reader(const Reader &) = delete;
  Reader &operator=(const Reader &) = delete;

  bool opened() const { return fd_ >= 0; }
  // Bytes of a regular file; -1 for anything else.
  int64_t size() const {
    struct stat info;
    return fstat(fd_, &info) == 0 && S_ISREG(info.st_mode) ? info.st_size : -1;
  }
  absl::Status read(void *data, uint64_t bytes) {
    auto *next = static_cast<uint8_t *>(data);
    while (bytes != 0) {
      const ssize_t got = ::read(fd_, next, bytes);
      if (got < 0 && errno == EINTR)
        continue;
      if (got < 0)
        return absl::ErrnoToStatus(errno, "cannot read it");
      if (got == 0)
        return absl::DataLossError("the file ends early");
      next += got;
      bytes -= static_cast<uint64_t>(got);
    }
    return absl::OkStatus();
  }

private:
  int fd_;
};

absl::Status wrong_size(uint64_t size, uint64_t wanted) {
  return absl::DataLossError(absl::StrCat("it has ", size, " bytes, and should have ", wanted));
}

absl::Status check_header(const StatePool &pool, const StateHeader &header, uint64_t identity,
                          uint64_t size) {
  if (header.magic != kStateMagic)
    return absl::InvalidArgumentError("not a saved state (it does not begin with QUERNST)");
  if (checksum_of(header) != header.header_checksum || header.header_bytes != sizeof header)
    return absl::DataLossError("the header is damaged");
  if (header.version != kStateVersion)
    return absl::InvalidArgumentError(absl::StrCat(
        "state format version ", header.version, ", and this build reads version ", kStateVersion));
  if (header.identity != identity || header.slot_bytes != pool.slot_bytes())
    return absl::InvalidArgumentError(
        "it was saved with another artifact, and state means nothing to other weights\n"
        "hint: load it with the very file that saved it, or feed the tokens again");
  if (header.length > pool.ctx())
    return absl::OutOfRangeError(absl::StrCat("it holds ", header.length,
                                              " positions, and the context is ", pool.ctx(),
                                              "\nhint: -c ", header.length, " or more"));
  if (header.file_size != size || bytes_before_state(pool, header.length) > size)
    return wrong_size(size, std::max(header.file_size, bytes_before_state(pool, header.length)));
  return absl::OkStatus();
}

// Fills the empty slot. On error the slot is left in any state.
absl::Status read_body(StatePool &pool, SlotId slot, const StateHeader &header, uint32_t vocab,
                       Reader &reader) {
  artifact::Checksum sum;
  std::vector<int32_t> tokens(header.length); // no more than the context
  if (absl::Status status = reader.read(tokens.data(), tokens.size() * sizeof(int32_t));
      !status.ok())
    return status;
  sum.add(tokens.data(), tokens.size() * sizeof(int32_t));
  for (int32_t token : tokens)
    if (token < 0 || static_cast<uint32_t>(token) >= vocab)
      return absl::DataLossError(absl::StrCat("token ", token, " is not in the vocabulary"));
  std::vector<uint64_t> first(pool.num_groups());
  if (absl::Status status = reader.read(first.data(), first.size() * sizeof(uint64_t));
      !status.ok())
    return status;
  sum.add(first.data(), first.size() * sizeof(uint64_t));
  for (size_t g = 0; g < first.size(); ++g)
    if (!pool.can_hold(g, first[g], header.length))
      return absl::DataLossError(absl::StrCat("page ", first[g], " cannot be the first of ",
                                              header.length, " positions that are kept"));
  if (const uint64_t wanted = file_size(pool, header.length, first); wanted != header.file_size)
    return wrong_size(header.file_size, wanted);
  pool.restore(slot, tokens, first);

  std::vector<uint8_t> buffer;
  absl::Status status = visit_state(pool, slot, [&](uint8_t *to, uint64_t bytes) {
    buffer.resize(bytes);
    if (absl::Status read = reader.read(buffer.data(), bytes); !read.ok())
      return read;
    sum.add(buffer.data(), bytes);
    return pool.device().from_host(to, buffer.data(), bytes);
  });
  if (!status.ok())
    return status;
  if (sum.value() != header.body_checksum)
    return absl::DataLossError("its checksum does not match: the file is damaged");
  return absl::OkStatus();
}

} // namespace

absl::Status save_state(const StatePool &pool, SlotId slot, uint64_t identity,
                        const std::string &path) {
  auto file = artifact::AtomicFile::create(path);
  if (!file.ok())
    return file.status();
  const auto tokens = pool.tokens(slot);
  StateHeader header = {};
  header.magic = kStateMagic;
  header.version = kStateVersion;
  header.header_bytes = sizeof header;
  header.identity = identity;
  header.length = tokens.size();
  header.slot_bytes = pool.slot_bytes();
  const std::vector<uint64_t> first = first_pages(pool, slot);
  header.file_size = file_size(pool, tokens.size(), first);

  artifact::Checksum sum;
  auto write = [&](const void *data, uint64_t bytes) {
    sum.add(data, bytes);
    return (*file)->write(data, bytes);
  };
  absl::Status status = (*file)->write(&header, sizeof header); // its place; checksums come last
  if (status.ok())
    status = write(tokens.data(), tokens.size_bytes());
  if (status.ok())
    status = write(first.data(), first.size() * sizeof(uint64_t));
  std::vector<uint8_t> buffer;
  if (status.ok())
    status = visit_state(pool, slot, [&](const uint8_t *from, uint64_t bytes) {
      buffer.resize(bytes);
      if (absl::Status read = pool.device().to_host(buffer.data(), from, bytes); !read.ok())
        return read;
      return write(buffer.data(), bytes);
    });
  if (!status.ok())
    return status;
  header.body_checksum = sum.value();
  header.header_checksum = checksum_of(header);
  if (status = (*file)->write_at(0, &header, sizeof header); !status.ok())
    return status;
  return (*file)->commit();
}

absl::StatusOr<SlotId> load_state(StatePool &pool, uint64_t identity, uint32_t vocab,
                                  const std::string &path) {
  auto at = [&](const absl::Status &status) {
    return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
  };
  Reader reader(path);
  if (!reader.opened())
    return at(absl::ErrnoToStatus(errno, "cannot open"));
  const int64_t size = reader.size();
  StateHeader header;
  if (size < static_cast<int64_t>(sizeof header))
    return at(absl::InvalidArgumentError("too short for a saved state, or not a regular file"));
  if (absl::Status status = reader.read(&header, sizeof header); !status.ok())
    return at(status);
  if (absl::Status status = check_header(pool, header, identity, static_cast<uint64_t>(size));
      !status.ok())
    return at(status);
  absl::StatusOr<SlotId> slot = pool.create_slot();
  if (!slot.ok())
    return slot;
  if (absl::Status status = read_body(pool, *slot, header, vocab, reader); !status.ok()) {
    (void)pool.free_slot(*slot);
    return at(status);
  }
  return slot;
}

} // namespace quern::session
