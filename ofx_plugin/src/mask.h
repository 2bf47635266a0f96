// The matte of a frame: from the Mask clip, the source's alpha, or a box.
#pragma once

#include <cstdint>

#include "image.h"
#include "parameters.h"

namespace latensify::ofx {

// Throws Failure("bad_input") when a Mask's pixels cannot be laid over the source's one to one.
void checkFits(const Image& source, const Image& mask);

// `frame` of a matte as a frame of the wire: one channel, half, 0..1, from the top down. `maskImage` is used where the
// settings say clip, and is 0 outside its bounds.
void toMatte(const MaskSettings& settings, const Rect& frame, const Image& source, const Image* maskImage,
             std::uint16_t* halves);

}  // namespace latensify::ofx
