// Decoded code: what warps execute.
//
// A function's registers, and the constants in its code, lie in a frame: arrays of 32 lanes of 2, 4
// or 8 bytes, and masks of 32 bits for predicates. An instruction names them by their offsets.
// Registers that are never live together share a place (Registers.cpp).
#ifndef QUERN_TESTS_PTX_PROGRAM_H
#define QUERN_TESTS_PTX_PROGRAM_H

#include "tests/ptx/Syntax.h"

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace quern::ptx {

struct Warp;
struct Instr;
struct Function;

/// A bit a lane.
using Mask = u32;
constexpr Mask kAllLanes = ~Mask{0};
constexpr int kLanes = 32;

/// Executes an instruction for the lanes in the mask, of which there is at least one.
using Handler = void (*)(Warp &, const Instr &, Mask);

/// Orders of a memory access, weakest first, and whom they reach.
enum class Order : u8 {
  Weak,
  Volatile,
  Relaxed,
  Acquire,
  Release,
  AcquireRelease,
  SequentiallyConsistent
};
enum class Scope : u8 { None, Cta, Cluster, Gpu, System };

/// How a result that is no number of its type becomes one.
enum class Round : u8 { Nearest, Zero, Down, Up };

struct alignas(64) Instr {
  Handler fn = nullptr;
  u32 guard = 0;  ///< offset of the guard's mask; of the mask of all ones without one
  u32 flip = 0;   ///< all ones where the guard is negated
  u32 o[14] = {}; ///< offsets of operands, results first
  i64 imm = 0;    ///< an offset in bytes, or what the form keeps here
  u32 target = 0;
  u32 reconvergence = 0; ///< of a branch: where its ways meet; the end of the code if nowhere
  int line = 0;
  Space space = Space::Generic;
  u8 bytes = 0; ///< of an element in memory
  u8 count = 1; ///< elements a lane
  u8 sub = 0;   ///< what the form keeps here
  Order order = Order::Weak;
  Scope scope = Scope::None;
  bool read_only = false;    ///< ld.global.nc
  bool asynchronous = false; ///< done by another than the thread
  bool narrow = false;       ///< the address is of 32 bits
  u32 area_bytes = 0; ///< a lane's bytes of the parameter in the frame that is accessed; 0: none
  union {
    const void *aux = nullptr; ///< a Call, a table of targets
    void (*function)();        ///< what a form does with a part of its work
  };
  const char *name = "";
};

/// Where a call's arguments come from and go to. Parameters of functions lie in frames, lane after
/// lane.
struct Call {
  std::string name;
  const Function *callee = nullptr;
  struct Passed {
    u32 offset;
    u32 bytes; ///< a lane
  };
  std::vector<Passed> arguments, results;
};

struct Formal {
  std::string name;
  u32 offset = 0; ///< of an entry: in the parameters of a launch; of a function: in its frame
  u32 bytes = 0;
};

struct Function {
  std::string name;
  bool entry = false;
  std::vector<Instr> code;
  std::deque<Call> calls;
  std::deque<std::string> names;           ///< of opcodes
  std::deque<std::vector<u32>> tables;     ///< of brx.idx
  std::vector<std::shared_ptr<void>> kept; ///< what instructions point to
  u32 frame_bytes = 0;
  std::vector<u8> constants; ///< the frame's first bytes
  std::vector<Formal> parameters, results;
  u32 parameter_bytes = 0;
  u32 static_shared = 0; ///< bytes, of an entry
  u32 max_threads = 1024;
  u32 required[3] = {0, 0, 0};
  u32 min_blocks = 0; ///< of a multiprocessor, that registers are left for; 0: not said
  u32 registers = 0;  ///< bytes a thread
};

/// The frame's first words: a mask of all ones, then room for results that nobody wants.
constexpr u32 kAllOnes = 0;
constexpr u32 kSink = 64;
constexpr u32 kFirstConstant = kSink + 256;

struct Module {
  int version = 0, target = 0;
  bool arch_specific = false;
  std::map<std::string, std::unique_ptr<Function>, std::less<>> functions;
  u32 shared_bytes = 0; ///< static
  u32 local_bytes = 0;  ///< a thread
  struct Placed {
    u64 address;
    u64 bytes;
  };
  std::map<std::string, Placed, std::less<>> globals; ///< variables in the device's memory
};

} // namespace quern::ptx

#endif // QUERN_TESTS_PTX_PROGRAM_H
