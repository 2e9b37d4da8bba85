#include "codegen/artifact/Weights.h"

#include "codegen/artifact/WeightRows.h"
#include "ir/formats/Packing.h"
#include "runtime/artifact/Layout.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <sys/mman.h>
#include <thread>

namespace quern::artifact {
namespace {

using formats::kPanelLanes;

// Packed bytes that are worked on at a time by one thread: small enough that a hundred threads stay
// far below a gigabyte, large enough that taking turns costs nothing.
constexpr int64_t kChunkBytes = 1 << 20;
// Pages of the model's files are given back after so many packed bytes.
constexpr uint64_t kReleaseBytes = 64 << 20;

// "rows" keeps plain float32 rows; anything else is panels of the format's own packing.
bool plain_rows(PackedOp packed) { return packed.getPacking() == "rows"; }

struct Job {
  std::unique_ptr<WeightRows> rows;
  bool plain;
  uint64_t offset; // in the section
  uint64_t bytes;
};

// Consecutive units (rows or panels) of one job.
struct Chunk {
  size_t job;
  int64_t first;
  int64_t count;
};

int64_t units(const Job &job) {
  return job.plain ? job.rows->rows() : formats::Packing::panels(job.rows->rows());
}

int64_t unit_bytes(const Job &job) {
  return job.plain ? job.rows->row_elements() * int64_t{sizeof(float)}
                   : job.rows->format().packing().panel_bytes(job.rows->row_elements());
}

absl::Status pack_panels(const WeightRows &rows, int64_t first, int64_t count, std::byte *dst,
                         formats::ErrorStats &error) {
  const formats::Format &format = rows.format();
  const int64_t panel_bytes = format.packing().panel_bytes(rows.row_elements());
  std::vector<std::byte> encoded(static_cast<size_t>(kPanelLanes * rows.row_bytes()));
  for (int64_t panel = first; panel < first + count; ++panel, dst += panel_bytes) {
    const int64_t row = panel * kPanelLanes;
    const int64_t lanes = std::min<int64_t>(kPanelLanes, rows.rows() - row);
    if (absl::Status status = rows.read(row, lanes, encoded.data(), error); !status.ok())
      return status;
    std::array<const std::byte *, kPanelLanes> lane_rows{};
    for (int64_t lane = 0; lane < lanes; ++lane)
      lane_rows[static_cast<size_t>(lane)] = encoded.data() + lane * rows.row_bytes();
    formats::pack_panel(format, lane_rows, rows.row_elements(), dst);
  }
  return absl::OkStatus();
}

// Threads take chunks in order and compute them at once; what must follow the section's order (the
// checksum, the sums of errors, which error is reported) is done by turns.
class Packer {
public:
  Packer(std::vector<Job> jobs, const weights::WeightStore &store, AtomicFile &file,
         uint64_t file_offset, uint64_t section_bytes, const PackOptions &options)
      : jobs_(std::move(jobs)), store_(store), file_(file), file_offset_(file_offset),
        section_bytes_(section_bytes), options_(options), errors_(jobs_.size()) {
    for (size_t job = 0; job < jobs_.size(); ++job) {
      const int64_t step =
          std::max<int64_t>(1, kChunkBytes / std::max<int64_t>(1, unit_bytes(jobs_[job])));
      for (int64_t first = 0; first < units(jobs_[job]); first += step)
        chunks_.push_back({job, first, std::min(step, units(jobs_[job]) - first)});
    }
  }

  absl::StatusOr<PackedWeights> run() {
    {
      std::vector<std::jthread> threads;
      for (int i = 1; i < options_.threads; ++i)
        threads.emplace_back([this] { work(); });
      work();
    }
    if (!status_.ok())
      return status_;
    pad_to(section_bytes_);
    return PackedWeights{checksum_.value(), std::move(errors_)};
  }

private:
  void work() {
    std::vector<std::byte> buffer;
    for (;;) {
      size_t turn;
      {
        std::lock_guard lock(mutex_);
        if (!status_.ok() || taken_ == chunks_.size())
          return;
        turn = taken_++;
      }
      const Chunk &chunk = chunks_[turn];
      const Job &job = jobs_[chunk.job];
      buffer.resize(static_cast<size_t>(chunk.count * unit_bytes(job)));
      formats::ErrorStats error;
      absl::Status status = compute(job, chunk, buffer.data(), error);
      const uint64_t at = job.offset + static_cast<uint64_t>(chunk.first * unit_bytes(job));
      const std::string_view bytes(reinterpret_cast<const char *>(buffer.data()), buffer.size());
      if (status.ok())
        status = file_.write_at(file_offset_ + at, bytes.data(), bytes.size());

      std::unique_lock lock(mutex_);
      turns_.wait(lock, [&] { return done_ == turn || !status_.ok(); });
      if (!status_.ok())
        return;
      status_ = status;
      if (status.ok()) {
        pad_to(at);
        checksum_.add(bytes.data(), bytes.size());
        summed_ = at + bytes.size();
        errors_[chunk.job].add(error);
        release();
        if (options_.progress)
          options_.progress(summed_);
      }
      ++done_;
      turns_.notify_all();
    }
  }

  static absl::Status compute(const Job &job, const Chunk &chunk, std::byte *dst,
                              formats::ErrorStats &error) {
    if (!job.plain)
      return pack_panels(*job.rows, chunk.first, chunk.count, dst, error);
    return job.rows->read_floats(chunk.first, chunk.count, reinterpret_cast<float *>(dst), error);
  }

  // The zeros between weights, and after the last one.
  void pad_to(uint64_t offset) {
    static constexpr std::array<char, kPageBytes> kZeros{};
    while (summed_ < offset) {
      const uint64_t n = std::min<uint64_t>(offset - summed_, kZeros.size());
      checksum_.add(kZeros.data(), n);
      summed_ += n;
    }
  }

  // Read pages of mapped files count as this process's memory until they are given back. Pages that
  // another thread is reading come back when it touches them.
  void release() {
    if (summed_ - released_ < kReleaseBytes)
      return;
    released_ = summed_;
    for (int i = 0; i < store_.files(); ++i) {
      const auto bytes = store_.file(i).bytes();
      if (!bytes.empty())
        madvise(const_cast<std::byte *>(bytes.data()), bytes.size(), MADV_DONTNEED);
    }
  }

  std::vector<Job> jobs_;
  std::vector<Chunk> chunks_;
  const weights::WeightStore &store_;
  AtomicFile &file_;
  uint64_t file_offset_;
  uint64_t section_bytes_;
  const PackOptions &options_;

  std::mutex mutex_;
  std::condition_variable turns_;
  size_t taken_ = 0;
  size_t done_ = 0;
  uint64_t summed_ = 0;
  uint64_t released_ = 0;
  Checksum checksum_;
  std::vector<formats::ErrorStats> errors_;
  absl::Status status_;
};

absl::Status in_weight(PackedOp packed, const absl::Status &status) {
  return absl::Status(status.code(),
                      absl::StrCat(packed.getSymName().str(), ": ", std::string(status.message())));
}

} // namespace

std::vector<PackedOp> packed_in_order(mlir::ModuleOp planned) {
  std::vector<PackedOp> ops;
  for (auto packed : planned.getOps<PackedOp>())
    ops.push_back(packed);
  std::sort(ops.begin(), ops.end(), [](PackedOp a, PackedOp b) {
    return a.getOffset().value_or(0) < b.getOffset().value_or(0);
  });
  return ops;
}

absl::StatusOr<uint64_t> packed_bytes(PackedOp packed) {
  WeightType type = packed.getType();
  const auto format = formats::require_format(type.getFormat().getValue());
  if (!format.ok())
    return in_weight(packed, format.status());
  int64_t rows = 1;
  for (size_t i = 0; i + 1 < type.getShape().size(); ++i)
    rows *= type.getShape()[i];
  const int64_t inputs = type.getShape().empty() ? 1 : type.getShape().back();
  if (plain_rows(packed))
    return static_cast<uint64_t>(rows * inputs) * sizeof(float);
  const auto packing = formats::parse_packing(packed.getPacking());
  if (!packing.ok())
    return in_weight(packed, packing.status());
  if (*packing != (*format)->packing())
    return absl::InternalError(absl::StrCat(packed.getSymName().str(), ": format ",
                                            (*format)->name(), " is not packed as ",
                                            packed.getPacking().str()));
  return static_cast<uint64_t>(packing->bytes(rows, inputs));
}

absl::StatusOr<PackedWeights> pack_weights(mlir::ModuleOp planned,
                                           const weights::WeightStore &store, AtomicFile &file,
                                           uint64_t file_offset, uint64_t section_bytes,
                                           const PackOptions &options) {
  std::vector<Job> jobs;
  uint64_t end = 0;
  for (PackedOp packed : packed_in_order(planned)) {
    auto yield = mlir::cast<YieldOp>(packed.getBody().front().getTerminator());
    auto rows = weight_rows(yield.getOperand(0), store);
    if (!rows.ok())
      return in_weight(packed, rows.status());
    const auto bytes = packed_bytes(packed);
    if (!bytes.ok())
      return bytes.status();
    // The plan phase promises this; what is written must never depend on its being right.
    const auto offset = static_cast<uint64_t>(packed.getOffset().value_or(-1));
    if (static_cast<uint64_t>(packed.getBytes().value_or(-1)) != *bytes || offset < end ||
        offset > section_bytes || *bytes > section_bytes - offset)
      return absl::InternalError(absl::StrCat(packed.getSymName().str(),
                                              ": its planned place is impossible (offset ", offset,
                                              ", ", *bytes, " bytes)"));
    end = offset + *bytes;
    jobs.push_back({*std::move(rows), plain_rows(packed), offset, *bytes});
  }
  return Packer(std::move(jobs), store, file, file_offset, section_bytes, options).run();
}

PackedRows packed_rows(mlir::ModuleOp planned, const AtomicFile &file, uint64_t file_offset) {
  std::map<std::string, PackedOp> by_name;
  for (auto packed : planned.getOps<PackedOp>())
    by_name[packed.getSymName().str()] = packed;
  return [by_name = std::move(by_name), &file, file_offset](
             const std::string &name, int64_t first, int64_t count, float *out) -> absl::Status {
    const auto found = by_name.find(name);
    if (found == by_name.end())
      return absl::NotFoundError(absl::StrCat("no packed weight is named ", name));
    PackedOp packed = found->second;
    const int64_t inputs = packed.getType().getShape().back();
    const uint64_t begin = file_offset + static_cast<uint64_t>(*packed.getOffset());
    if (plain_rows(packed)) {
      const auto row_bytes = static_cast<uint64_t>(inputs) * sizeof(float);
      return file.read_at(begin + static_cast<uint64_t>(first) * row_bytes, out,
                          static_cast<uint64_t>(count) * row_bytes);
    }
    const auto packing = formats::parse_packing(packed.getPacking());
    if (!packing.ok())
      return packing.status();
    const int64_t first_panel = first / kPanelLanes;
    const int64_t panels = (first + count + kPanelLanes - 1) / kPanelLanes - first_panel;
    std::vector<std::byte> bytes(static_cast<size_t>(panels * packing->panel_bytes(inputs)));
    const auto at = begin + static_cast<uint64_t>(first_panel * packing->panel_bytes(inputs));
    if (absl::Status status = file.read_at(at, bytes.data(), bytes.size()); !status.ok())
      return status;
    formats::rows_from_packed(*packing, bytes.data(), first - first_panel * kPanelLanes, count,
                              inputs, out);
    return absl::OkStatus();
  };
}

} // namespace quern::artifact
