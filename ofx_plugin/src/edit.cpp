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
const int kResends = 2;

std::uint16_t* asHalves(std::byte* bytes) { return reinterpret_cast<std::uint16_t*>(bytes); }

FrameSpec specOf(const Rect& frame, int channels) { return {frame.width(), frame.height(), channels, Depth::kHalf}; }

// The server may let frames go between sending and asking: then all `sent` is forgotten, and sent again.
template <typename Ask>
auto resending(std::map<int, SourceName>& sent, const Ask& ask) {
  for (int resends = 0;; ++resends) {
    try {
      return ask();
    } catch (const Failure& failure) {
      if (failure.code() != "frame_missing" || resends == kResends) throw;
      sent.clear();
    }
  }
}

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
  settleShot(instance_.effect, shot, snapshot);
  begin(source);
  const Rect canvas = canvasOf(snapshot);
  EditRequest request;
  request.effect = instance_.effect.name;
  request.params = snapshot.edit;
  request.frame = shot.frame;
  request.first = shot.first;
  request.last = shot.last;
  request.renderScale = scale_;
  request.pixelAspect = (sourceless_ ? outputAspect(instance_) : source.pixelAspect) * aspect_;
  request.interactive = interactive;
  request.lone = shot.lone;
  request.width = canvas.width();
  request.height = canvas.height();
  return resending(names_, [&] {
    request.sources = send(shot, shot.needed(), time, snapshot, source);
    return session_.edit(request, snapshot.timeoutS, watch_.wait());
  });
}

void Editor::fit(OfxTime time, const Snapshot& snapshot, const Shot& shot, const Image& source) {
  begin(source);
  FitRequest request{instance_.effect.name, snapshot.edit, {}, scale_};
  resending(names_, [&] {
    request.sources = send(shot, {shot.first, shot.last}, time, snapshot, source);
    return session_.fit(request, watch_.wait());
  });
}

// All frames of one request have the bounds of its own picture.
void Editor::begin(const Image& source) {
  const Rect frame = sourceless_ ? projectFrame(instance_, scale_, aspect_) : source.bounds;
  if (!(frame == frame_)) names_.clear();
  frame_ = frame;
}

Rect Editor::canvasOf(const Snapshot& snapshot) const {
  return grown(frame_, marginsOf(instance_.effect, snapshot, scale_));
}

std::vector<SourceName> Editor::send(const Shot& shot, FrameRange needed, OfxTime time, const Snapshot& snapshot, const Image& source) {
  const bool masked = hasMask(instance_, snapshot.mask, source.channels == 4);
  std::vector<SourceName> sources;
  for (int frame = needed.first; frame <= needed.last; ++frame) {
    watch_.check();
    auto known = names_.find(frame);
    if (known == names_.end()) {
      const OfxTime at = timeOf(frame, time, snapshot.frameOffset);
      const bool own = frame == shot.frame;
      const bool blank = own || sourceless_;  // without a Source, a frame of zeros stands for each
      const Image fetched(instance_.host, blank ? nullptr : instance_.source.handle, at, "Source");
      if (!blank) require(fetched, "Source", at);
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
