// Ranges become windows. The same rule stands in latensify_bridge/windows.py, and tests/golden/windows.json pins both.
#pragma once

#include <cstdint>
#include <vector>

namespace latensify {

// Frames first..last (inclusive) that are edited together; `index` counts windows from absolute frame 0.
struct Window {
  std::int64_t index;
  int first;
  int last;
};

struct FrameRange {
  int first;
  int last;
};

// The one or two windows that hold `frame` of the shot first..last, in order.
// Throws bad_parameter unless 0 <= overlap <= window / 2, bad_input unless first <= frame <= last.
std::vector<Window> windowsOf(int frame, int first, int last, int window, int overlap);

// Every source frame that the windows of `frame` need.
FrameRange framesOf(int frame, int first, int last, int window, int overlap);

}  // namespace latensify
