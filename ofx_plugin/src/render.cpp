#include "render.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "edit.h"
#include "fit_shot.h"
#include "framing.h"
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

bool isThumbnail(const Instance& instance, const RenderArgs& args, const Image& picture) {
  return args.thumbnail || picture.bounds.width() < kThumbnailWidth ||
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

// The source as a plate of the canvas: beyond its bounds solid black.
void readPlate(const Image& source, int y, int x1, int width, float* rgba) {
  readRow(source, y, x1, width, rgba);
  const bool inside = y >= source.bounds.y1 && y < source.bounds.y2;
  for (int x = 0; x < width; ++x) {
    if (!inside || x1 + x < source.bounds.x1 || x1 + x >= source.bounds.x2) rgba[4 * x + 3] = 1;
  }
}

// Makes the window of the output the source, and solid black in the margins of the canvas.
void layGround(const Image& source, const Image& output, const Rect& window, const Rect& canvas) {
  copy(source, output, window);
  const Rect target = common(common(window, output.bounds), canvas);
  const Rect shared = common(target, source.bounds);
  if (target.empty() || shared == target) return;
  std::vector<float> row(4 * static_cast<std::size_t>(target.width()), 0.0F);
  for (std::size_t alpha = 3; alpha < row.size(); alpha += 4) row[alpha] = 1;
  for (int y = target.y1; y < target.y2; ++y) {
    const bool beside = !shared.empty() && y >= shared.y1 && y < shared.y2;
    const int left = beside ? shared.x1 : target.x2;
    writeRow(output, y, target.x1, left - target.x1, row.data(), nullptr);
    if (beside) writeRow(output, y, shared.x2, target.x2 - shared.x2, row.data(), nullptr);
  }
}

// Lays the edit of a canvas over the output, which holds the source, within the window.
void layOver(const Edited& edited, const Image& source, const Image& output, const Rect& window, const Rect& canvas,
             float mix) {
  const Box& box = edited.box;
  const int left = canvas.x1 + box.x0;
  const int top = canvas.y2 - box.y0;  // of the box, y upwards
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
    readPlate(source, y, target.x1, target.width(), plate.data());
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
  const Rect canvas = editor.canvasOf(snapshot);
  layGround(source, output, args.window, canvas);
  layOver(edited, source, output, args.window, canvas, static_cast<float>(snapshot.mix));
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
  const bool sourceless = isSourceless(instance);
  const Image source(instance.host, sourceless ? nullptr : instance.source.handle, args.time, "Source");
  if (!sourceless) require(source, "Source", args.time);
  const Image output(instance.host, instance.output.handle, args.time, "Output");
  require(output, "Output", args.time);
  const Rect frame = sourceless ? output.bounds : source.bounds;
  if (isThumbnail(instance, args, sourceless ? output : source) || source.channels == 1 || output.channels == 1) {
    layGround(source, output, args.window, frame);
    return kOfxStatOK;
  }
  const Snapshot snapshot = settledAt(instance, args.time, args.aspect);
  const bool masked = hasMask(instance, snapshot.mask, source.channels == 4);
  const auto reason = passesThrough(instance.effect, snapshot, masked);
  if (!reason) return watched(instance, args, snapshot, source, output);
  if (sourceless && snapshot.mix != 0) {
    throw Failure("bad_parameter", std::string(instance.effect.label) +
                                       " has no Source and no prompt: choose a preset, or type a prompt.");
  }
  layGround(source, output, args.window, grown(frame, marginsOf(instance.effect, snapshot, args.scale)));
  tellPassing(instance, *reason);
  return kOfxStatOK;
}

}  // namespace latensify::ofx
