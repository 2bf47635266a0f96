// The composite of an edit over the untouched plate. The same rule stands in latensify_bridge/composite.py, and
// tests/golden/composite/ pins both languages to the bit: float32 in the order written, never fused.
#pragma once

#include <cstdint>

namespace latensify {

// Whether an edit shows at a pixel: m is more than 0, and neither it nor a colour of the edit is infinite or NaN.
bool isShown(const float* rgb, float m);

// Lays a row of an edit (`rgb`, straight, and its `matte`; `width` pixels) over a row of the plate (3 or 4 channels).
// m = matte * mix. Where m <= 0 the plate is not touched; where m >= 1 the edit; else s + (e - s) * m.
// Nor is it where the edit is not shown (isShown). A plate's own such values follow the arithmetic.
// On a premultiplied plate the edit is first multiplied by the plate's alpha. Alpha is always the plate's.
void compositeRow(float* plate, int channels, const float* rgb, const float* matte, int width, float mix,
                  bool premultiplied);

// 0..1 to 0..levels (255 or 65535): clamp, times levels, plus a half, cut. NaN becomes 0.
std::uint32_t quantise(float value, std::uint32_t levels);

}  // namespace latensify
