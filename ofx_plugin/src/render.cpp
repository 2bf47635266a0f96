#include "render.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "edit.h"
#include "fit_shot.h"
#include "latensify/composite.hpp"
#include "process_range.h"

namespace latensify::ofx {
namespace {

const int kThumbnailWidth = 64;  // no model runs for a picture narrower than this
const std::chrono::milliseconds kQuietWait{300};
const char* const kUntouched = "The output is the source.";

RenderArgs readArgs(const PropertySet& in) {
  const double x = in.number(kOfxImageEffectPropRenderScale, 1, 0);
  const double y = in.number(kOfxImageEffectPropRenderScale, 1, 1);
  const double scale = x > 0 && x <= 16 ? x : 1;
  return {in.number(kOfxPropTime, 0), readRect(in, kOfxImageEffectPropRenderWindow), scale, y > 0 ? y / scale : 1,
          in.integer(kOfxImageEffectPropThumbnailRender, 0) != 0};
}

bool isThumbnail(const Instance& instance, const RenderArgs& args, const Image& source) {
  return args.thumbnail || source.bounds.width() < kThumbnailWidth ||
         instance.source.properties.integer(kOfxImageClipPropThumbnail, 0) != 0;
}

void floatsAt(const Edited& edited, std::size_t index, std::vector<float>& values) {
  const std::byte* const at = edited.data + index * sampleBytes(edited.depth);
  if (edited.depth == Depth::kFloat) {
    std::memcpy(values.data(), at, values.size() * sizeof(float));
    return;
  }
  std::vector<std::uint16_t> halves(values.size());
  std::memcpy(halves.data(), at, values.size() * sizeof(std::uint16_t));
  floatsFromHalves(halves.data(), values.data(), values.size());
}

// The part that the edit has in each pixel: 0 where it is not shown, so that the pixel stays the source's.
void mixed(const std::vector<float>& rgb, float mix, std::vector<float>& matte) {
  for (std::size_t x = 0; x < matte.size(); ++x) {
    const float m = matte[x] * mix;
    matte[x] = isShown(&rgb[3 * x], m) ? m : 0;
  }
}

// Lays the edit over the output, which holds the source, within the window.
void layOver(const Edited& edited, const Image& source, const Image& output, const Rect& window, float mix) {
  const Box& box = edited.box;
  const int left = source.bounds.x1 + box.x0;
  const int top = source.bounds.y2 - box.y0;  // of the box, y upwards
  const Rect target = common(common(window, output.bounds), {left, top - box.height, left + box.width, top});
  if (target.empty()) return;
  const auto width = static_cast<std::size_t>(target.width());
  std::vector<float> plate(4 * width);
  std::vector<float> rgb(3 * width);
  std::vector<float> matte(width);
  const auto area = static_cast<std::size_t>(box.width) * static_cast<std::size_t>(box.height);
  for (int y = target.y1; y < target.y2; ++y) {
    const auto row = static_cast<std::size_t>(top - 1 - y) * static_cast<std::size_t>(box.width);
    const std::size_t start = row + static_cast<std::size_t>(target.x1 - left);
    floatsAt(edited, 3 * start, rgb);
    floatsAt(edited, 3 * area + start, matte);
    mixed(rgb, mix, matte);
    readRow(source, y, target.x1, target.width(), plate.data());
    compositeRow(plate.data(), 4, rgb.data(), matte.data(), target.width(), 1, source.premultiplied);
    writeRow(output, y, target.x1, target.width(), plate.data(), matte.data());
  }
}

std::string outcome(int frame, const Edited& edited) {
  std::string text = "Frame " + std::to_string(frame) + ": " + edited.model;
  text += edited.cached ? ", from the cache" : ", " + written(std::round(edited.seconds * 10) / 10) + " s";
  return edited.note.empty() ? text : text + ". " + edited.note;
}

void renderEdit(Instance& instance, const RenderArgs& args, const Snapshot& snapshot, const Image& source,
                const Image& output, Watch& watch) {
  const Wait wait = watch.wait();
  auto session = instance.loaded->bridge().session(snapshot.server, wait);
  Editor editor(instance, *session, watch, args.scale, args.aspect);
  const Edited edited = editor.edit(args.time, snapshot, source, true);
  copy(source, output, args.window);
  layOver(edited, source, output, args.window, static_cast<float>(snapshot.mix));
  const int frame = static_cast<int>(std::lround(args.time)) + snapshot.frameOffset;
  instance.messages.succeed(outcome(frame, edited));
}

// What was pressed in the panel comes before the frame.
RangeEnd carryOutPresses(Instance& instance, const RenderArgs& args, Watch& watch) {
  Presses& presses = instance.loaded->presses;
  const int fit = instance.parameters.fitRequest();
  if (const Taken taken{presses, fit}) {
    if (fitShot(instance, args) == RangeEnd::kAborted) return RangeEnd::kAborted;
  }
  awaitFit(instance, fit, watch);
  if (const Taken taken{presses, instance.parameters.processRequest()}) return processRange(instance, args);
  return RangeEnd::kDone;
}

// A host that has aborted looks at nothing more; a user who stops at the progress display gets a failed frame.
OfxStatus watched(Instance& instance, const RenderArgs& args, const Snapshot& snapshot, const Image& source,
                  const Image& output) {
  const std::string label = std::string(instance.effect.label) + ", frame " + written(args.time);
  Watch watch(instance, label, kQuietWait);
  try {
    if (carryOutPresses(instance, args, watch) == RangeEnd::kAborted) return kOfxStatOK;
    renderEdit(instance, args, snapshot, source, output, watch);
    return kOfxStatOK;
  } catch (const Failure& failure) {
    if (failure.code() != "cancelled" || !(watch.aborted() || watch.cancelled())) throw;
    instance.messages.setStatus(label + " was stopped.");
    return watch.aborted() ? kOfxStatOK : kOfxStatFailed;
  }
}

}  // namespace

std::optional<std::string> passesThrough(const EffectInfo& effect, const Snapshot& snapshot, bool masked) {
  if (snapshot.changesNothing) return "";
  if (masked || !effect.needsMask) return std::nullopt;
  return std::string(effect.label) +
         " needs a matte and has none: choose one under 'Mask from', and connect the Mask input if that is chosen.";
}

void tellPassing(Instance& instance, const std::string& reason) {
  if (reason.empty()) {
    instance.messages.succeed(kUntouched);
  } else {
    instance.messages.warn(reason);
  }
}

OfxStatus render(Instance& instance, const PropertySet& inArgs) {
  const RenderArgs args = readArgs(inArgs);
  const Image source(instance.host, instance.source.handle, args.time, "Source");
  require(source, "Source", args.time);
  const Image output(instance.host, instance.output.handle, args.time, "Output");
  require(output, "Output", args.time);
  if (isThumbnail(instance, args, source) || source.channels == 1 || output.channels == 1) {
    copy(source, output, args.window);
    return kOfxStatOK;
  }
  const Snapshot snapshot = instance.parameters.at(args.time);
  const bool masked = hasMask(instance, snapshot.mask, source.channels == 4);
  const auto reason = passesThrough(instance.effect, snapshot, masked);
  if (!reason) return watched(instance, args, snapshot, source, output);
  copy(source, output, args.window);
  tellPassing(instance, *reason);
  return kOfxStatOK;
}

}  // namespace latensify::ofx
