// encode_rows FORMAT COLUMNS: float32 rows from stdin, encoded and decoded again, to stdout; the
// seconds that encoding took, on one core, to stderr. For compare.py.
#include "ir/formats/Format.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

int main(int argc, char **argv) {
  const long columns = argc == 3 ? std::atol(argv[2]) : 0;
  const auto format = quern::formats::require_format(argc == 3 ? argv[1] : "");
  if (!format.ok() || columns < 1) {
    std::fprintf(stderr, "usage: encode_rows FORMAT COLUMNS < rows.f32 > decoded.f32\n");
    return 2;
  }
  std::vector<float> row(static_cast<size_t>(columns));
  std::vector<std::byte> bytes(static_cast<size_t>((*format)->row_bytes(columns)));
  std::chrono::duration<double> seconds{};
  while (std::fread(row.data(), sizeof(float), row.size(), stdin) == row.size()) {
    const auto start = std::chrono::steady_clock::now();
    const absl::Status status = (*format)->encode_row(row.data(), columns, bytes.data());
    seconds += std::chrono::steady_clock::now() - start;
    if (!status.ok()) {
      std::fprintf(stderr, "%s\n", status.ToString().c_str());
      return 1;
    }
    (*format)->decode_row(bytes.data(), columns, row.data());
    std::fwrite(row.data(), sizeof(float), row.size(), stdout);
  }
  std::fprintf(stderr, "%.6f\n", seconds.count());
}
