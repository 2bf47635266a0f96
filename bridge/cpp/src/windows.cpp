#include "latensify/windows.hpp"

#include <algorithm>
#include <cstdint>
#include <string>

#include "latensify/failure.hpp"

namespace latensify {
namespace {

std::int64_t floorDivided(std::int64_t a, std::int64_t b) { return a / b - (a % b != 0 && (a % b < 0) != (b < 0)); }

}  // namespace

std::vector<Window> windowsOf(int frame, int first, int last, int window, int overlap) {
  if (window < 1 || overlap < 0 || overlap > window / 2) {
    throw Failure("bad_parameter", "Overlap " + std::to_string(overlap) + " is more than half of window " +
                                       std::to_string(window) + "; use " + std::to_string(window / 2) + " or less.");
  }
  if (frame < first || frame > last) {
    throw Failure("bad_input", "Frame " + std::to_string(frame) + " lies outside the shot " + std::to_string(first) +
                                   "-" + std::to_string(last) + ".");
  }
  const std::int64_t stride = window - overlap;
  const std::int64_t lowest = -floorDivided(std::int64_t{window} - 1 - frame, stride);
  std::vector<Window> found;
  for (std::int64_t k = lowest; k <= floorDivided(frame, stride); ++k) {
    const std::int64_t start = k * stride;
    found.push_back({k, static_cast<int>(std::max<std::int64_t>(first, start)),
                     static_cast<int>(std::min<std::int64_t>(last, start + window - 1))});
  }
  return found;
}

FrameRange framesOf(int frame, int first, int last, int window, int overlap) {
  const auto found = windowsOf(frame, first, last, window, overlap);
  return {found.front().first, found.back().last};
}

}  // namespace latensify
