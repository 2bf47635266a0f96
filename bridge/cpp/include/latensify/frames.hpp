// Pixels on the wire: what a frame is, how it is named, half floats. The same rules stand in latensify_bridge/frames.py.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace latensify {

enum class Depth { kHalf, kFloat };

inline std::size_t sampleBytes(Depth depth) { return depth == Depth::kHalf ? 2 : 4; }
inline const char* depthName(Depth depth) { return depth == Depth::kHalf ? "half" : "float"; }

// Rows from top to bottom without gaps; 4 channels are straight RGBA in the plate's own colour space, 1 is a matte.
struct FrameSpec {
  int width;
  int height;
  int channels;
  Depth depth;
  std::size_t bytes() const {
    return static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * static_cast<std::size_t>(channels) *
           sampleBytes(depth);
  }
};

// A rectangle of a frame, from its left and its top, in pixels. Empty where nothing is edited.
struct Box {
  int x0;
  int y0;
  int width;
  int height;
  // The bytes of a result in this box: RGB, then the matte.
  std::size_t bytes(Depth depth) const { return FrameSpec{width, height, 4, depth}.bytes(); }
};

// A frame's name: XXH3-128 of a line that gives its spec, then of its bytes. 32 hexadecimal digits.
std::string frameName(const FrameSpec& spec, const void* data);

// Nearest even; what half cannot hold becomes its largest number (65504), NaN becomes 0.
std::uint16_t halfFromFloat(float value);
float floatFromHalf(std::uint16_t half);

// The same for `count` numbers, with the processor's own instructions where it has them.
void halvesFromFloats(const float* from, std::uint16_t* to, std::size_t count);
void floatsFromHalves(const std::uint16_t* from, float* to, std::size_t count);

}  // namespace latensify
