// The Render action.
#pragma once

#include <optional>
#include <string>

#include "image.h"
#include "instance.h"

namespace latensify::ofx {

struct RenderArgs {
  OfxTime time;
  Rect window;
  double scale;   // for parameters in full-resolution pixels
  double aspect;  // what the scale does to the shape of a pixel
  bool thumbnail;
};

// Why the output is the source: nothing when it is not, an empty sentence when the user wants it so.
std::optional<std::string> passesThrough(const EffectInfo& effect, const Snapshot& snapshot, bool masked);

// Tells the user of such a reason; an empty one takes away what an earlier frame complained of.
void tellPassing(Instance& instance, const std::string& reason);

OfxStatus render(Instance& instance, const PropertySet& inArgs);

}  // namespace latensify::ofx
