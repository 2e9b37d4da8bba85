// tokenize_bench FOLDER TEXT [ROUNDS]: encodes the file TEXT with the tokenizer of a model's FOLDER
// and prints one JSON object: the best processor seconds of ROUNDS, those to load, the ids' number
// and a hash of them (FNV-1a over their 32 bits).
#include "frontends/hf/TokenizerJson.h"
#include "runtime/text/Tokenizer.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>

namespace {

/// Processor time of this process: on a busy machine the clock on the wall tells of the neighbours.
double cpu_seconds() {
  timespec now = {};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

template <typename T> T value_of(absl::StatusOr<T> result) {
  if (!result.ok()) {
    std::fprintf(stderr, "error: %s\n", result.status().ToString().c_str());
    std::exit(1);
  }
  return *std::move(result);
}

} // namespace

int main(int argc, char **argv) {
  using namespace quern;
  if (argc < 3) {
    std::fprintf(stderr, "usage: tokenize_bench FOLDER TEXT [ROUNDS]\n");
    return 2;
  }
  const auto spec = value_of(hf::load_tokenizer(argv[1]));
  std::ifstream file(argv[2], std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!spec || text.empty()) {
    std::fprintf(stderr, "error: %s has no tokenizer, or %s no text\n", argv[1], argv[2]);
    return 1;
  }
  const std::string stored = text::serialize(*spec); // as the artifact holds it
  double start = cpu_seconds();
  const auto tokenizer = value_of(text::Tokenizer::create(value_of(text::deserialize(stored))));
  const double load = cpu_seconds() - start;
  double best = 1e9;
  uint64_t hash = 0;
  size_t count = 0;
  for (int round = argc > 3 ? std::atoi(argv[3]) : 5; round > 0; --round) {
    start = cpu_seconds();
    const std::vector<int32_t> ids = value_of(tokenizer->encode(text));
    best = std::min(best, cpu_seconds() - start);
    count = ids.size();
    hash = 0xcbf29ce484222325;
    for (int32_t id : ids)
      for (int shift = 0; shift < 32; shift += 8)
        hash = (hash ^ (static_cast<uint32_t>(id) >> shift & 0xff)) * 0x100000001b3;
  }
  std::printf("{\"seconds\": %.6f, \"load\": %.6f, \"tokens\": %zu, \"hash\": \"%016llx\"}\n", best,
              load, count, static_cast<unsigned long long>(hash));
}
