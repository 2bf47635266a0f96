// The shot that a frame belongs to, in frame numbers: the host's time, rounded, plus the frame offset.
#pragma once

#include "instance.h"
#include "latensify/windows.hpp"

namespace latensify::ofx {

struct Shot {
  int frame;
  int first, last;
  int window, overlap;
  bool lone = false;  // the host can give no other frame
  FrameRange needed() const { return framesOf(frame, first, last, window, overlap); }
};

// The shot around a time. Where the host gives one frame at a time, or says no usable range, it is that one frame;
// the snapshot's window then says so too. Throws Failure("bad_input") for a time that is no frame number.
Shot shotAt(const Instance& instance, OfxTime time, Snapshot& snapshot);

// The time to fetch a frame of the shot at: for the frame of `time` itself, exactly that time.
OfxTime timeOf(int frame, OfxTime time, int frameOffset);

}  // namespace latensify::ofx
