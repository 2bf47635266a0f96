#include "mask.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "latensify/failure.hpp"
#include "latensify/frames.hpp"

namespace latensify::ofx {
namespace {

// The box in pixels of the frame, from the top left: from the pixel whose centre it passes first to the last.
Rect boxOf(const MaskSettings& settings, const Rect& frame) {
  const auto edge = [](double part, int size) {
    return static_cast<int>(std::floor(std::clamp(part, 0.0, 1.0) * size + 0.5));
  };
  return {edge(settings.x, frame.width()), edge(settings.y, frame.height()),
          edge(settings.x + settings.width, frame.width()), edge(settings.y + settings.height, frame.height())};
}

void alphaOf(const Image& image, int y, const Rect& frame, bool luminance, std::vector<float>& rgba, float* matte) {
  readRow(image, y, frame.x1, frame.width(), rgba.data());
  for (int x = 0; x < frame.width(); ++x) {
    const float* const p = &rgba[4 * static_cast<std::size_t>(x)];
    matte[x] = luminance ? 0.2126F * p[0] + 0.7152F * p[1] + 0.0722F * p[2] : p[3];
  }
}

void finish(float* matte, int width, bool invert) {
  for (int x = 0; x < width; ++x) {
    const float inside = matte[x] > 0 ? std::min(matte[x], 1.0F) : 0.0F;  // NaN too
    matte[x] = invert ? 1.0F - inside : inside;
  }
}

}  // namespace

void checkFits(const Image& source, const Image& mask) {
  const auto near = [](double a, double b) { return std::abs(a - b) <= 1e-3 * std::max(a, b); };
  if (!near(source.scaleX, mask.scaleX) || !near(source.scaleY, mask.scaleY)) {
    throw Failure("bad_input", "The host gave Mask at scale " + written(mask.scaleX) + " and Source at scale " +
                                   written(source.scaleX) + "; give both the same proxy setting.");
  }
  if (!near(source.pixelAspect, mask.pixelAspect)) {
    throw Failure("bad_input", "Mask has pixels of aspect " + written(mask.pixelAspect) + " and Source of " +
                                   written(source.pixelAspect) + "; reformat the mask to the source.");
  }
}

void toMatte(const MaskSettings& settings, const Rect& frame, const Image& source, const Image* maskImage,
             std::uint16_t* halves) {
  const Image& from = maskImage ? *maskImage : source;
  // A mask without alpha can only mean its picture; one of alpha alone has no picture.
  const bool luminance = maskImage && from.channels != 1 && (from.channels == 3 || settings.channel == "luminance");
  const Rect box = boxOf(settings, frame);
  const auto width = static_cast<std::size_t>(frame.width());
  std::vector<float> rgba(4 * width);
  std::vector<float> matte(width);
  for (int row = 0; row < frame.height(); ++row, halves += width) {
    if (settings.source == "box") {
      std::fill(matte.begin(), matte.end(), 0.0F);
      const bool inside = row >= box.y1 && row < box.y2 && box.x2 > box.x1;
      if (inside) std::fill(matte.begin() + box.x1, matte.begin() + box.x2, 1.0F);
    } else {
      alphaOf(from, frame.y2 - 1 - row, frame, luminance, rgba, matte.data());
    }
    finish(matte.data(), frame.width(), settings.invert);
    halvesFromFloats(matte.data(), halves, width);
  }
}

}  // namespace latensify::ofx
