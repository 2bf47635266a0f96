#include "latensify/composite.hpp"

#include <cmath>

namespace latensify {

bool isShown(const float* rgb, float m) {
  return m > 0 && std::isfinite(m) && std::isfinite(rgb[0]) && std::isfinite(rgb[1]) && std::isfinite(rgb[2]);
}

void compositeRow(float* plate, int channels, const float* rgb, const float* matte, int width, float mix,
                  bool premultiplied) {
  for (int x = 0; x < width; ++x, plate += channels, rgb += 3) {
    const float m = matte[x] * mix;
    if (!isShown(rgb, m)) continue;
    for (int c = 0; c < 3; ++c) {
      const float e = premultiplied && channels == 4 ? rgb[c] * plate[3] : rgb[c];
      plate[c] = m >= 1 ? e : plate[c] + (e - plate[c]) * m;
    }
  }
}

std::uint32_t quantise(float value, std::uint32_t levels) {
  const float clamped = value > 0 ? (value < 1 ? value : 1.0F) : 0.0F;  // NaN compares false
  return static_cast<std::uint32_t>(clamped * static_cast<float>(levels) + 0.5F);
}

}  // namespace latensify
