// Order of what the host asks of a device: launches and copies on streams, events, waiting.
//
// Operations of a stream follow each other. Those of different streams are ordered by events, by
// the host's waiting before it asks for the next, and by the legacy stream (number 0), which waits
// for and holds up all others that were not made as non-blocking. An interpreter carries an
// operation out when it is asked for, so what matters is which earlier ones come before the latest.
#ifndef QUERN_TESTS_PTX_MEMORY_STREAMS_H
#define QUERN_TESTS_PTX_MEMORY_STREAMS_H

#include <cstdint>
#include <vector>

namespace quern::ptx::memory {

class Streams {
public:
  using Stream = uint32_t;
  using Operation = uint32_t; ///< from 1
  /// By stream, how many of its operations are known to be done.
  using Known = std::vector<uint32_t>;

  Streams() : streams_(1) {}

  Stream create(bool non_blocking);

  /// A launch or a copy, after all before it on the stream and all that the host has waited for.
  Operation issue(Stream stream);
  /// What an event recorded now stands for.
  Known record(Stream stream) const;
  void wait(Stream stream, const Known &event); ///< a stream waits for an event
  void synchronize(const Known &event);         ///< the host does
  void synchronize(Stream stream) { synchronize(record(stream)); }
  void synchronize_all();

  /// That an operation is done before the latest begins.
  bool is_before_latest(Operation operation) const;
  /// The first that may run beside the latest; the latest itself where it has the device to itself.
  Operation first_beside_latest() const;
  /// That whatever is issued from now on comes after an operation; after all that were issued.
  bool is_past(Operation operation) const;
  bool all_past() const;

private:
  struct Timeline {
    bool non_blocking = false;
    Known known; ///< what its next operation comes after
    std::vector<Operation> issued;
  };
  struct Issued {
    Stream stream;
    uint32_t number; ///< in the stream, from 1
  };

  std::vector<Timeline> streams_;
  std::vector<Issued> operations_;
  Known host_;
  Known latest_;
};

} // namespace quern::ptx::memory

#endif // QUERN_TESTS_PTX_MEMORY_STREAMS_H
