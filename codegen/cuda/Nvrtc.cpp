// See Nvrtc.h.
#include "codegen/cuda/Nvrtc.h"

#include "codegen/CodeCache.h"
#include "codegen/cuda/Assembler.h"
#include "codegen/cuda/DeviceHeaders.h"
#include "codegen/cuda/NvrtcLibrary.h"
#include "codegen/cuda/PtxVersion.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <thread>
#include <utility>

namespace quern::cuda {
namespace {

/// The architecture follows. Nothing may change how floats round: code says itself where a
/// multiplication and an addition are one operation.
constexpr const char *kOptions[] = {"--std=c++20", "--fmad=false", "-default-device",
                                    "--ptxas-options=-v"};
constexpr const char *kLines = "-lineinfo";
/// What PTX is made for where it is made once: the lowest architecture that there is a variant for.
/// No source and no header asks which one it is.
constexpr const char *kEveryArchitecture = "compute_80";
/// Headers come from memory alone: a file that lies about is not taken for one. Known since 12.8.
constexpr const char *kNoSourceInclude = "--no-source-include";

/// The number behind `before`, in a line of the assembler's log; 0 if there is none.
int number_before(std::string_view line, std::string_view behind) {
  const size_t end = line.find(behind);
  if (end == std::string_view::npos)
    return 0;
  size_t begin = end;
  while (begin > 0 && line[begin - 1] >= '0' && line[begin - 1] <= '9')
    --begin;
  int number = 0;
  std::from_chars(line.data() + begin, line.data() + end, number);
  return number;
}

/// What the assembler says of each function, as in
///     ptxas info    : Compiling entry function 'linear_0_one' for 'sm_80'
///     ptxas info    : Function properties for linear_0_one
///     ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
///     ptxas info    : Used 62 registers, used 1 barriers, 16384 bytes smem, 388 bytes cmem[0]
/// Functions that are no kernels are said likewise, without the first line: they are left out.
std::vector<CompiledFunction> functions_in(std::string_view log) {
  constexpr std::string_view kBegins = "Compiling entry function '";
  std::vector<CompiledFunction> functions;
  bool inside = false;
  for (size_t next = 0; next < log.size();) {
    const size_t end = std::min(log.find('\n', next), log.size());
    const std::string_view line = log.substr(next, end - next);
    next = end + 1;
    if (const size_t at = line.find(kBegins); at != std::string_view::npos) {
      const std::string_view rest = line.substr(at + kBegins.size());
      functions.push_back({.name = std::string(rest.substr(0, rest.find('\'')))});
      inside = true;
    } else if (inside && line.find("bytes stack frame") != std::string_view::npos) {
      functions.back().local = number_before(line, " bytes stack frame");
      functions.back().spilled =
          number_before(line, " bytes spill stores") + number_before(line, " bytes spill loads");
    } else if (inside && line.find("Used ") != std::string_view::npos) {
      functions.back().registers = number_before(line, " registers");
      functions.back().shared = number_before(line, " bytes smem");
      inside = false;
    }
  }
  std::ranges::sort(functions, {}, &CompiledFunction::name);
  return functions;
}

/// The first error in a log, with the line of the source it is of.
std::string first_error(std::string_view log) {
  const size_t at = std::min(log.find("error"), log.size());
  const size_t begin = log.rfind('\n', at) == std::string_view::npos ? 0 : log.rfind('\n', at) + 1;
  std::string_view said = log.substr(begin);
  if (const size_t end = said.find("\n\n"); end != std::string_view::npos)
    said = said.substr(0, end);
  return std::string(said.substr(0, 2000));
}

/// Ends the program however the compile ends.
class Program {
public:
  Program(const NvrtcLibrary &library, NvrtcProgram program)
      : library_(library), program_(program) {}
  Program(const Program &) = delete;
  Program &operator=(const Program &) = delete;
  ~Program() { library_.DestroyProgram(&program_); }

  /// What one of a pair of functions says the size of and the other writes.
  std::string text(int (*size_of)(NvrtcProgram, size_t *), int (*write)(NvrtcProgram, char *)) {
    size_t size = 0;
    std::string bytes;
    if (size_of(program_, &size) != 0)
      return bytes;
    bytes.resize(size);
    if (size != 0 && write(program_, bytes.data()) != 0)
      bytes.clear();
    return bytes;
  }

private:
  const NvrtcLibrary &library_;
  NvrtcProgram program_;
};

/// Up to the 0 that ends it.
std::string trimmed(std::string text) {
  text.resize(strlen(text.c_str()));
  return text;
}

std::vector<std::string> options_for(const NvrtcLibrary &library, std::string_view arch,
                                     const CompileOptions &options) {
  std::vector<std::string> all(std::begin(kOptions), std::end(kOptions));
  all.push_back("--gpu-architecture=" + std::string(arch));
  if (library.major > 12 || (library.major == 12 && library.minor >= 8))
    all.emplace_back(kNoSourceInclude);
  if (options.lines)
    all.emplace_back(kLines);
  return all;
}

/// What NVRTC makes of a source.
struct Translated {
  std::string ptx;
  std::string cubin; ///< empty where the options name no real architecture
  std::string log;
};

std::string kernel_of(const CompileJob &job) {
  return std::string(job.name) + " for " + std::string(job.arch);
}

constexpr const char *kFaultHint =
    "\nhint: this is a fault of quern itself; please report it, with what --emit-dir writes";

constexpr const char *kBuiltinsHint =
    "\nhint: NVRTC's libnvrtc-builtins is gone or of another version: install NVRTC anew";

absl::StatusOr<Translated> translate(const NvrtcLibrary &library, const CompileJob &job,
                                     const std::vector<std::string> &options) {
  std::vector<const char *> texts, names, values;
  for (const DeviceHeader &header : device_headers()) {
    texts.push_back(header.text);
    names.push_back(header.name);
  }
  for (const std::string &option : options)
    values.push_back(option.c_str());
  const std::string source(job.source), name = std::string(job.name) + ".cu";
  NvrtcProgram handle = nullptr;
  int result = library.CreateProgram(&handle, source.c_str(), name.c_str(),
                                     static_cast<int>(texts.size()), texts.data(), names.data());
  if (result != 0)
    return absl::InternalError(absl::StrCat("NVRTC ", library.version(),
                                            " takes no source: ", library.GetErrorString(result)));
  Program program(library, handle);
  result = library.CompileProgram(handle, static_cast<int>(values.size()), values.data());
  Translated made;
  made.log = trimmed(program.text(library.GetProgramLogSize, library.GetProgramLog));
  if (result != 0)
    return absl::InternalError(
        absl::StrCat("NVRTC ", library.version(), " does not compile ", kernel_of(job), ": ",
                     library.GetErrorString(result), "\n", first_error(made.log),
                     result == kNvrtcBuiltinsFailed ? kBuiltinsHint : kFaultHint));
  made.ptx = trimmed(program.text(library.GetPTXSize, library.GetPTX));
  made.cubin = program.text(library.GetCUBINSize, library.GetCUBIN);
  if (made.ptx.empty())
    return absl::InternalError(
        absl::StrCat("NVRTC ", library.version(), " gives no PTX of ", kernel_of(job)));
  return made;
}

/// Compiles a source for one architecture after the other.
class Compiler {
public:
  Compiler(const NvrtcLibrary &library, const Assembler *assembler, const CompileOptions &options)
      : library_(library), assembler_(assembler), options_(options) {}

  /// `resident`: what QUERN_RESIDENT is defined as; empty: the source's own.
  absl::StatusOr<Compiled> compile(const CompileJob &job, const std::string &resident) {
    const std::string arch = assembler_ ? kEveryArchitecture : std::string(job.arch);
    std::vector<std::string> values = options_for(library_, arch, options_);
    if (!resident.empty())
      values.push_back("-DQUERN_RESIDENT=" + resident);
    if (assembler_)
      return assemble(job, resident, values);
    auto made = translate(library_, job, values);
    if (!made.ok())
      return made.status();
    if (made->cubin.empty())
      return absl::InternalError(
          absl::StrCat("NVRTC ", library_.version(), " gives no cubin of ", kernel_of(job)));
    Compiled compiled;
    compiled.ptx = with_lowest_version(std::move(made->ptx));
    compiled.cubin = std::move(made->cubin);
    compiled.functions = functions_in(made->log);
    return compiled;
  }

private:
  absl::StatusOr<Compiled> assemble(const CompileJob &job, const std::string &resident,
                                    const std::vector<std::string> &values) {
    auto known = ptx_.find(resident);
    if (known == ptx_.end()) {
      auto made = translate(library_, job, values);
      if (!made.ok())
        return made.status();
      known = ptx_.emplace(resident, std::move(made->ptx)).first;
    }
    Compiled compiled;
    compiled.ptx = with_lowest_version(with_target(known->second, job.arch));
    auto assembled = assembler_->assemble(compiled.ptx, job.arch, options_.lines);
    if (!assembled.ok())
      return absl::InternalError(absl::StrCat(
          kernel_of(job), " cannot be assembled: ", assembled.status().message(), kFaultHint));
    compiled.cubin = std::move(assembled->cubin);
    compiled.functions = functions_in(assembled->log);
    return compiled;
  }

  const NvrtcLibrary &library_;
  const Assembler *assembler_;
  const CompileOptions &options_;
  std::map<std::string, std::string> ptx_; ///< of the source, by `resident`
};

bool spills(const Compiled &compiled) {
  return std::ranges::any_of(compiled.functions,
                             [](const CompiledFunction &f) { return f.spilled != 0; });
}

/// How many registers a kernel takes is the assembler's affair, by architecture and version: no
/// rule of ours would foresee what spills.
absl::StatusOr<Compiled> compile_without_spills(Compiler &compiler, const CompileJob &job) {
  auto compiled = compiler.compile(job, "");
  if (job.source.find("#ifndef QUERN_RESIDENT\n") == std::string_view::npos)
    return compiled;
  for (const char *fewer : {"2", "1"}) {
    if (!compiled.ok() || !spills(*compiled))
      break;
    compiled = compiler.compile(job, fewer);
  }
  return compiled;
}

// ---- In the cache: lengths and bytes of the texts, then the functions

void append(std::string &to, std::string_view bytes) {
  const uint64_t size = bytes.size();
  to.append(reinterpret_cast<const char *>(&size), sizeof size).append(bytes);
}

bool take(std::string_view &from, std::string &bytes) {
  uint64_t size = 0;
  if (from.size() < sizeof size)
    return false;
  memcpy(&size, from.data(), sizeof size);
  from.remove_prefix(sizeof size);
  if (from.size() < size)
    return false;
  bytes = from.substr(0, size);
  from.remove_prefix(size);
  return true;
}

std::string serialized(const Compiled &compiled) {
  std::string bytes;
  append(bytes, compiled.ptx);
  append(bytes, compiled.cubin);
  for (const CompiledFunction &function : compiled.functions) {
    append(bytes, function.name);
    const int numbers[] = {function.registers, function.shared, function.local, function.spilled};
    append(bytes, {reinterpret_cast<const char *>(numbers), sizeof numbers});
  }
  return bytes;
}

std::optional<Compiled> deserialized(std::string_view bytes) {
  Compiled compiled;
  if (!take(bytes, compiled.ptx) || !take(bytes, compiled.cubin))
    return std::nullopt;
  while (!bytes.empty()) {
    CompiledFunction function;
    std::string text;
    int numbers[4];
    if (!take(bytes, function.name) || !take(bytes, text) || text.size() != sizeof numbers)
      return std::nullopt;
    memcpy(numbers, text.data(), sizeof numbers);
    function.registers = numbers[0];
    function.shared = numbers[1];
    function.local = numbers[2];
    function.spilled = numbers[3];
    compiled.functions.push_back(std::move(function));
  }
  return compiled;
}

std::string cache_key(const NvrtcLibrary &library, const Assembler *assembler,
                      const CompileJob &job, const CompileOptions &from) {
  const std::string version =
      absl::StrCat("nvrtc ", library.version(), assembler ? ", " + assembler->version() : "");
  const std::vector<std::string> options = options_for(library, job.arch, from);
  std::vector<std::string_view> parts = {version, job.name, job.source};
  parts.insert(parts.end(), options.begin(), options.end());
  for (const DeviceHeader &header : device_headers())
    parts.insert(parts.end(), {header.name, header.text});
  return codegen::CodeCache::key(parts);
}

absl::StatusOr<Compiled> find_or_compile(const NvrtcLibrary &library, const Assembler *assembler,
                                         Compiler &compiler, const CompileJob &job,
                                         const CompileOptions &options) {
  const codegen::CodeCache cache(options.cache);
  const std::string key = options.cache.empty() ? "" : cache_key(library, assembler, job, options);
  std::optional<Compiled> compiled;
  if (const std::optional<std::string> kept = cache.find(key))
    compiled = deserialized(*kept);
  if (!compiled) {
    auto made = compile_without_spills(compiler, job);
    if (!made.ok())
      return made.status();
    cache.keep(key, serialized(*made));
    compiled = *std::move(made);
  }
  for (const CompiledFunction &function : compiled->functions) {
    compiled->registers = std::max(compiled->registers, function.registers);
    compiled->shared = std::max(compiled->shared, function.shared);
    compiled->local = std::max(compiled->local, function.local);
  }
  return *std::move(compiled);
}

} // namespace

CompiledFunction Compiled::function(std::string_view name) const {
  const auto found = std::ranges::find(functions, name, &CompiledFunction::name);
  return found == functions.end() ? CompiledFunction() : *found;
}

absl::Status available() { return nvrtc_library().status(); }

absl::StatusOr<std::string> nvrtc_version() {
  const auto library = nvrtc_library();
  if (!library.ok())
    return library.status();
  return (*library)->version();
}

absl::StatusOr<std::vector<Compiled>> compile_all(std::span<const CompileJob> jobs,
                                                  const CompileOptions &options) {
  const auto library = nvrtc_library();
  if (!library.ok())
    return library.status();
  std::vector<absl::StatusOr<Compiled>> results(jobs.size(), absl::UnknownError("not compiled"));
  const Assembler *const assembler = options.assembler ? assembler_of(**library) : nullptr;
  // What is worked on together: jobs of one source where its PTX is made once, else one.
  std::vector<std::vector<size_t>> groups;
  std::map<std::pair<std::string_view, std::string_view>, size_t> numbers;
  for (size_t i = 0; i < jobs.size(); ++i) {
    const auto [known, fresh] = numbers.try_emplace({jobs[i].name, jobs[i].source}, groups.size());
    if (fresh || assembler == nullptr)
      groups.emplace_back();
    groups[assembler ? known->second : groups.size() - 1].push_back(i);
  }
  // Long ones first: one that begins last would be waited for alone.
  std::ranges::sort(groups, std::greater<>(), [&](const std::vector<size_t> &group) {
    return std::pair(jobs[group.front()].source.size(), jobs.size() - group.front());
  });
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t g = next++; g < groups.size(); g = next++) {
      Compiler compiler(**library, assembler, options);
      for (size_t i : groups[g])
        results[i] = find_or_compile(**library, assembler, compiler, jobs[i], options);
    }
  };
  std::vector<std::thread> threads;
  const size_t many = std::min(groups.size(), static_cast<size_t>(std::max(1, options.threads)));
  for (size_t i = 1; i < many; ++i)
    threads.emplace_back(work);
  work();
  for (std::thread &thread : threads)
    thread.join();
  std::vector<Compiled> all;
  for (absl::StatusOr<Compiled> &result : results) {
    if (!result.ok())
      return result.status();
    all.push_back(*std::move(result));
  }
  return all;
}

absl::StatusOr<Compiled> compile(std::string_view source, std::string_view name,
                                 std::string_view arch, const CompileOptions &options) {
  const CompileJob job{.name = name, .source = source, .arch = arch};
  auto all = compile_all({&job, 1}, options);
  if (!all.ok())
    return all.status();
  return std::move(all->front());
}

} // namespace quern::cuda
