// How far a long job is, on a terminal's last line; and how long its parts took.
#ifndef QUERN_COMPILER_DRIVER_PROGRESS_H
#define QUERN_COMPILER_DRIVER_PROGRESS_H

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace quern::driver {

class Progress {
public:
  /// Draws only if `wanted` and stderr is a terminal.
  explicit Progress(bool wanted);
  /// Clears the line.
  ~Progress();
  Progress(const Progress &) = delete;
  Progress &operator=(const Progress &) = delete;

  /// A new part begins; the one before it ends.
  void part(const std::string &name);
  /// How much of the part is done, in [0, 1]. Cheap enough to call often.
  void done(double fraction);
  /// A step of the part took so long. Steps of one name are counted together.
  void step(std::string_view name, double seconds);
  /// The last part ends.
  void finish();

  /// Prints a line on stderr, above the bar.
  void say(const std::string &line);
  /// Prints a table of the parts, their steps of note and their seconds on stderr.
  void print_timing() const;

private:
  using Clock = std::chrono::steady_clock;
  struct Step {
    std::string name;
    double seconds = 0;
  };
  struct Part : Step {
    std::vector<Step> steps;
  };
  void draw(double fraction);
  void clear();

  bool draws_;
  bool drawn_ = false;
  bool running_ = false;
  Clock::time_point begun_;
  Clock::time_point shown_;
  std::vector<Part> parts_;
};

} // namespace quern::driver

#endif // QUERN_COMPILER_DRIVER_PROGRESS_H
