// Rows of an image to floats and back, for every depth and component that the plugin takes.
#include <algorithm>
#include <cstring>
#include <vector>

#include "image.h"
#include "latensify/composite.hpp"
#include "latensify/frames.hpp"

namespace latensify::ofx {
namespace {

// Host rows may start at any address: samples are copied, never pointed at.
template <typename Sample>
Sample sampleAt(const std::byte* row, int index) {
  Sample value;
  std::memcpy(&value, row + static_cast<std::size_t>(index) * sizeof(Sample), sizeof(Sample));
  return value;
}

template <typename Sample, typename ToFloat>
void widen(const std::byte* row, int channels, int width, float* rgba, ToFloat toFloat) {
  for (int x = 0; x < width; ++x, rgba += 4) {
    const int at = x * channels;
    for (int c = 0; c < 3; ++c) rgba[c] = channels >= 3 ? toFloat(sampleAt<Sample>(row, at + c)) : 0.0F;
    rgba[3] = channels == 3 ? 1.0F : toFloat(sampleAt<Sample>(row, at + channels - 1));
  }
}

template <typename Sample, typename FromFloat>
void narrow(std::byte* row, int channels, int width, const float* rgba, const float* shown, FromFloat fromFloat) {
  const int first = channels == 1 ? 3 : 0;
  const int count = shown ? std::min(channels, 3) : channels;
  for (int x = 0; x < width; ++x) {
    if (shown && !(shown[x] > 0)) continue;
    for (int c = 0; c < count; ++c) {
      const Sample value = fromFloat(rgba[4 * x + first + c]);
      std::memcpy(row + static_cast<std::size_t>(x * channels + c) * sizeof(Sample), &value, sizeof(Sample));
    }
  }
}

void widenHalves(const std::byte* row, int channels, int width, float* rgba) {
  if (channels == 4 && reinterpret_cast<std::uintptr_t>(row) % alignof(std::uint16_t) == 0) {
    floatsFromHalves(reinterpret_cast<const std::uint16_t*>(row), rgba, 4 * static_cast<std::size_t>(width));
  } else {
    widen<std::uint16_t>(row, channels, width, rgba, floatFromHalf);
  }
}

}  // namespace

void readRow(const Image& image, int y, int x1, int width, float* rgba) {
  std::fill(rgba, rgba + 4 * static_cast<std::ptrdiff_t>(width), 0.0F);
  const Rect shared = common({x1, y, x1 + width, y + 1}, image.bounds);
  if (shared.empty()) return;
  const std::byte* const row = image.pixel(shared.x1, y);
  float* const to = rgba + 4 * static_cast<std::ptrdiff_t>(shared.x1 - x1);
  const int channels = image.channels;
  const int count = shared.width();
  switch (image.depth) {
    case BitDepth::kByte:
      return widen<std::uint8_t>(row, channels, count, to, [](int value) { return float(value) / 255.0F; });
    case BitDepth::kShort:
      return widen<std::uint16_t>(row, channels, count, to, [](int value) { return float(value) / 65535.0F; });
    case BitDepth::kHalf:
      return widenHalves(row, channels, count, to);
    case BitDepth::kFloat:
      return widen<float>(row, channels, count, to, [](float value) { return value; });
  }
}

void unpremultiply(float* rgba, int width) {
  for (int x = 0; x < width; ++x, rgba += 4) {
    if (!(rgba[3] > 0)) continue;
    for (int c = 0; c < 3; ++c) rgba[c] /= rgba[3];
  }
}

void writeRow(const Image& image, int y, int x1, int width, const float* rgba, const float* shown) {
  std::byte* const row = image.pixel(x1, y);
  const int channels = image.channels;
  switch (image.depth) {
    case BitDepth::kByte:
      return narrow<std::uint8_t>(row, channels, width, rgba, shown,
                                  [](float value) { return static_cast<std::uint8_t>(quantise(value, 255)); });
    case BitDepth::kShort:
      return narrow<std::uint16_t>(row, channels, width, rgba, shown,
                                   [](float value) { return static_cast<std::uint16_t>(quantise(value, 65535)); });
    case BitDepth::kHalf:
      return narrow<std::uint16_t>(row, channels, width, rgba, shown, halfFromFloat);
    case BitDepth::kFloat:
      return narrow<float>(row, channels, width, rgba, shown, [](float value) { return value; });
  }
}

void toFrame(const Image& image, const Rect& frame, std::uint16_t* halves) {
  const auto samples = 4 * static_cast<std::size_t>(frame.width());
  std::vector<float> row(samples);
  for (int y = frame.y2 - 1; y >= frame.y1; --y, halves += samples) {
    readRow(image, y, frame.x1, frame.width(), row.data());
    if (image.premultiplied) unpremultiply(row.data(), frame.width());
    halvesFromFloats(row.data(), halves, samples);
  }
}

}  // namespace latensify::ofx
