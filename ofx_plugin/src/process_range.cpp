#include "process_range.h"

#include "edit.h"

namespace latensify::ofx {
namespace {

std::string rangeText(const Shot& shot) { return std::to_string(shot.first) + "-" + std::to_string(shot.last); }

void editAhead(Instance& instance, Editor& editor, OfxTime time, double aspect) {
  const Snapshot snapshot = settledAt(instance, time, aspect);
  const bool sourceless = isSourceless(instance);
  const Image source(instance.host, sourceless ? nullptr : instance.source.handle, time, "Source");
  if (!sourceless) require(source, "Source", time);
  const bool masked = hasMask(instance, snapshot.mask, source.channels == 4);
  if (!passesThrough(instance.effect, snapshot, masked)) editor.edit(time, snapshot, source, false);
}

}  // namespace

void requestRange(Instance& instance) {
  if (!instance.host.temporal && !isSourceless(instance)) {
    instance.messages.answer(
        "This host gives a plugin one frame at a time, so it cannot process a range ahead; use `latensify render " +
        std::string(instance.effect.name) + "` instead.");
    return;
  }
  instance.messages.setStatus("The range will be processed with the next frame.");
  instance.parameters.setProcessRequest(instance.loaded->presses.add());
}

RangeEnd processRange(Instance& instance, const RenderArgs& args) {
  Snapshot snapshot = instance.parameters.at(args.time);
  const Shot shot = shotAt(instance, args.time, snapshot);
  Watch watch(instance, std::string(instance.effect.label) + ", frames " + rangeText(shot), {});
  try {
    const Wait wait = watch.wait();
    auto session = instance.loaded->bridge().session(snapshot.server, wait);
    Editor editor(instance, *session, watch, args.scale, args.aspect);
    const double count = double(shot.last) - shot.first + 1;
    for (int frame = shot.first; frame <= shot.last; ++frame) {
      const int done = frame - shot.first;
      watch.span(done / count, (done + 1) / count);
      watch.check();
      editAhead(instance, editor, timeOf(frame, args.time, snapshot.frameOffset), args.aspect);
    }
  } catch (const Failure& failure) {
    if (failure.code() != "cancelled" || !(watch.aborted() || watch.cancelled())) throw;
    return watch.aborted() ? RangeEnd::kAborted : RangeEnd::kStopped;
  }
  return RangeEnd::kDone;
}

}  // namespace latensify::ofx
