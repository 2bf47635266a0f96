// The Process range button: pressed in the panel, carried out by the next render.
#pragma once

#include "render.h"

namespace latensify::ofx {

// Records the press, and changes a hidden parameter so that the host renders again. Fetches nothing: a fetch here
// stops DaVinci Resolve for good. A host without temporal access is told what to do instead.
void requestRange(Instance& instance);

enum class RangeEnd { kDone, kStopped, kAborted };

// Edits every frame of the clip's range ahead, as background requests; what is done when it is stopped stays done.
RangeEnd processRange(Instance& instance, const RenderArgs& args);

}  // namespace latensify::ofx
