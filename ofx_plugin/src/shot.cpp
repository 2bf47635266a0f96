#include "shot.h"

#include <cmath>
#include <optional>
#include <string>

#include "framing.h"

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

// The frames of an effect without a Source: those of its output, else as many as it lasts.
std::optional<FrameRange> rangeOf(const Clip& clip);

std::optional<FrameRange> sourcelessRange(const Instance& instance) {
  if (const auto range = rangeOf(instance.output)) return range;
  const double lasts = instance.host.of(instance.handle).number(kOfxImageEffectInstancePropEffectDuration, 0);
  if (!(lasts >= 1 && lasts <= kLongestShot)) return std::nullopt;
  return FrameRange{0, numberOf(lasts) - 1};
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
  const bool sourceless = isSourceless(instance);
  const bool temporal = instance.host.temporal || sourceless;
  const auto range = sourceless ? sourcelessRange(instance) : temporal ? rangeOf(instance.source) : std::nullopt;
  if (range && number >= range->first && number <= range->last) {
    return {number + offset, range->first + offset, range->last + offset, snapshot.window, snapshot.overlap, false};
  }
  snapshot.keepToOneFrame();
  return {number + offset, number + offset, number + offset, 1, 0, !temporal};
}

OfxTime timeOf(int frame, OfxTime time, int frameOffset) {
  const int number = frame - frameOffset;
  return number == std::lround(time) ? time : number;
}

}  // namespace latensify::ofx
