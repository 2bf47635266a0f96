// Asks the server for edits of an instance's frames, within one action.
#pragma once

#include <map>

#include "framing.h"
#include "image.h"
#include "instance.h"
#include "shot.h"
#include "watch.h"

namespace latensify::ofx {

// Whether there is a matte where the settings say. A connected Mask counts: when it gives no picture, the frame fails,
// since without its matte an edit would go where it must not.
bool hasMask(const Instance& instance, const MaskSettings& settings, bool sourceHasAlpha);

// Throws Failure("bad_input") naming the clip and the time when the host has no picture there.
void require(const Image& image, const char* what, OfxTime time);

class Editor {
 public:
  // `aspect`: what the render scale does to the shape of a pixel.
  Editor(Instance& instance, Session& session, Watch& watch, double renderScale, double aspect)
      : instance_(instance),
        session_(session),
        watch_(watch),
        scale_(renderScale),
        aspect_(aspect),
        sourceless_(isSourceless(instance)) {}

  // Fits a model to every frame of a shot, with the settings of the snapshot. `source` is the picture at `time`.
  void fit(OfxTime time, const Snapshot& snapshot, const Shot& shot, const Image& source);

  // The edit of the frame at `time`, whose picture is `source` (none where the effect has no Source); its data is valid
  // until the next call.
  Edited edit(OfxTime time, Snapshot snapshot, const Image& source, bool interactive);

  // What the box of the latest edit lies on: the frame with its margins.
  Rect canvasOf(const Snapshot& snapshot) const;

 private:
  void begin(const Image& source);
  std::vector<SourceName> send(const Shot& shot, FrameRange needed, OfxTime time, const Snapshot& snapshot, const Image& source);
  SourceName sendOne(int frame, OfxTime at, bool masked, const Image& source);
  std::string sendMask(OfxTime at, const Image& source);

  Instance& instance_;
  Session& session_;
  Watch& watch_;
  const double scale_, aspect_;
  const bool sourceless_;
  Rect frame_;                       // what is sent: the bounds of the source, or without one the project's
  std::map<int, SourceName> names_;  // what has been sent in this action
};

}  // namespace latensify::ofx
