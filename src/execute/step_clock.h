#pragma once
// How long a device computes steps, and how long it stands still between them, by its own clock.

#include <limits>

#include "execute/executor.h"
#include "kernels/cuda/cuda_backend.h"

namespace pagoda::execute {

// Steps are numbered from 0 in the order of submission, and collected in it.
class StepClock {
 public:
  explicit StepClock(kernels::CudaBackend& cuda) : cuda_(cuda) {}

  // From step `next` on; what was before it does not count as idle.
  void start(std::int64_t next) {
    first_ = next;
    end_ = kNever;
  }
  void stop(std::int64_t next) { end_ = next; }

  // Around what is enqueued for a step.
  void begin(std::int64_t step) {
    if (is_timed(step)) cuda_.mark_time(point(step, 0));
  }
  void end(std::int64_t step) {
    if (is_timed(step)) cuda_.mark_time(point(step, 1));
  }
  // The step is over, and its successor at most is under way.
  void collect(std::int64_t step) {
    if (!is_timed(step)) return;
    total_.busy_seconds += cuda_.seconds_between(point(step, 0), point(step, 1));
    if (step > first_) total_.idle_seconds += cuda_.seconds_between(point(step - 1, 1), point(step, 0));
  }
  const DeviceTime& total() const { return total_; }

 private:
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
  bool is_timed(std::int64_t step) const { return step >= first_ && step < end_; }
  // Those of a step are kept until the step behind it is collected, when one more may be under way.
  static int point(std::int64_t step, int edge) {
    constexpr std::int64_t kSteps = Executor::kMaxInFlight + 1;
    static_assert(2 * kSteps <= kernels::CudaBackend::kTimePoints);
    return static_cast<int>(2 * (step % kSteps)) + edge;
  }

  kernels::CudaBackend& cuda_;
  std::int64_t first_ = kNever, end_ = kNever;
  DeviceTime total_;
};

}  // namespace pagoda::execute
