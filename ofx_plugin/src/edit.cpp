#include "edit.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "mask.h"

namespace latensify::ofx {
namespace {

const int kRowsAtOnce = 128;  // an abort is asked for between them: a large frame takes long to convert
const int kResends = 2;  // the server may let frames go between sending and asking

std::uint16_t* asHalves(std::byte* bytes) { return reinterpret_cast<std::uint16_t*>(bytes); }

FrameSpec specOf(const Rect& frame, int channels) { return {frame.width(), frame.height(), channels, Depth::kHalf}; }

}  // namespace

bool hasMask(const Instance& instance, const MaskSettings& settings, bool sourceHasAlpha) {
  if (settings.source == "none") return false;
  if (settings.source == "source_alpha") return sourceHasAlpha;
  return settings.source != "clip" || instance.mask.connected();
}

void require(const Image& image, const char* what, OfxTime time) {
  if (image) return;
  throw Failure("bad_input", "The host gave no picture of " + std::string(what) + " for frame " + written(time) +
                                 "; check that the clip covers that frame.");
}

Edited Editor::edit(OfxTime time, Snapshot snapshot, const Image& source, bool interactive) {
  const Shot shot = shotAt(instance_, time, snapshot);
  if (!(source.bounds == frame_)) names_.clear();
  frame_ = source.bounds;
  EditRequest request;
  request.effect = instance_.effect.name;
  request.params = snapshot.edit;
  request.frame = shot.frame;
  request.first = shot.first;
  request.last = shot.last;
  request.renderScale = scale_;
  request.pixelAspect = source.pixelAspect * aspect_;
  request.interactive = interactive;
  request.lone = shot.lone;
  request.width = frame_.width();
  request.height = frame_.height();
  for (int resends = 0;; ++resends) {
    request.sources = send(shot, time, snapshot, source);
    try {
      return session_.edit(request, snapshot.timeoutS, watch_.wait());
    } catch (const Failure& failure) {
      if (failure.code() != "frame_missing" || resends == kResends) throw;
      names_.clear();
    }
  }
}

std::vector<SourceName> Editor::send(const Shot& shot, OfxTime time, const Snapshot& snapshot, const Image& source) {
  const bool masked = hasMask(instance_, snapshot.mask, source.channels == 4);
  std::vector<SourceName> sources;
  const FrameRange needed = shot.needed();
  for (int frame = needed.first; frame <= needed.last; ++frame) {
    watch_.check();
    auto known = names_.find(frame);
    if (known == names_.end()) {
      const OfxTime at = timeOf(frame, time, snapshot.frameOffset);
      const bool own = frame == shot.frame;
      const Image fetched(instance_.host, own ? nullptr : instance_.source.handle, at, "Source");
      if (!own) require(fetched, "Source", at);
      known = names_.emplace(frame, sendOne(frame, at, masked, own ? source : fetched)).first;
    }
    sources.push_back(known->second);
  }
  return sources;
}

SourceName Editor::sendOne(int frame, OfxTime at, bool masked, const Image& source) {
  const auto fill = [&](std::byte* bytes) {
    std::uint16_t* halves = asHalves(bytes);
    for (int top = frame_.y2; top > frame_.y1; top -= kRowsAtOnce) {
      watch_.check();
      const Rect rows{frame_.x1, std::max(frame_.y1, top - kRowsAtOnce), frame_.x2, top};
      toFrame(source, rows, halves);
      halves += std::size_t{4} * static_cast<std::size_t>(rows.width()) * static_cast<std::size_t>(rows.height());
    }
  };
  SourceName name{frame, session_.send(specOf(frame_, 4), fill, watch_.wait()), ""};
  if (masked) name.mask = sendMask(at, source);
  return name;
}

std::string Editor::sendMask(OfxTime at, const Image& source) {
  const MaskSettings settings = instance_.parameters.maskAt(at);
  const bool fromClip = settings.source == "clip";
  const Image mask(instance_.host, fromClip ? instance_.mask.handle : nullptr, at, "Mask");
  if (fromClip) {
    require(mask, "Mask", at);
    checkFits(source, mask);
  }
  const auto fill = [&](std::byte* bytes) {
    toMatte(settings, frame_, source, fromClip ? &mask : nullptr, asHalves(bytes));
  };
  return session_.send(specOf(frame_, 1), fill, watch_.wait());
}

}  // namespace latensify::ofx
