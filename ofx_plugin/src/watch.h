// Watches the host while the plugin waits: polls its abort, shows its progress display.
#pragma once

#include <chrono>
#include <string>

#include "instance.h"

namespace latensify::ofx {

class Watch {
 public:
  // The display comes up once the wait has lasted for `delay`, so that what is ready at once does not flash it.
  Watch(Instance& instance, std::string label, std::chrono::milliseconds delay);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  Wait wait();
  // The next waits are the part `from`..`to` of the whole.
  void span(double from, double to);
  // Throws Failure("cancelled") when the host or the user wants an end.
  void check();

  bool aborted() const { return aborted_; }      // by the host, which will not look at the frame
  bool cancelled() const { return cancelled_; }  // by the user, at the progress display

 private:
  bool goOn(double fraction);
  void show(double fraction);

  Instance& instance_;
  const std::string label_;
  const std::chrono::steady_clock::time_point due_;
  bool showing_ = false;
  bool aborted_ = false;
  bool cancelled_ = false;
  double from_ = 0, to_ = 1;
};

}  // namespace latensify::ofx
