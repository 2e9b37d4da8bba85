#include "runtime/cli/Model.h"

#include "runtime/artifact/AtomicFile.h"
#include "runtime/cli/Report.h"
#include "runtime/device/cpu/WorkerPool.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace quern::cli {

ModelOptions::ModelOptions() {
  const char *from_environment = std::getenv("QUERN_DEVICE");
  device = from_environment && *from_environment ? from_environment : "cpu";
}

Flag ModelOptions::model_flag() {
  return {"-m, --model", "FILE", "the artifact (.quern)", &model, true};
}

std::vector<Flag> ModelOptions::flags() {
  return {
      model_flag(),
      {"-t, --threads", "N", "threads (default: the physical cores it may use)", &threads},
      {"-c, --ctx", "CTX", "longest sequence (default: the artifact's)", &ctx},
      {"--slots", "N", "sequences that can be alive at once (default 1)", &slots},
      {"--device", "D", "cpu, cuda, cuda:1 or ptx (default: QUERN_DEVICE, or cpu)", &device},
      {"--variant", "V", "force a variant (default: the best that runs here)", &variant},
      {"--memory", "BYTES", "refuse to take more; 512M and 4G are understood", &memory},
      {"--checkpoints", "BYTES", "", &checkpoints},
  };
}

absl::Status ModelOptions::check() const {
  if (threads < 0 || threads > device::WorkerPool::kMaxWorkers)
    return absl::InvalidArgumentError(absl::StrCat(
        "-t takes 1 to ", device::WorkerPool::kMaxWorkers, ", not ", threads, "\nhint: -t 2"));
  if (slots == 0 || slots > session::kMaxSlots)
    return absl::InvalidArgumentError(absl::StrCat("--slots takes 1 to ", session::kMaxSlots,
                                                   ", not ", slots, "\nhint: --slots 1"));
  if (absl::Status status = device::check_device(device); !status.ok())
    return status;
  if (device == "null")
    say("note: device null computes nothing, and its numbers are all 0; it is there for tests");
  else if (threads != 0 && device::target_of_device(device) != "cpu")
    say(absl::StrCat("note: -t ", threads, " is of the CPU's threads, and device ", device,
                     " has none"));
  return absl::OkStatus();
}

session::EngineOptions ModelOptions::engine() const {
  session::EngineOptions options;
  options.device = device;
  options.variant = variant;
  options.ctx = ctx;
  options.slots = slots;
  options.threads = threads;
  options.memory = memory.value;
  options.checkpoints = checkpoints.given ? checkpoints.value : default_checkpoints;
  options.checkpoints_needed = checkpoints.given;
  return options;
}

std::vector<Flag> operator+(std::vector<Flag> flags, std::vector<Flag> more) {
  flags.insert(flags.end(), more.begin(), more.end());
  return flags;
}

absl::StatusOr<std::unique_ptr<text::Tokenizer>> load_tokenizer(const artifact::Artifact &artifact,
                                                                std::string_view hint) {
  const auto bytes = artifact.tokenizer();
  if (bytes.empty())
    return absl::FailedPreconditionError(
        absl::StrCat(artifact.path(),
                     " has no tokenizer: its model came without one\nhint: ", std::string(hint)));
  auto spec = text::deserialize(
      std::string_view(reinterpret_cast<const char *>(bytes.data()), bytes.size()));
  if (!spec.ok())
    return absl::Status(spec.status().code(),
                        absl::StrCat(artifact.path(), ": tokenizer: ", spec.status().message()));
  return text::Tokenizer::create(*std::move(spec));
}

absl::StatusOr<std::vector<int32_t>> parse_ids(const std::string &list) {
  std::vector<int32_t> ids;
  if (list.empty())
    return ids;
  for (absl::string_view word : absl::StrSplit(list, ',')) {
    int32_t id;
    if (!absl::SimpleAtoi(word, &id))
      return absl::InvalidArgumentError(
          absl::StrCat("'", word, "' is not a token id\nhint: ids are separated by commas: 1,2,3"));
    ids.push_back(id);
  }
  return ids;
}

std::string format_ids(std::span<const int32_t> ids) { return absl::StrJoin(ids, ","); }

absl::StatusOr<std::string> read_text(const std::string &path) {
  std::FILE *file = path == "-" ? stdin : std::fopen(path.c_str(), "rb");
  if (!file)
    return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot open"));
  std::string text;
  char buffer[1 << 16];
  size_t got;
  while ((got = std::fread(buffer, 1, sizeof buffer, file)) > 0)
    text.append(buffer, got);
  const bool failed = std::ferror(file) != 0;
  const int error = errno;
  if (file != stdin)
    std::fclose(file);
  if (failed)
    return absl::ErrnoToStatus(error, absl::StrCat(path, ": cannot read"));
  return text;
}

void note_byte_order_mark(const std::string &path, std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf"))
    say(absl::StrCat("note: ", path == "-" ? "standard input" : path,
                     " begins with a byte order mark, which the model reads as text; save it "
                     "without one if that is not meant"));
}

absl::Status check_writable(const std::string &path) {
  std::error_code ignored;
  const bool special =
      std::filesystem::exists(path, ignored) && !std::filesystem::is_regular_file(path, ignored);
  if (path.empty() || (special && !std::filesystem::is_directory(path, ignored)))
    return absl::OkStatus(); // opening a pipe may wait for its reader
  return artifact::AtomicFile::create(path).status();
}

nlohmann::ordered_json to_json(const session::MemoryUse &memory) {
  return {{"weights", memory.weights},
          {"arena", memory.arena},
          {"state", memory.state},
          {"code", memory.code},
          {"checkpoints", memory.checkpoints},
          {"staging", memory.staging},
          {"total", memory.total}};
}

void print_json(const nlohmann::ordered_json &json) {
  const std::string text =
      json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  print(text + "\n");
}

} // namespace quern::cli
