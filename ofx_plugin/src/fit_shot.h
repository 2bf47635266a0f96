// The Fit to shot button: pressed in the panel, carried out by the next render, like Process range.
#pragma once

#include "process_range.h"
#include "watch.h"

namespace latensify::ofx {

// Records the press, and chooses the fitted model in the panel. Fetches nothing (see requestRange).
void requestFit(Instance& instance);

// Fits a model to the clip's whole range. A fit that is stopped goes on from there when it is asked for again.
RangeEnd fitShot(Instance& instance, const RenderArgs& args);

// Waits while another render of the process carries out the press, so that no frame is made without the fit meanwhile.
void awaitFit(Instance& instance, int token, Watch& watch);

}  // namespace latensify::ofx
