#include "runtime/device/cuda/Probe.h"

#include "runtime/device/cuda/Kernels.h"

#include <algorithm>
#include <array>

namespace quern::device::cuda {
namespace {

// Four 16-byte loads of a thread are under way at a time, the warps' side by side. The sum is only
// there so that the loads are made.
constexpr const char *kReadPtx = R"(.version 7.4
.target sm_80
.address_size 64
.visible .entry quern_probe_read(.param .u64 from, .param .u64 count, .param .u64 to)
{
  .reg .pred %p<4>;
  .reg .b32 %r<32>;
  .reg .b64 %d<16>;
  ld.param.u64 %d0, [from];
  ld.param.u64 %d1, [count];
  ld.param.u64 %d2, [to];
  cvta.to.global.u64 %d0, %d0;
  cvta.to.global.u64 %d2, %d2;
  mov.u32 %r0, %ctaid.x;
  mov.u32 %r1, %ntid.x;
  mov.u32 %r2, %tid.x;
  mov.u32 %r3, %nctaid.x;
  mul.wide.u32 %d3, %r0, %r1;
  cvt.u64.u32 %d4, %r2;
  add.s64 %d3, %d3, %d4;
  mul.wide.u32 %d5, %r3, %r1;
  shl.b64 %d6, %d5, 4;
  shl.b64 %d7, %d3, 4;
  add.s64 %d8, %d0, %d7;
  mul.lo.s64 %d9, %d5, 3;
  mov.u32 %r4, 0;
FOUR:
  add.s64 %d10, %d3, %d9;
  setp.ge.s64 %p0, %d10, %d1;
  @%p0 bra ONE;
  add.s64 %d11, %d8, %d6;
  add.s64 %d12, %d11, %d6;
  add.s64 %d13, %d12, %d6;
  ld.global.v4.u32 {%r8, %r9, %r10, %r11}, [%d8];
  ld.global.v4.u32 {%r12, %r13, %r14, %r15}, [%d11];
  ld.global.v4.u32 {%r16, %r17, %r18, %r19}, [%d12];
  ld.global.v4.u32 {%r20, %r21, %r22, %r23}, [%d13];
  xor.b32 %r8, %r8, %r9;
  xor.b32 %r10, %r10, %r11;
  xor.b32 %r12, %r12, %r13;
  xor.b32 %r14, %r14, %r15;
  xor.b32 %r16, %r16, %r17;
  xor.b32 %r18, %r18, %r19;
  xor.b32 %r20, %r20, %r21;
  xor.b32 %r22, %r22, %r23;
  xor.b32 %r8, %r8, %r10;
  xor.b32 %r12, %r12, %r14;
  xor.b32 %r16, %r16, %r18;
  xor.b32 %r20, %r20, %r22;
  xor.b32 %r8, %r8, %r12;
  xor.b32 %r16, %r16, %r20;
  xor.b32 %r8, %r8, %r16;
  add.s32 %r4, %r4, %r8;
  add.s64 %d8, %d13, %d6;
  add.s64 %d3, %d10, %d5;
  bra.uni FOUR;
ONE:
  setp.ge.s64 %p1, %d3, %d1;
  @%p1 bra DONE;
  ld.global.v4.u32 {%r8, %r9, %r10, %r11}, [%d8];
  xor.b32 %r8, %r8, %r9;
  xor.b32 %r10, %r10, %r11;
  xor.b32 %r8, %r8, %r10;
  add.s32 %r4, %r4, %r8;
  add.s64 %d8, %d8, %d6;
  add.s64 %d3, %d3, %d5;
  bra.uni ONE;
DONE:
  setp.ne.s32 %p2, %r4, 1234567891;
  @%p2 bra END;
  st.global.u32 [%d2], %r4;
END:
  ret;
}
)";

// Eight products of a warp that do not wait for each other, again and again. Inputs are zeros of
// both kinds: their values do not change how long it takes.
constexpr const char *kOpsHead = R"(.version 7.4
.target sm_80
.address_size 64
.visible .entry quern_probe_ops(.param .u64 rounds, .param .u64 unused, .param .u64 to)
{
  .reg .pred %p<3>;
  .reg .b32 %a<4>;
  .reg .b32 %b<2>;
  .reg .b32 %r<2>;
  .reg .b32 %c<32>;
  .reg .f32 %f<32>;
  .reg .b64 %d<2>;
  ld.param.u64 %d0, [rounds];
  ld.param.u64 %d1, [to];
  cvta.to.global.u64 %d1, %d1;
  cvt.u32.u64 %r0, %d0;
  mov.u32 %a0, 0;
  mov.u32 %a1, 0;
  mov.u32 %a2, 0;
  mov.u32 %a3, 0;
  mov.u32 %b0, 0;
  mov.u32 %b1, 0;
)";

constexpr int kChains = 8;
constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;

std::string ops_ptx(bool integer) {
  const std::string reg = integer ? "%c" : "%f";
  std::string text = kOpsHead;
  auto accumulator = [&](int i) { return reg + std::to_string(i); };
  for (int i = 0; i < 4 * kChains; ++i)
    text += integer ? "  mov.u32 " + accumulator(i) + ", 0;\n"
                    : "  mov.f32 " + accumulator(i) + ", 0f00000000;\n";
  text += "ROUND:\n";
  for (int chain = 0; chain < kChains; ++chain) {
    std::string four;
    for (int i = 0; i < 4; ++i)
      four += (i ? ", " : "{") + accumulator(4 * chain + i);
    four += "}";
    text += integer ? "  mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 "
                    : "  mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 ";
    text += four + ", {%a0, %a1, %a2, %a3}, {%b0, %b1}, " + four + ";\n";
  }
  text += "  sub.s32 %r0, %r0, 1;\n  setp.ne.s32 %p0, %r0, 0;\n  @%p0 bra ROUND;\n";
  for (int i = 1; i < 4 * kChains; ++i)
    text += (integer ? "  add.s32 " : "  add.rn.f32 ") + accumulator(0) + ", " + accumulator(0) +
            ", " + accumulator(i) + ";\n";
  text += integer ? "  setp.eq.s32 %p1, %c0, 0;\n" : "  setp.eq.f32 %p1, %f0, 0f00000000;\n";
  text += "  @%p1 bra END;\n  st.global.";
  text += (integer ? "u32 [%d1], %c0" : "f32 [%d1], %f0");
  return text + ";\nEND:\n  ret;\n}\n";
}

// A kernel of three numbers, launched again and again; events around each.
class Probe {
public:
  static absl::StatusOr<Probe> create(const std::shared_ptr<const Gpu> &gpu, Stream stream,
                                      const std::string &name, const std::string &ptx) {
    Probe probe;
    probe.gpu_ = gpu;
    probe.stream_ = stream;
    auto module = load_module(gpu, {name, ptx.c_str(), {}}, /*only_ptx=*/true);
    if (!module.ok())
      return module.status();
    probe.module_ = *std::move(module);
    auto kernel = load_kernel(*gpu, probe.module_.get(), name, 0, kThreads);
    if (!kernel.ok())
      return kernel.status();
    probe.kernel_ = *std::move(kernel);
    auto sink = allocate(gpu, sizeof(uint64_t), "a probe");
    if (!sink.ok())
      return sink.status();
    probe.sink_ = *std::move(sink);
    for (OwnedEvent *event : {&probe.begin_, &probe.end_}) {
      auto made = make_event(gpu, /*timed=*/true);
      if (!made.ok())
        return made.status();
      *event = *std::move(made);
    }
    return probe;
  }

  absl::Status launch(uint64_t first, uint64_t second) {
    std::array<uint64_t, 3> numbers = {first, second, sink_.get()};
    std::array<void *, 3> parameters = {&numbers[0], &numbers[1], &numbers[2]};
    return gpu_->status(gpu_->driver().launch(kernel_.function, kernel_.resident, 1, 1, kThreads, 1,
                                              1, 0, stream_, parameters.data(), nullptr),
                        kernel_.name);
  }
  absl::Status begin() { return record(begin_); }
  /// Seconds since begin.
  absl::StatusOr<double> end() {
    if (absl::Status status = record(end_); !status.ok())
      return status;
    float milliseconds = 0;
    for (const Result result :
         {gpu_->driver().event_synchronize(end_.get()),
          gpu_->driver().event_elapsed(&milliseconds, begin_.get(), end_.get())})
      if (result != kSuccess)
        return gpu_->driver().status(result, kernel_.name);
    return milliseconds * 1e-3;
  }
  uint32_t blocks() const { return kernel_.resident; }

private:
  absl::Status record(const OwnedEvent &event) {
    return gpu_->status(gpu_->driver().event_record(event.get(), stream_), kernel_.name);
  }

  std::shared_ptr<const Gpu> gpu_;
  Stream stream_ = nullptr;
  OwnedModule module_;
  Kernel kernel_;
  OwnedMemory sink_;
  OwnedEvent begin_, end_;
};

constexpr int kPasses = 5;

} // namespace

absl::StatusOr<double> probe_read(const std::shared_ptr<const Gpu> &gpu, Stream stream,
                                  DevicePtr at, uint64_t bytes, DevicePtr more,
                                  uint64_t more_bytes) {
  constexpr uint64_t kLoad = 16;
  auto probe = Probe::create(gpu, stream, "quern_probe_read", kReadPtx);
  if (!probe.ok())
    return probe.status();
  const auto read = static_cast<double>(bytes / kLoad * kLoad + more_bytes / kLoad * kLoad);
  double best = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    if (absl::Status status = probe->begin(); !status.ok())
      return status;
    for (const auto &[from, count] : {std::pair{at, bytes}, std::pair{more, more_bytes}})
      if (count >= kLoad)
        if (absl::Status status = probe->launch(from, count / kLoad); !status.ok())
          return status;
    const auto seconds = probe->end();
    if (!seconds.ok())
      return seconds.status();
    if (*seconds > 0)
      best = std::max(best, read / *seconds);
  }
  return best;
}

absl::StatusOr<double> probe_ops(const std::shared_ptr<const Gpu> &gpu, Stream stream,
                                 bool integer) {
  auto probe = Probe::create(gpu, stream, "quern_probe_ops", ops_ptx(integer));
  if (!probe.ok())
    return probe.status();
  // About 10 ms on an A100: 108 multiprocessors of 1024 multiply-adds of bfloat16 a cycle.
  constexpr uint64_t kRounds = 20000;
  const double products = static_cast<double>(kRounds) * kChains * kWarps * probe->blocks();
  const double ops = products * 2 * 16 * 8 * (integer ? 32 : 16);
  double best = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    if (absl::Status status = probe->begin(); !status.ok())
      return status;
    if (absl::Status status = probe->launch(kRounds, 0); !status.ok())
      return status;
    const auto seconds = probe->end();
    if (!seconds.ok())
      return seconds.status();
    if (*seconds > 0)
      best = std::max(best, ops / *seconds);
  }
  return best;
}

} // namespace quern::device::cuda
