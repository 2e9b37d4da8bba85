// quern-run bench: speed, next to the bounds of the machine it runs on.
#include "runtime/cli/BenchRun.h"
#include "runtime/cli/Model.h"
#include "runtime/cli/Report.h"
#include "runtime/cli/Verbs.h"
#include "runtime/device/cuda/Interpreted.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_split.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace quern::cli {
namespace {

struct BenchOptions {
  ModelOptions model;
  std::string prompt = "512", generate = "128", depth = "0";
  uint64_t batch = 1, repetitions = 5;
  std::string output = "md", model_of;
  bool json = false, ops = false;

  Command command() {
    return {"quern-run bench -m FILE [-p 512] [-n 128] [-d DEPTH] [-b B] [-r 5]",
            "Prefill (pp) and decode (tg) speed, next to what this machine's memory (MBU) and\n"
            "arithmetic (MFU) allow, probed in the same run. -p, -n and -d take lists: 128,512.",
            model.flags() +
                std::vector<Flag>{
                    {"-p, --n-prompt", "N", "prefill tests of N tokens; 0: none", &prompt},
                    {"-n, --n-gen", "N", "decode tests of N tokens; 0: none", &generate},
                    {"-d, --n-depth", "N", "tokens of history before the test", &depth},
                    {"-b, --batch", "B", "sequences at once", &batch},
                    {"-r, --repetitions", "N", "measured repetitions", &repetitions},
                    {"-o, --output", "F", "md, json or csv", &output},
                    {"--ops", "", "each kernel's time, bytes and share of its bound", &ops},
                    {"--model-of", "GPU",
                     "a100 or h100: counts of device ptx, times estimated from them", &model_of},
                    {"--json", "", "the same as -o json", &json}},
            "quern-run bench -m model.quern -p 512 -n 128 -r 5"};
  }
};

absl::StatusOr<std::vector<uint64_t>> parse_list(const char *flag, const std::string &list) {
  std::vector<uint64_t> numbers;
  for (absl::string_view word : absl::StrSplit(list, ',')) {
    uint32_t number;
    if (!absl::SimpleAtoi(word, &number))
      return absl::InvalidArgumentError(
          absl::StrCat(flag, ": '", word, "' is not a number\nhint: ", flag, " 128,512"));
    numbers.push_back(number);
  }
  return numbers;
}

absl::StatusOr<std::vector<BenchTest>> make_tests(const BenchOptions &options) {
  auto prompts = parse_list("-p", options.prompt), generates = parse_list("-n", options.generate),
       depths = parse_list("-d", options.depth);
  for (const auto *list : {&prompts, &generates, &depths})
    if (!list->ok())
      return list->status();
  std::vector<BenchTest> tests;
  for (uint64_t depth : *depths) {
    for (uint64_t tokens : *prompts)
      tests.push_back({true, tokens, depth, options.batch});
    for (uint64_t tokens : *generates)
      tests.push_back({false, tokens, depth, options.batch});
  }
  std::erase_if(tests, [](const BenchTest &test) { return test.tokens == 0; });
  if (options.batch > session::kMaxSlots / 2)
    return absl::InvalidArgumentError(
        absl::StrCat("-b takes 1 to ", session::kMaxSlots / 2, "\nhint: -b 8"));
  if (tests.empty() || options.batch == 0 || options.repetitions == 0)
    return absl::InvalidArgumentError("there is nothing to measure\nhint: -p 512 -n 128 -b 1 -r 5");
  return tests;
}

// Whether the products are of integers: any weight in a format of 8 bits or fewer.
bool is_quantized(const artifact::Manifest &manifest) {
  for (const artifact::Weight *weight : artifact::items(manifest.weights()))
    if (weight->bits_per_weight() > 0 && weight->bits_per_weight() < 10)
      return true;
  return false;
}

nlohmann::ordered_json to_json(const BenchRow &row, session::Engine &engine, int threads) {
  nlohmann::ordered_json json = {{"test", row.test.name()},
                                 {"depth", row.test.depth},
                                 {"batch", row.test.batch},
                                 {"threads", threads},
                                 {"device", std::string(engine.device().name())},
                                 {"variant", engine.variant()},
                                 {"tokens_per_s", row.tokens_per_s},
                                 {"stddev", row.stddev},
                                 {"bytes_per_token", row.bytes_per_token},
                                 {"read_probe_gbps", row.bounds.read_bytes_per_s / 1e9},
                                 {"mbu", row.mbu},
                                 {"ops_probe_gops", row.bounds.ops_per_s / 1e9},
                                 {"mfu", row.mfu},
                                 {"time_to_first_token_s", row.first_token_seconds}};
  for (const KernelRow &kernel : row.kernels)
    json["kernels"].push_back({{"name", kernel.name},
                               {"label", kernel.label},
                               {"calls", kernel.calls},
                               {"seconds", kernel.seconds},
                               {"bytes", kernel.bytes},
                               {"share_of_bound", kernel.share_of_bound}});
  if (!row.kernels.empty()) {
    json["host_seconds"] = row.host_seconds;
    json["seconds"] = row.seconds;
  }
  return json;
}

std::string name_at_depth(const BenchTest &test) {
  return test.depth == 0 ? test.name() : absl::StrCat(test.name(), " @ d", test.depth);
}

// "82%", or nothing where there is no bound to be a share of.
std::string share_of(double bound, double share) {
  return bound > 0 ? absl::StrFormat("%.0f%%", 100 * share) : "";
}

// Where a repetition's time went, as a table of its own.
void print_kernels(const BenchRow &row) {
  std::printf("\n| kernel | of | calls | us a call | share of time | GB/s | share of bound |\n"
              "|---|---|--:|--:|--:|--:|--:|\n");
  double sum = row.host_seconds;
  for (const KernelRow &kernel : row.kernels) {
    sum += kernel.seconds;
    const bool bounded = kernel.share_of_bound >= 0.001;
    std::printf(
        "%s\n",
        absl::StrFormat("| %s | %s | %d | %.1f | %.1f%% | %s | %s |", kernel.name, kernel.label,
                        kernel.calls,
                        kernel.calls ? 1e6 * kernel.seconds / static_cast<double>(kernel.calls) : 0,
                        100 * kernel.seconds / row.seconds,
                        bounded ? absl::StrFormat("%.1f", kernel.bytes / kernel.seconds / 1e9) : "",
                        bounded ? absl::StrFormat("%.0f%%", 100 * kernel.share_of_bound) : "")
            .c_str());
  }
  std::printf(
      "| (host) | before the first kernel | | | %.1f%% | | |\n| all | %s | | | %.1f%% | | |\n\n",
      100 * row.host_seconds / row.seconds, row.test.name().c_str(), 100 * sum / row.seconds);
}

// What the interpreter counted in the measured repetitions, and what it estimates of one.
struct Counted {
  nlohmann::ordered_json kernels; // null: nothing was counted
  double seconds = 0;             // estimated, of a repetition
};

absl::StatusOr<Counted> read_counters(const std::string &gpu, double repetitions) {
  const auto text = device::cuda::interpreted_counters(gpu);
  if (!text.ok())
    return text.status();
  Counted counted{nlohmann::ordered_json::parse(*text)};
  for (const auto &kernel : counted.kernels)
    counted.seconds += kernel.at("launches").get<double>() / repetitions *
                       kernel.at("estimate").at("seconds").get<double>();
  return counted;
}

// Launches are those of a step of the device, on average; what follows them, of one launch.
void print_counters(const BenchOptions &options, const BenchRow &row, const Counted &counted) {
  std::printf(
      "\n| kernel | launches a step | blocks | DRAM KB | sectors / ideal | bank conflicts | "
      "instructions | lanes | estimate us (%s) | bound by |\n"
      "|---|--:|--:|--:|--:|--:|--:|--:|--:|---|\n",
      options.model_of.c_str());
  const double steps = row.steps * static_cast<double>(options.repetitions);
  for (const auto &kernel : counted.kernels) {
    const auto number = [&](const char *key) { return kernel.at(key).get<double>(); };
    const double launches = number("launches");
    const auto &estimate = kernel.at("estimate");
    std::printf(
        "%s\n",
        absl::StrFormat(
            "| %s | %.4g | %.0f | %.1f | %.2f | %.0f-way | %.0f | %.1f | %.2f | %s |",
            kernel.at("kernel").get<std::string>(), launches / steps, number("blocks"),
            (number("distinct_load_bytes") + number("distinct_store_bytes")) / launches / 1e3,
            number("sectors") / std::max(1.0, number("ideal_sectors")), number("worst_conflict"),
            number("warp_instructions") / launches, number("active_lanes"),
            1e6 * estimate.at("seconds").get<double>(), estimate.at("bound").get<std::string>())
            .c_str());
  }
  std::printf("| a step of %s, estimated and not measured: %.1f t/s | | | | | | | | %.2f | |\n\n",
              row.test.name().c_str(), row.tokens() / counted.seconds,
              1e6 * counted.seconds / row.steps);
}

void print_row(const BenchOptions &options, bool first, const BenchRow &row,
               session::Engine &engine, int threads, const Counted &counted) {
  nlohmann::ordered_json json = to_json(row, engine, threads);
  if (!counted.kernels.is_null())
    json["counters"] = {{"model_of", options.model_of},
                        {"repetitions", options.repetitions},
                        {"steps_of_repetition", row.steps},
                        {"estimated_seconds_of_repetition", counted.seconds},
                        {"estimated_tokens_per_s", row.tokens() / counted.seconds},
                        {"kernels", counted.kernels}};
  if (options.output == "json") {
    print_json(json);
  } else if (options.output == "csv") {
    std::string header, line;
    for (const auto &[key, value] : json.items()) {
      absl::StrAppend(&header, header.empty() ? "" : ",", key);
      absl::StrAppend(&line, line.empty() ? "" : ",",
                      value.is_string() ? value.get<std::string>() : value.dump());
    }
    if (first)
      std::printf("%s\n", header.c_str());
    std::printf("%s\n", line.c_str());
  } else {
    const bool interpreted = engine.device().name() == "ptx";
    if (first || options.ops || !counted.kernels.is_null())
      std::printf("| model | size | variant | threads | batch | test | %s | MBU | MFU |\n"
                  "|---|--:|---|--:|--:|--:|--:|--:|--:|\n",
                  interpreted ? "t/s by the interpreter's clock" : "t/s");
    const std::string test = name_at_depth(row.test);
    std::printf("%s\n",
                absl::StrFormat("| %s %s | %s | %s | %d | %d | %s | %.2f ± %.2f | %s | %s |",
                                std::string(artifact::text(engine.manifest().family())),
                                std::string(artifact::text(engine.manifest().source())),
                                session::human_bytes(engine.memory().weights), engine.variant(),
                                threads, row.test.batch, test, row.tokens_per_s, row.stddev,
                                share_of(row.bounds.read_bytes_per_s, row.mbu),
                                share_of(row.bounds.ops_per_s, row.mfu))
                    .c_str());
    if (!row.kernels.empty())
      print_kernels(row);
    if (!counted.kernels.is_null())
      print_counters(options, row, counted);
  }
}

absl::Status bench_model(const BenchOptions &options, std::span<const BenchTest> tests) {
  session::EngineOptions engine_options = options.model.engine();
  for (const BenchTest &test : tests) {
    if (options.model.ctx == 0)
      engine_options.ctx = std::max(engine_options.ctx, test.depth + test.tokens);
    engine_options.needed_ctx = std::max(engine_options.needed_ctx, test.depth + test.tokens);
    engine_options.needed_slots =
        std::max(engine_options.needed_slots, test.batch * (test.depth != 0 ? 2 : 1));
  }
  engine_options.slots = std::max(engine_options.slots, engine_options.needed_slots);
  if (!options.model_of.empty()) {
    // A device of that kind, and of its size where no other is asked for.
    setenv("QUERN_PTX_DEVICE", options.model_of.c_str(), /*overwrite=*/1);
    setenv("QUERN_PTX_SMS", options.model_of == "a100" ? "108" : "132", /*overwrite=*/0);
    if (absl::Status status = device::cuda::count_interpreted(); !status.ok())
      return status;
  }
  auto engine = session::Engine::open(options.model.model, engine_options);
  if (!engine.ok())
    return engine.status();
  if (absl::Status status = (*engine)->check_language_model(); !status.ok())
    return status;
  device::Device &device = (*engine)->device();
  const Bounds bounds{.ops_per_s = device.probe_ops_per_s(is_quantized((*engine)->manifest())),
                      .float_ops_per_s = device.probe_ops_per_s(/*integer=*/false)};
  bool first = true;
  std::string read_probes;
  for (const BenchTest &test : tests) {
    // From the measured repetitions on: what goes before may be launched otherwise.
    auto row = run_bench(**engine, test, options.repetitions, bounds, options.ops, [&] {
      return options.model_of.empty() ? absl::OkStatus() : device::cuda::count_interpreted();
    });
    if (!row.ok())
      return row.status();
    absl::StatusOr<Counted> counted = Counted();
    if (!options.model_of.empty())
      counted = read_counters(options.model_of, static_cast<double>(options.repetitions));
    if (!counted.ok())
      return counted.status();
    print_row(options, first, *row, **engine, device.threads(), *counted);
    if (absl::Status status = flush_output(); !status.ok())
      return status;
    if (row->bounds.read_bytes_per_s > 0)
      absl::StrAppendFormat(&read_probes, "%s%.1f GB/s (%s)", first ? "" : ", ",
                            row->bounds.read_bytes_per_s / 1e9, name_at_depth(test));
    first = false;
  }
  if (options.output == "md" && read_probes.empty())
    say(absl::StrCat("no probes: what device ", std::string(device.name()),
                     " takes is bounded by nothing that can be measured"));
  else if (options.output == "md")
    std::fprintf(stderr, "read probe %s, arithmetic probe %.1f Gop/s\n", read_probes.c_str(),
                 bounds.ops_per_s / 1e9);
  return absl::OkStatus();
}

} // namespace

int bench(Args args) {
  BenchOptions options;
  const Command command = options.command();
  if (auto code = parse(command, args))
    return *code;
  if (auto code = first_mistake({options.model.check()}))
    return *code;
  if (options.json)
    options.output = "json";
  if (options.output != "md" && options.output != "json" && options.output != "csv")
    return wrong_usage(absl::StrCat("-o ", options.output, " is no format"), "-o md, json or csv");
  if (options.ops && options.output == "csv")
    return wrong_usage("csv has one line a test, and --ops is a table for each", "-o json");
  if (!options.model_of.empty() && options.model_of != "a100" && options.model_of != "h100")
    return wrong_usage(absl::StrCat("--model-of ", options.model_of, " is no GPU that is known"),
                       "--model-of a100 or h100");
  if (!options.model_of.empty() && options.model.device != "ptx")
    return wrong_usage("--model-of is of what the interpreter counts", "--device ptx");
  if (!options.model_of.empty() && options.output == "csv")
    return wrong_usage("csv has one line a test, and --model-of is a table for each", "-o json");
  const auto tests = make_tests(options);
  if (!tests.ok())
    return wrong_usage(tests.status());
  const absl::Status status = bench_model(options, *tests);
  return status.ok() ? kDone : fail(status);
}

} // namespace quern::cli
