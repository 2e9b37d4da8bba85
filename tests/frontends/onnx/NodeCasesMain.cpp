// onnx_node_cases CASES EXCEPTIONS: compiles each case of a file (NodeCases.h) as `quern compile
// --variant native` would, calls it, and holds what comes out to the case, and what does not pass
// to the list of exceptions, both ways: a case that is not in it passes, and one that is in it does
// what it says. --write makes the list anew, for a person to read; reasons that it has are kept.
// --only TEXT takes the cases with that in their names alone, says what each does, and knows no
// exceptions; --interpret runs them by the interpreter: what passes there is imported well.
#include "compiler/driver/Compilation.h"
#include "frontends/Import.h"
#include "ir/quern/AttributeNames.h"
#include "ir/quern/QuernDialect.h"
#include "ir/reference/Interpreter.h"
#include "runtime/cli/Flags.h"
#include "runtime/session/Engine.h"
#include "tests/frontends/onnx/NodeCases.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <unistd.h>

namespace {

using namespace quern;
using test::CaseTensor;
using test::NodeCase;

/// What a case does: "passed", or "refused: why", "failed: why", "wrong: output N"; and the numbers
/// that are wrong.
struct Outcome {
  std::string what = "passed", details;
};

/// A message's first line, without the names of files made here.
std::string first_line(const absl::Status &status, const std::string &folder) {
  const std::string message(status.message());
  return absl::StrReplaceAll(message.substr(0, message.find('\n')),
                             {{folder + "/model.onnx: ", ""}, {folder + "/", ""}});
}

Outcome compare(const NodeCase &test, const std::vector<CaseTensor> &results) {
  for (size_t i = 0; i < test.outputs.size(); ++i) {
    const CaseTensor &want = test.outputs[i];
    const auto got = std::ranges::find(results, want.name, &CaseTensor::name);
    if (got == results.end())
      return {absl::StrCat("wrong: there is no output ", want.name), ""};
    if (std::string what = test::difference(*got, want, test.rtol, test.atol); !what.empty())
      return {absl::StrCat("wrong: output ", i), what};
  }
  return {};
}

/// The result of calling the artifact's entry `main`.
Outcome call(const NodeCase &test, const std::string &path, const std::string &folder) {
  constexpr size_t kBehind = 64;
  constexpr uint8_t kMark = 0xa5;
  const auto failed = [&](const absl::Status &status) {
    return Outcome{absl::StrCat("failed: ", first_line(status, folder)), ""};
  };
  auto engine = session::Engine::open(path, {.threads = 2});
  if (!engine.ok())
    return failed(engine.status());
  const artifact::Entry *entry = (*engine)->artifact().entry("main");
  if (entry == nullptr)
    return {"failed: there is no entry main", ""};
  std::vector<session::Tensor> inputs;
  for (const artifact::TensorDesc *desc : artifact::items(entry->inputs())) {
    const std::string name(artifact::text(desc->name()));
    const auto given = std::ranges::find(test.inputs, name, &CaseTensor::name);
    if (given == test.inputs.end())
      return {absl::StrCat("failed: there is nothing for input ", name), ""};
    inputs.push_back({given->type, given->shape, const_cast<uint8_t *>(given->bytes.data()),
                      given->bytes.size()});
  }
  auto outputs = (*engine)->output_shapes("main", inputs);
  if (!outputs.ok())
    return failed(outputs.status());
  std::vector<CaseTensor> results;
  for (session::Tensor &output : *outputs) {
    const auto *desc = artifact::items(entry->outputs())[static_cast<uint32_t>(results.size())];
    CaseTensor &result = results.emplace_back();
    result = {std::string(artifact::text(desc->name())), output.type, output.shape,
              std::vector<uint8_t>(output.bytes + kBehind, kMark)};
    output.data = result.bytes.data();
  }
  if (absl::Status status = (*engine)->call("main", inputs, *outputs); !status.ok())
    return failed(status);
  for (size_t i = 0; i < results.size(); ++i) {
    CaseTensor &result = results[i];
    if (!std::all_of(result.bytes.end() - kBehind, result.bytes.end(),
                     [](uint8_t byte) { return byte == kMark; }))
      return {absl::StrCat("wrong: writes behind ", result.name), ""};
    // Smaller than was said where data decide.
    result.shape = (*outputs)[i].shape;
    uint64_t bytes = artifact::element_bytes(result.type);
    for (const int64_t dim : result.shape)
      bytes *= static_cast<uint64_t>(dim);
    result.bytes.resize(bytes);
  }
  return compare(test, results);
}

Outcome compile_and_call(const NodeCase &test, const std::string &folder) {
  static const std::vector<driver::ChosenTarget> native = [] {
    driver::TargetFlags flags;
    flags.variant = "native";
    auto chosen = flags.chosen();
    if (!chosen.ok()) {
      std::fprintf(stderr, "error: %s\n", std::string(chosen.status().message()).c_str());
      std::exit(1);
    }
    return *std::move(chosen);
  }();
  driver::CompileOptions options;
  options.model = folder + "/model.onnx";
  options.output = folder + "/model.quern";
  options.cache = folder + "/code"; // cases of other numbers have the same code
  options.targets = native;
  options.jobs = 1;
  options.quiet = true;
  std::ofstream(options.model, std::ios::binary) << test.model;
  if (absl::Status status = driver::compile_model(options); !status.ok())
    return {absl::StrCat("refused: ", first_line(status, folder)), ""};
  return call(test, options.output, folder);
}

reference::Tensor interpreted(const CaseTensor &given, mlir::Type element) {
  reference::Tensor tensor;
  tensor.element = element;
  tensor.shape = given.shape;
  const uint64_t size = artifact::element_bytes(given.type);
  for (uint64_t i = 0; i < given.bytes.size() / size; ++i) {
    uint64_t code = 0;
    std::memcpy(&code, &given.bytes[i * size], size);
    const auto bits = static_cast<int64_t>(code);
    if (tensor.is_float())
      tensor.floats.push_back(reference::bits_to_float(mlir::cast<mlir::FloatType>(element), bits));
    else
      tensor.ints.push_back(reference::wrapped(bits, reference::width_of(element)));
  }
  return tensor;
}

Outcome interpret(const NodeCase &test, const std::string &folder) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.loadDialect<QuernDialect, mlir::func::FuncDialect>();
  const std::string path = folder + "/model.onnx";
  std::ofstream(path, std::ios::binary) << test.model;
  ImportOptions options;
  options.identify = false;
  auto model = import_model(path, options, context);
  if (!model.ok())
    return {absl::StrCat("refused: ", first_line(model.status(), folder)), ""};
  auto main = model->module->lookupSymbol<mlir::func::FuncOp>("main");
  const auto element = [](mlir::Type type) {
    return mlir::cast<mlir::RankedTensorType>(type).getElementType();
  };
  std::vector<reference::Tensor> inputs;
  for (unsigned i = 0; i < main.getNumArguments(); ++i) {
    const auto name = main.getArgAttrOfType<mlir::StringAttr>(i, attrs::kName);
    const auto given = std::ranges::find(test.inputs, name.str(), &CaseTensor::name);
    if (given == test.inputs.end())
      return {absl::StrCat("failed: there is nothing for input ", name.str()), ""};
    inputs.push_back(interpreted(*given, element(main.getArgumentTypes()[i])));
  }
  auto interpreter = reference::Interpreter::create(*model->module);
  if (!interpreter.ok())
    return {absl::StrCat("failed: ", first_line(interpreter.status(), folder)), ""};
  const auto results = (*interpreter)->call("main", inputs);
  if (!results.ok())
    return {absl::StrCat("failed: ", first_line(results.status(), folder)), ""};
  // Numbers are written as the case's, which rounds nothing that was not wrong before.
  std::vector<CaseTensor> got;
  for (const auto &[i, result] : llvm::enumerate(*results)) {
    const auto name =
        main.getResultAttrOfType<mlir::StringAttr>(static_cast<unsigned>(i), attrs::kName);
    const auto want = std::ranges::find(test.outputs, name.str(), &CaseTensor::name);
    if (want == test.outputs.end())
      continue;
    CaseTensor &made = got.emplace_back();
    made = {name.str(), want->type, result.shape, {}};
    const uint64_t size = artifact::element_bytes(want->type);
    for (int64_t k = 0; k < result.count(); ++k) {
      const int64_t bits =
          result.is_float() ? reference::float_to_bits(mlir::cast<mlir::FloatType>(result.element),
                                                       result.floats[static_cast<size_t>(k)])
                            : result.ints[static_cast<size_t>(k)];
      const auto *bytes = reinterpret_cast<const uint8_t *>(&bits);
      made.bytes.insert(made.bytes.end(), bytes, bytes + size);
    }
  }
  return compare(test, got);
}

/// What does not pass: name -> "refused: why", and why it is so, which a person wrote.
struct Exception {
  std::string what, reason;
};
using Exceptions = std::map<std::string, Exception>;

const std::string kReason = "  # ";

absl::StatusOr<Exceptions> read_exceptions(const std::string &path) {
  std::ifstream file(path);
  if (!file)
    return absl::NotFoundError(absl::StrCat(path, ": there is no such file"));
  Exceptions exceptions;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.starts_with('#'))
      continue;
    const size_t colon = line.find(": "), reason = line.find(kReason);
    if (colon == line.npos)
      return absl::InvalidArgumentError(absl::StrCat(path, ": no exception: ", line));
    if (!exceptions
             .emplace(line.substr(0, colon),
                      Exception{line.substr(colon + 2, reason - std::min(reason, colon + 2)),
                                reason == line.npos ? "" : line.substr(reason + kReason.size())})
             .second)
      return absl::InvalidArgumentError(absl::StrCat(path, ": has it twice: ", line));
  }
  return exceptions;
}

bool write_exceptions(const std::string &path, const Exceptions &exceptions) {
  std::ofstream file(path);
  file << "# What does not pass, \"NAME: what it does\". Written by onnx_node_cases --write. "
          "Behind \"#\" "
          "a person says why\n# what is wrong or fails is so and may stay so; a refusal says it "
          "itself.\n";
  for (const auto &[name, exception] : exceptions)
    file << name << ": " << exception.what
         << (exception.reason.empty() ? "" : absl::StrCat(kReason, exception.reason)) << '\n';
  return static_cast<bool>(file.flush());
}

/// Says what is not as the list says. Returns how many that are.
int disagreements(const std::map<std::string, Outcome> &outcomes, const Exceptions &exceptions) {
  int count = 0;
  const auto say = [&](const std::string &name, const std::string &text) {
    ++count;
    std::printf("%s: %s\n", name.c_str(), text.c_str());
  };
  for (const auto &[name, outcome] : outcomes) {
    const auto listed = exceptions.find(name);
    const std::string details = absl::StrCat(outcome.details.empty() ? "" : ": ", outcome.details);
    if (listed == exceptions.end()) {
      if (outcome.what != "passed")
        say(name, absl::StrCat(outcome.what, details));
    } else if (outcome.what == "passed") {
      say(name, absl::StrCat("passes, and is listed as: ", listed->second.what));
    } else if (outcome.what != listed->second.what) {
      say(name, absl::StrCat(outcome.what, details, ", and is listed as: ", listed->second.what));
    } else if (!outcome.what.starts_with("refused: ") && listed->second.reason.empty()) {
      say(name, absl::StrCat("is listed without a reason: ", outcome.what, details));
    }
  }
  for (const auto &[name, exception] : exceptions)
    if (!outcomes.contains(name))
      say(name, "is listed, and there is no such case");
  return count;
}

/// The case that runs, for when it ends the program.
char g_running[256];

void say_which(int signal) {
  constexpr char kText[] = "error: this case ended the program: ";
  (void)!write(2, kText, sizeof kText - 1);
  (void)!write(2, g_running, std::strlen(g_running));
  (void)!write(2, "\n", 1);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

int fail(const absl::Status &status) {
  std::fprintf(stderr, "error: %s\n", std::string(status.message()).c_str());
  return 1;
}

} // namespace

int main(int argc, char **argv) {
  std::vector<std::string> files, only;
  bool write_list = false, by_interpreter = false;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--write")
      write_list = true;
    else if (flag == "--interpret")
      by_interpreter = true;
    else if (flag == "--only" && i + 1 < argc)
      only.emplace_back(argv[++i]);
    else
      files.push_back(flag);
  }
  if (files.size() != 2 || (write_list && !only.empty())) {
    std::fprintf(stderr,
                 "usage: onnx_node_cases CASES EXCEPTIONS [--write] [--only TEXT] [--interpret]\n");
    return 2;
  }
  const auto cases = test::read_node_cases(files[0]);
  if (!cases.ok())
    return fail(cases.status());
  auto exceptions = read_exceptions(files[1]);
  if (!exceptions.ok() && !write_list)
    return fail(exceptions.status());

  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT})
    std::signal(signal, say_which);
  std::string folder = (std::filesystem::temp_directory_path() / "node-cases-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr)
    return fail(absl::UnavailableError(absl::StrCat(folder, ": cannot be made")));
  std::map<std::string, Outcome> outcomes;
  std::map<std::string, int> counts;
  for (const NodeCase &test : *cases) {
    if (!only.empty() && std::ranges::none_of(only, [&](const std::string &text) {
          return test.name.find(text) != test.name.npos;
        }))
      continue;
    std::snprintf(g_running, sizeof g_running, "%s", test.name.c_str());
    const Outcome &outcome = outcomes[test.name] =
        by_interpreter ? interpret(test, folder) : compile_and_call(test, folder);
    ++counts[outcome.what.substr(0, outcome.what.find(':'))];
    if (!only.empty())
      std::printf("%s: %s %s\n", test.name.c_str(), outcome.what.c_str(), outcome.details.c_str());
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  if (outcomes.empty())
    return fail(absl::NotFoundError("there is no such case"));
  for (const auto &[what, count] : counts)
    std::printf("%d %s\n", count, what.c_str());
  if (!only.empty())
    return counts.size() == 1 && counts.contains("passed") ? 0 : 1;
  if (write_list) {
    Exceptions made;
    for (const auto &[name, outcome] : outcomes)
      if (outcome.what != "passed")
        made[name] = {outcome.what, exceptions.ok() && exceptions->contains(name)
                                        ? exceptions->at(name).reason
                                        : ""};
    if (!write_exceptions(files[1], made))
      return fail(absl::UnavailableError(absl::StrCat(files[1], ": cannot be written")));
    exceptions = made;
  }
  const int wrong = disagreements(outcomes, *exceptions);
  if (wrong != 0)
    std::printf("%d cases do not do what %s says\n"
                "hint: run it again with --write, and read what has changed\n",
                wrong, files[1].c_str());
  return wrong == 0 ? 0 : 1;
}
