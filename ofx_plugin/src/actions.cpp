#include "actions.h"

#include "describe.h"
#include "edit.h"
#include "fit_shot.h"
#include "framing.h"
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

// A generated frame is opaque, and another at every time.
OfxStatus sourcelessPreferences(const PropertySet& out) {
  const std::string components = std::string("OfxImageClipPropComponents_") + kOfxImageEffectOutputClipName;
  out.set(components.c_str(), kOfxImageComponentRGBA);
  out.set(kOfxImageEffectPropPreMultiplication, kOfxImageOpaque);
  out.set(kOfxImageEffectFrameVarying, 1);
  return kOfxStatOK;
}

void showStatusIfNew(Instance& instance) {
  const std::string text = instance.messages.takeNewStatus();
  if (!text.empty()) instance.parameters.setStatus(text);
}

}  // namespace

OfxStatus isIdentity(Instance& instance, const PropertySet& in, const PropertySet& out) {
  const OfxTime time = in.number(kOfxPropTime, 0);
  const std::string components = instance.source.properties.text(kOfxImageEffectPropComponents);
  if (isSourceless(instance)) return kOfxStatReplyDefault;
  const Snapshot snapshot = settledAt(instance, time);
  const bool masked = hasMask(instance, snapshot.mask, components == kOfxImageComponentRGBA);
  const auto reason = passesThrough(instance.effect, snapshot, masked);
  if (!reason && components != kOfxImageComponentAlpha) return kOfxStatReplyDefault;
  if (reason) tellPassing(instance, *reason);
  out.set(kOfxPropName, kSource.c_str());
  out.set(kOfxPropTime, time);
  return kOfxStatOK;
}

OfxStatus clipPreferences(Instance& instance, const PropertySet&, const PropertySet& out) {
  if (isSourceless(instance)) return sourcelessPreferences(out);
  const PropertySet& source = instance.source.properties;
  const std::string components = source.text(kOfxImageEffectPropComponents);
  if (components.empty() || components == kOfxImageComponentNone) return kOfxStatReplyDefault;
  out.set((std::string("OfxImageClipPropComponents_") + kOfxImageEffectOutputClipName).c_str(), components.c_str());
  const std::string premultiplication = source.text(kOfxImageEffectPropPreMultiplication);
  if (!premultiplication.empty()) out.set(kOfxImageEffectPropPreMultiplication, premultiplication.c_str());
  return kOfxStatOK;
}

OfxStatus regionOfDefinition(Instance& instance, const PropertySet& in, const PropertySet& out) {
  const OfxTime time = in.number(kOfxPropTime, 0);
  if (isSourceless(instance)) {
    const auto project = projectRegion(instance);
    if (!project) return kOfxStatReplyDefault;
    setRegion(out, kOfxImageEffectPropRegionOfDefinition, *project);
    return kOfxStatOK;
  }
  OfxRectD region;
  if (!regionOf(instance, instance.source, time, region)) return kOfxStatReplyDefault;
  const Margins margins = marginsOf(instance.effect, settledAt(instance, time), 1);
  const double shape = instance.source.properties.number(kOfxImagePropPixelAspectRatio, 1);
  const double across = shape > 0 ? shape : 1;
  const OfxRectD larger{region.x1 - margins.left * across, region.y1 - margins.bottom,
                        region.x2 + margins.right * across, region.y2 + margins.top};
  setRegion(out, kOfxImageEffectPropRegionOfDefinition, larger);
  return kOfxStatOK;
}

OfxStatus regionsOfInterest(Instance& instance, const PropertySet& in, const PropertySet& out) {
  OfxRectD region;
  const OfxTime time = in.number(kOfxPropTime, 0);
  if (isSourceless(instance)) return kOfxStatReplyDefault;
  if (!regionOf(instance, instance.source, time, region)) return kOfxStatReplyDefault;
  setRegion(out, ("OfxImageClipPropRoI_" + kSource).c_str(), region);
  if (instance.mask.connected()) {
    setRegion(out, (std::string("OfxImageClipPropRoI_") + kMaskClip).c_str(), region);
  }
  return kOfxStatOK;
}

OfxStatus framesNeeded(Instance& instance, const PropertySet& in, const PropertySet& out) {
  const OfxTime time = in.number(kOfxPropTime, 0);
  if (isSourceless(instance)) return kOfxStatReplyDefault;
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
