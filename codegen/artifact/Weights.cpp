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

// What one thread computes and writes at a time: the file from one multiple of this to the next.
// Systems that keep files in huge pages (Linux on x86: 2 MiB) then get each of them in one piece,
// and programs that map the artifact read it as fast as memory of their own (docs/performance.md).
// A hundred threads stay far below a gigabyte.
constexpr uint64_t kWindowBytes = 2 << 20;
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

// A part of the section that lies in one window of the file.
struct Window {
  uint64_t begin;
  uint64_t end;
};

// Consecutive units (rows or panels) of one job.
struct Piece {
  size_t job;
  int64_t first;
  int64_t count;
};

uint64_t unit_bytes(const Job &job) {
  return static_cast<uint64_t>(
      job.plain ? job.rows->row_elements() * int64_t{sizeof(float)}
                : job.rows->format().packing().panel_bytes(job.rows->row_elements()));
}

// Where a unit begins in the section.
uint64_t unit_at(const Job &job, int64_t unit) {
  return job.offset + static_cast<uint64_t>(unit) * unit_bytes(job);
}

absl::Status pack_panels(const WeightRows &rows, int64_t first, int64_t count, std::byte *dst,
                         Findings &findings) {
  const formats::Format &format = rows.format();
  const int64_t panel_bytes = format.packing().panel_bytes(rows.row_elements());
  std::vector<std::byte> encoded(static_cast<size_t>(kPanelLanes * rows.row_bytes()));
  for (int64_t panel = first; panel < first + count; ++panel, dst += panel_bytes) {
    const int64_t of_matrix = formats::Packing::panels(rows.matrix_rows());
    const int64_t at = panel % of_matrix * kPanelLanes;
    const int64_t row = panel / of_matrix * rows.matrix_rows() + at;
    const int64_t lanes = std::min<int64_t>(kPanelLanes, rows.matrix_rows() - at);
    if (absl::Status status = rows.read(row, lanes, encoded.data(), findings); !status.ok())
      return status;
    std::array<const std::byte *, kPanelLanes> lane_rows{};
    for (int64_t lane = 0; lane < lanes; ++lane)
      lane_rows[static_cast<size_t>(lane)] = encoded.data() + lane * rows.row_bytes();
    formats::pack_panel(format, lane_rows, rows.row_elements(), dst);
  }
  return absl::OkStatus();
}

// Threads take windows in order and compute them at once; what must follow the section's order (the
// checksum, what was found, which error is reported) is done by turns.
class Packer {
public:
  Packer(std::vector<Job> jobs, const weights::WeightStore &store, AtomicFile &file,
         uint64_t file_offset, uint64_t section_bytes, const PackOptions &options)
      : jobs_(std::move(jobs)), store_(store), file_(file), file_offset_(file_offset),
        section_bytes_(section_bytes), options_(options), findings_(jobs_.size()) {}

  absl::StatusOr<PackedWeights> run() {
    {
      std::vector<std::jthread> threads;
      for (int i = 1; i < options_.threads; ++i)
        threads.emplace_back([this] { work(); });
      work();
    }
    if (!status_.ok())
      return status_;
    return PackedWeights{checksum_.value(), std::move(findings_)};
  }

private:
  void work() {
    Image image;
    for (;;) {
      Window window;
      {
        std::lock_guard lock(mutex_);
        if (!status_.ok() || taken_ == section_bytes_)
          return;
        window = {taken_, std::min(section_bytes_,
                                   taken_ + kWindowBytes - (file_offset_ + taken_) % kWindowBytes)};
        taken_ = window.end;
      }
      absl::Status status = compute(window, image);
      const std::string_view bytes = image.bytes(window);
      if (status.ok())
        status = file_.write_at(file_offset_ + window.begin, bytes.data(), bytes.size());

      std::unique_lock lock(mutex_);
      turns_.wait(lock, [&] { return done_ == window.begin || !status_.ok(); });
      if (!status_.ok())
        return;
      status_ = status;
      if (status.ok()) {
        checksum_.add(bytes.data(), bytes.size());
        for (size_t i = 0; i < image.pieces.size(); ++i)
          status_.Update(add(image.pieces[i].job, image.findings[i], window.end));
        done_ = window.end;
        release();
        if (options_.progress)
          options_.progress(done_);
      }
      turns_.notify_all();
    }
  }

  // A window's bytes, with the whole of the units that its borders cut.
  struct Image {
    std::vector<std::byte> buffer;
    uint64_t begin = 0; // in the section
    std::vector<Piece> pieces;
    std::vector<Findings> findings; // of each piece

    std::string_view bytes(const Window &window) const {
      return {reinterpret_cast<const char *>(buffer.data()) + (window.begin - begin),
              static_cast<size_t>(window.end - window.begin)};
    }
  };

  absl::Status compute(const Window &window, Image &image) const {
    cover(window, image);
    for (size_t i = 0; i < image.pieces.size(); ++i) {
      auto [number, first, count] = image.pieces[i];
      const Job &job = jobs_[number];
      std::byte *dst = image.buffer.data() + (unit_at(job, first) - image.begin);
      // A unit that a border cuts is computed for both windows, and counted where it begins.
      if (unit_at(job, first) < window.begin) {
        Findings counted;
        if (absl::Status status = compute(job, first, 1, dst, counted); !status.ok())
          return status;
        ++first, --count, dst += unit_bytes(job);
      }
      if (absl::Status status = compute(job, first, count, dst, image.findings[i]); !status.ok())
        return status;
    }
    return absl::OkStatus();
  }

  // Finds the units that lie in the window, and makes the image theirs: zeros so far.
  void cover(const Window &window, Image &image) const {
    image.pieces.clear();
    uint64_t begin = window.begin, end = window.end;
    auto ends_before = [&](const Job &job) { return job.offset + job.bytes <= window.begin; };
    auto job = std::partition_point(jobs_.begin(), jobs_.end(), ends_before);
    for (; job != jobs_.end() && job->offset < window.end; ++job) {
      if (job->bytes == 0)
        continue;
      const uint64_t unit = unit_bytes(*job);
      const auto first =
          static_cast<int64_t>((std::max(window.begin, job->offset) - job->offset) / unit);
      const auto last = static_cast<int64_t>(
          (std::min(window.end, job->offset + job->bytes) - job->offset + unit - 1) / unit);
      image.pieces.push_back({static_cast<size_t>(job - jobs_.begin()), first, last - first});
      begin = std::min(begin, unit_at(*job, first));
      end = std::max(end, unit_at(*job, last));
    }
    image.begin = begin - begin % alignof(std::max_align_t);
    image.buffer.assign(static_cast<size_t>(end - image.begin), std::byte{0});
    image.findings.assign(image.pieces.size(), {});
    for (Findings &findings : image.findings)
      findings.beside = options_.beside;
  }

  static absl::Status compute(const Job &job, int64_t first, int64_t count, std::byte *dst,
                              Findings &findings) {
    if (!job.plain)
      return pack_panels(*job.rows, first, count, dst, findings);
    return job.rows->read_floats(first, count, reinterpret_cast<float *>(dst), findings);
  }

  // Adds what was found in a piece of a job, whose conversions are judged when the last is in.
  absl::Status add(size_t job, const Findings &findings, uint64_t done) {
    findings_[job].add(findings);
    return jobs_[job].offset + jobs_[job].bytes <= done ? check_conversions(findings_[job])
                                                        : absl::OkStatus();
  }

  // Read pages of mapped files count as this process's memory until they are given back. Pages that
  // another thread is reading come back when it touches them.
  void release() {
    if (done_ - released_ < kReleaseBytes)
      return;
    released_ = done_;
    for (int i = 0; i < store_.files(); ++i) {
      const auto bytes = store_.file(i).bytes();
      if (!bytes.empty())
        madvise(const_cast<std::byte *>(bytes.data()), bytes.size(), MADV_DONTNEED);
    }
  }

  std::vector<Job> jobs_;
  const weights::WeightStore &store_;
  AtomicFile &file_;
  uint64_t file_offset_;
  uint64_t section_bytes_;
  const PackOptions &options_;

  std::mutex mutex_;
  std::condition_variable turns_;
  // Of the section's bytes, in order.
  uint64_t taken_ = 0;
  uint64_t done_ = 0;
  uint64_t released_ = 0;
  Checksum checksum_;
  std::vector<Findings> findings_; // of each job
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
  const int64_t matrices = type.getShape().size() == 3 ? type.getShape().front() : 1;
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
  return static_cast<uint64_t>(matrices * packing->bytes(rows / matrices, inputs));
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

absl::StatusOr<std::string> packed_weight(PackedOp packed, const weights::WeightStore &store) {
  auto yield = mlir::cast<YieldOp>(packed.getBody().front().getTerminator());
  auto rows = weight_rows(yield.getOperand(0), store);
  if (!rows.ok())
    return in_weight(packed, rows.status());
  const auto bytes = packed_bytes(packed);
  if (!bytes.ok())
    return bytes.status();
  std::string packed_to(*bytes, '\0');
  Findings findings;
  absl::Status status =
      plain_rows(packed)
          ? (*rows)->read_floats(0, (*rows)->rows(), reinterpret_cast<float *>(packed_to.data()),
                                 findings)
          : pack_panels(**rows, 0,
                        (*rows)->rows() / (*rows)->matrix_rows() *
                            formats::Packing::panels((*rows)->matrix_rows()),
                        reinterpret_cast<std::byte *>(packed_to.data()), findings);
  if (!status.ok())
    return in_weight(packed, status);
  return packed_to;
}

PackedRows packed_rows(mlir::ModuleOp planned, WeightBytes read) {
  std::map<std::string, PackedOp> by_name;
  for (auto packed : planned.getOps<PackedOp>())
    by_name[packed.getSymName().str()] = packed;
  return [by_name = std::move(by_name), read = std::move(read)](
             const std::string &name, int64_t first, int64_t count, float *out) -> absl::Status {
    const auto found = by_name.find(name);
    if (found == by_name.end())
      return absl::NotFoundError(absl::StrCat("no packed weight is named ", name));
    PackedOp packed = found->second;
    const int64_t inputs = packed.getType().getShape().back();
    const auto begin = static_cast<uint64_t>(*packed.getOffset());
    if (plain_rows(packed)) {
      const auto row_bytes = static_cast<uint64_t>(inputs) * sizeof(float);
      return read(begin + static_cast<uint64_t>(first) * row_bytes, out,
                  static_cast<uint64_t>(count) * row_bytes);
    }
    const auto packing = formats::parse_packing(packed.getPacking());
    if (!packing.ok())
      return packing.status();
    // Panels are of one matrix: of three dimensions, of one of the first.
    const auto shape = packed.getType().getShape();
    const int64_t height = shape.size() == 3 ? shape[1] : std::max<int64_t>(1, first + count);
    const int64_t of_matrix = formats::Packing::panels(height);
    while (count > 0) {
      const int64_t row = first % height, here = std::min(count, height - row);
      const int64_t first_panel = row / kPanelLanes;
      const int64_t panels = (row + here + kPanelLanes - 1) / kPanelLanes - first_panel;
      std::vector<std::byte> bytes(static_cast<size_t>(panels * packing->panel_bytes(inputs)));
      const auto at = begin + static_cast<uint64_t>((first / height * of_matrix + first_panel) *
                                                    packing->panel_bytes(inputs));
      if (absl::Status status = read(at, bytes.data(), bytes.size()); !status.ok())
        return status;
      formats::rows_from_packed(*packing, bytes.data(), row - first_panel * kPanelLanes, here,
                                inputs, out);
      out += here * inputs;
      first += here;
      count -= here;
    }
    return absl::OkStatus();
  };
}

PackedRows packed_rows(mlir::ModuleOp planned, const AtomicFile &file, uint64_t file_offset) {
  return packed_rows(planned, [&file, file_offset](uint64_t offset, void *to, uint64_t bytes) {
    return file.read_at(file_offset + offset, to, bytes);
  });
}

} // namespace quern::artifact
