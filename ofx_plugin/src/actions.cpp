#include "actions.h"

#include "describe.h"
#include "edit.h"
#include "fit_shot.h"
#include "process_range.h"

namespace latensify::ofx {
namespace {

const std::string kSource = kOfxImageEffectSimpleSourceClipName;

bool regionOf(const Instance& instance, const Clip& clip, OfxTime time, OfxRectD& region) {
  return clip.handle && instance.host.effects->clipGetRegionOfDefinition(clip.handle, time, &region) == kOfxStatOK;
}

void setRegion(const PropertySet& set, const char* name, const OfxRectD& region) {
  const double edges[] = {region.x1, region.y1, region.x2, region.y2};
  for (int i = 0; i < 4; ++i) set.set(name, edges[i], i);
}

void showStatusIfNew(Instance& instance) {
  const std::string text = instance.messages.takeNewStatus();
  if (!text.empty()) instance.parameters.setStatus(text);
}

}  // namespace

OfxStatus isIdentity(Instance& instance, const PropertySet& in, const PropertySet& out) {
  const OfxTime time = in.number(kOfxPropTime, 0);
  const std::string components = instance.source.properties.text(kOfxImageEffectPropComponents);
  const Snapshot snapshot = instance.parameters.at(time);
  const bool masked = hasMask(instance, snapshot.mask, components == kOfxImageComponentRGBA);
  const auto reason = passesThrough(instance.effect, snapshot, masked);
  if (!reason && components != kOfxImageComponentAlpha) return kOfxStatReplyDefault;
  if (reason) tellPassing(instance, *reason);
  out.set(kOfxPropName, kSource.c_str());
  out.set(kOfxPropTime, time);
  return kOfxStatOK;
}

OfxStatus clipPreferences(Instance& instance, const PropertySet&, const PropertySet& out) {
  const PropertySet& source = instance.source.properties;
  const std::string components = source.text(kOfxImageEffectPropComponents);
  if (components.empty() || components == kOfxImageComponentNone) return kOfxStatReplyDefault;
  out.set((std::string("OfxImageClipPropComponents_") + kOfxImageEffectOutputClipName).c_str(), components.c_str());
  const std::string premultiplication = source.text(kOfxImageEffectPropPreMultiplication);
  if (!premultiplication.empty()) out.set(kOfxImageEffectPropPreMultiplication, premultiplication.c_str());
  return kOfxStatOK;
}

OfxStatus regionOfDefinition(Instance& instance, const PropertySet& in, const PropertySet& out) {
  OfxRectD region;
  if (!regionOf(instance, instance.source, in.number(kOfxPropTime, 0), region)) return kOfxStatReplyDefault;
  setRegion(out, kOfxImageEffectPropRegionOfDefinition, region);
  return kOfxStatOK;
}

OfxStatus regionsOfInterest(Instance& instance, const PropertySet& in, const PropertySet& out) {
  OfxRectD region;
  const OfxTime time = in.number(kOfxPropTime, 0);
  if (!regionOf(instance, instance.source, time, region)) return kOfxStatReplyDefault;
  setRegion(out, ("OfxImageClipPropRoI_" + kSource).c_str(), region);
  if (instance.mask.connected()) {
    setRegion(out, (std::string("OfxImageClipPropRoI_") + kMaskClip).c_str(), region);
  }
  return kOfxStatOK;
}

OfxStatus framesNeeded(Instance& instance, const PropertySet& in, const PropertySet& out) {
  const OfxTime time = in.number(kOfxPropTime, 0);
  Snapshot snapshot = instance.parameters.at(time);
  const Shot shot = shotAt(instance, time, snapshot);
  Presses& presses = instance.loaded->presses;
  const bool all =
      presses.waits(instance.parameters.processRequest()) || presses.waits(instance.parameters.fitRequest());
  const FrameRange needed = all ? FrameRange{shot.first, shot.last} : shot.needed();
  const double first = timeOf(needed.first, time, snapshot.frameOffset);
  const double last = timeOf(needed.last, time, snapshot.frameOffset);
  const auto ask = [&](const std::string& clip) {
    out.set(("OfxImageClipPropFrameRange_" + clip).c_str(), first, 0);
    out.set(("OfxImageClipPropFrameRange_" + clip).c_str(), last, 1);
  };
  ask(kSource);
  if (instance.mask.connected()) ask(kMaskClip);
  return kOfxStatOK;
}

OfxStatus instanceChanged(Instance& instance, const PropertySet& in, const PropertySet&) {
  if (in.text(kOfxPropChangeReason) != kOfxChangeUserEdited) return kOfxStatReplyDefault;
  if (in.text(kOfxPropName) == kProcessParam) requestRange(instance);
  if (in.text(kOfxPropName) == kFitParam) requestFit(instance);
  showStatusIfNew(instance);
  return kOfxStatOK;
}

OfxStatus showStatus(Instance& instance, const PropertySet&, const PropertySet&) {
  showStatusIfNew(instance);
  return kOfxStatOK;
}

}  // namespace latensify::ofx
