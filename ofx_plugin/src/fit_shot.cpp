#include "fit_shot.h"

#include <chrono>
#include <thread>

#include "edit.h"

namespace latensify::ofx {
namespace {

const int kMostFrames = 1024;  // as in protocol.py
const std::chrono::milliseconds kPause{50};

std::string rangeText(const Shot& shot) { return std::to_string(shot.first) + "-" + std::to_string(shot.last); }

void checkLength(const Shot& shot) {
  const double count = double(shot.last) - shot.first + 1;
  if (count <= kMostFrames) return;
  throw Failure("bad_input", "A model is fitted to at most " + std::to_string(kMostFrames) + " frames, and this clip has " +
                                 written(count) + "; trim it.");
}

}  // namespace

void requestFit(Instance& instance) {
  if (!instance.host.temporal) {
    instance.messages.answer(
        "This host gives a plugin one frame at a time, so no model can be fitted to the shot here; use "
        "`latensify train shot` instead.");
    return;
  }
  instance.messages.setStatus("A model will be fitted to the shot with the next frame.");
  instance.parameters.choose("fill", "fitted");
  instance.parameters.setFitRequest(instance.loaded->presses.add());
}

RangeEnd fitShot(Instance& instance, const RenderArgs& args) {
  Snapshot snapshot = instance.parameters.at(args.time);
  const Shot shot = shotAt(instance, args.time, snapshot);
  checkLength(shot);
  Watch watch(instance, std::string(instance.effect.label) + ", fitting a model to frames " + rangeText(shot), {});
  try {
    const Image source(instance.host, instance.source.handle, args.time, "Source");
    require(source, "Source", args.time);
    auto session = instance.loaded->bridge().session(snapshot.server, watch.wait());
    Editor(instance, *session, watch, args.scale, args.aspect).fit(args.time, snapshot, shot, source);
  } catch (const Failure& failure) {
    if (failure.code() != "cancelled" || !(watch.aborted() || watch.cancelled())) throw;
    return watch.aborted() ? RangeEnd::kAborted : RangeEnd::kStopped;
  }
  return RangeEnd::kDone;
}

void awaitFit(Instance& instance, int token, Watch& watch) {
  while (instance.loaded->presses.isRunning(token)) {
    watch.check();
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace latensify::ofx
