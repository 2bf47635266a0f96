// Where an edited frame lies, and what is settled before anything is asked: the margins of an effect whose output is
// larger than its source, and the shot of one that has no source. latensify_bridge/framing.py is the same rule.
#pragma once

#include <optional>

#include "image.h"
#include "instance.h"

namespace latensify::ofx {

struct Shot;

// Pixels beyond each edge of a frame.
struct Margins {
  int left = 0, right = 0, top = 0, bottom = 0;
};

// Whether an effect that works without its Source has none.
bool isSourceless(const Instance& instance);

// The parameters at a time, with the aspect settled into margins and the Source left out where there is none. `aspect`
// is what the render scale does to the shape of a pixel: margins are whole numbers at the scale of the rows.
Snapshot settledAt(const Instance& instance, OfxTime time, double aspect = 1);

// Settles a move over the whole shot.
void settleShot(const EffectInfo& effect, const Shot& shot, Snapshot& snapshot);

// Margins at a render scale; none of an effect whose output is as large as its source. Rounded up, so that the host's
// own rounding of the larger frame never reaches beyond them.
Margins marginsOf(const EffectInfo& effect, const Snapshot& snapshot, double scale);

Rect grown(const Rect& frame, const Margins& margins);

// The host's project in canonical coordinates; nothing where it does not say.
std::optional<OfxRectD> projectRegion(const Instance& instance);

// The shape of the output's pixels.
double outputAspect(const Instance& instance);

// The frame of an effect without a Source: the project's, in pixels at a scale. Throws Failure("bad_input") where the
// host does not say.
Rect projectFrame(const Instance& instance, double scale, double aspect);

}  // namespace latensify::ofx
