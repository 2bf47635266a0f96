#include "shot.h"

#include <cmath>
#include <optional>
#include <string>

namespace latensify::ofx {
namespace {

const double kLastTime = 1e9;
const double kLongestShot = 1e6;  // frames; hosts say "endless" with numbers beyond

int numberOf(OfxTime time) {
  if (!(std::abs(time) <= kLastTime)) {
    throw Failure("bad_input", "The host asked for time " + written(time) + ", which is no frame of a shot.");
  }
  return static_cast<int>(std::lround(time));
}

std::optional<FrameRange> rangeOf(const Clip& source) {
  if (source.properties.dimension(kOfxImageEffectPropFrameRange) < 2) return std::nullopt;
  const double first = source.properties.number(kOfxImageEffectPropFrameRange, 0, 0);
  const double last = source.properties.number(kOfxImageEffectPropFrameRange, -1, 1);
  const bool usable = std::abs(first) <= kLastTime && std::abs(last) <= kLastTime && last >= first;
  if (!usable || last - first > kLongestShot) return std::nullopt;
  return FrameRange{numberOf(first), numberOf(last)};
}

}  // namespace

Shot shotAt(const Instance& instance, OfxTime time, Snapshot& snapshot) {
  const int number = numberOf(time);
  const int offset = snapshot.frameOffset;
  const auto range = instance.host.temporal ? rangeOf(instance.source) : std::nullopt;
  if (range && number >= range->first && number <= range->last) {
    return {number + offset, range->first + offset, range->last + offset, snapshot.window, snapshot.overlap, false};
  }
  snapshot.keepToOneFrame();
  return {number + offset, number + offset, number + offset, 1, 0, !instance.host.temporal};
}

OfxTime timeOf(int frame, OfxTime time, int frameOffset) {
  const int number = frame - frameOffset;
  return number == std::lround(time) ? time : number;
}

}  // namespace latensify::ofx
