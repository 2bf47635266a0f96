#include "describe.h"

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

namespace latensify::ofx {
namespace {

const char* const kPage = "page_controls";

std::string groupNamed(const std::string& label) { return "group_" + label; }

void setRange(const PropertySet& set, const ParamInfo& info) {
  const auto put = [&](const char* name, double value) {
    if (info.kind == ParamKind::kInteger) {
      set.set(name, static_cast<int>(value));
    } else {
      set.set(name, value);
    }
  };
  put(kOfxParamPropDefault, info.defaultNumber);
  put(kOfxParamPropMin, info.minimum);
  put(kOfxParamPropMax, info.maximum);
  put(kOfxParamPropDisplayMin, info.sliderMinimum);
  put(kOfxParamPropDisplayMax, info.sliderMaximum);
  if (info.kind != ParamKind::kDouble) return;
  const double slide = info.sliderMaximum - info.sliderMinimum;
  set.set(kOfxParamPropDoubleType, kOfxParamDoubleTypePlain);
  set.set(kOfxParamPropIncrement, slide / 100);
  set.set(kOfxParamPropDigits, slide > 20 ? 1 : 3);
}

// What windows are cut by, the model and the server hold for the whole shot; text never animates (few hosts can).
bool animates(const Host& host, const ParamInfo& info) {
  const std::string group = info.group;
  if (group == "Model" || group == "Frames" || group == "Server") return false;
  if (info.kind == ParamKind::kString) return false;
  if (info.kind == ParamKind::kChoice) return info.travels && host.animatesChoices;
  return info.kind != ParamKind::kBoolean || host.animatesBooleans;
}

const char* typeOf(ParamKind kind) {
  switch (kind) {
    case ParamKind::kDouble:
      return kOfxParamTypeDouble;
    case ParamKind::kInteger:
      return kOfxParamTypeInteger;
    case ParamKind::kBoolean:
      return kOfxParamTypeBoolean;
    case ParamKind::kChoice:
      return kOfxParamTypeChoice;
    case ParamKind::kString:
      return kOfxParamTypeString;
  }
  return kOfxParamTypeString;
}

class Panel {
 public:
  Panel(const Host& host, OfxParamSetHandle params) : host_(host), params_(params) {}

  void define(const ParamInfo& info) {
    openGroup(info.group);
    const PropertySet set = add(typeOf(info.kind), info.name, info.label, info.hint, info.group);
    set.set(kOfxParamPropAnimates, animates(host_, info) ? 1 : 0);
    if (info.kind == ParamKind::kDouble || info.kind == ParamKind::kInteger) setRange(set, info);
    if (info.kind == ParamKind::kString) set.set(kOfxParamPropDefault, info.defaultText);
    if (info.kind != ParamKind::kBoolean && info.kind != ParamKind::kChoice) return;
    for (std::size_t i = 0; i < info.optionCount; ++i) {
      set.set(kOfxParamPropChoiceOption, info.options[i].label, static_cast<int>(i));
    }
    set.set(kOfxParamPropDefault, static_cast<int>(info.defaultNumber));
  }

  PropertySet add(const char* type, const char* name, const char* label, const char* hint, const char* group) {
    OfxPropertySetHandle handle = nullptr;
    if (host_.params->paramDefine(params_, type, name, &handle) != kOfxStatOK) return {};
    const PropertySet set = host_.set(handle);
    set.set(kOfxPropLabel, label);
    set.set(kOfxParamPropScriptName, name);
    if (hint) set.set(kOfxParamPropHint, hint);
    if (group) set.set(kOfxParamPropParent, groupNamed(group).c_str());
    return set;
  }

  void openGroup(const std::string& label) {
    if (!groups_.empty() && groups_.back() == groupNamed(label)) return;
    groups_.push_back(groupNamed(label));
    const PropertySet set = add(kOfxParamTypeGroup, groups_.back().c_str(), label.c_str(), nullptr, nullptr);
    const bool open = label == "Edit" || label == "Matte";
    set.set(kOfxParamPropGroupOpen, open ? 1 : 0);
  }

  void closePage() {
    const PropertySet page = add(kOfxParamTypePage, kPage, "Controls", nullptr, nullptr);
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      page.set(kOfxParamPropPageChild, groups_[i].c_str(), static_cast<int>(i));
    }
    OfxPropertySetHandle handle = nullptr;
    if (host_.params->paramSetGetPropertySet(params_, &handle) != kOfxStatOK) return;
    host_.set(handle).set(kOfxPluginPropParamPageOrder, kPage, 0);
  }

 private:
  const Host& host_;
  OfxParamSetHandle params_;
  std::vector<std::string> groups_;
};

// A hidden number that a button changes, so that the host renders again (Presses).
void defineToken(Panel& panel, const char* name) {
  const PropertySet request = panel.add(kOfxParamTypeInteger, name, "Request", nullptr, "Server");
  request.set(kOfxParamPropSecret, 1);
  request.set(kOfxParamPropAnimates, 0);
  request.set(kOfxParamPropPersistant, 0);
  request.set(kOfxParamPropCanUndo, 0);
  setRange(request, {"", "", "", "", ParamKind::kInteger, false, 0, 0, 2147483647, 0, 1000, "", nullptr, 0});
}

void defineServerRows(Panel& panel, const EffectInfo& effect) {
  const PropertySet status = panel.add(kOfxParamTypeString, kStatusParam, "Status", "What happened last.", "Server");
  status.set(kOfxParamPropStringMode, kOfxParamStringIsSingleLine);
  status.set(kOfxParamPropDefault, "No frame has been asked for yet.");
  status.set(kOfxParamPropEnabled, 0);
  status.set(kOfxParamPropAnimates, 0);
  status.set(kOfxParamPropPersistant, 0);
  status.set(kOfxParamPropEvaluateOnChange, 0);
  status.set(kOfxParamPropCanUndo, 0);
  panel.add(kOfxParamTypePushButton, kRefreshParam, "Refresh status", "Shows what happened last.", "Server");
  panel.add(kOfxParamTypePushButton, kProcessParam, "Process range",
            "Edits every frame of the clip ahead, so that playing and rendering find them ready.", "Server");
  defineToken(panel, kRequestParam);
  if (!effect.fits) return;
  panel.add(kOfxParamTypePushButton, kFitParam, "Fit to shot",
            "Fits a small model to the clip's frames, for the pixels that no frame shows. Takes minutes; what is "
            "stopped goes on when pressed again. Draft quality is quicker.",
            "Server");
  defineToken(panel, kFitRequestParam);
}

void defineClip(const Host& host, OfxImageEffectHandle handle, const char* name, bool mask, bool optional) {
  OfxPropertySetHandle properties = nullptr;
  if (host.effects->clipDefine(handle, name, &properties) != kOfxStatOK) {
    if (mask) return;  // a host that wants no second input in a filter
    throw ActionFailed{kOfxStatFailed};
  }
  const PropertySet clip = host.set(properties);
  const bool output = std::strcmp(name, kOfxImageEffectOutputClipName) == 0;
  const char* const components[] = {kOfxImageComponentRGBA, kOfxImageComponentRGB, kOfxImageComponentAlpha};
  const char* const forMasks[] = {kOfxImageComponentAlpha, kOfxImageComponentRGBA, kOfxImageComponentRGB};
  for (int i = 0; i < 3; ++i) {
    clip.set(kOfxImageEffectPropSupportedComponents, (mask ? forMasks : components)[i], i);
  }
  clip.set(kOfxImageEffectPropSupportsTiles, 0);
  clip.set(kOfxImageEffectPropTemporalClipAccess, output ? 0 : 1);
  clip.set(kOfxImageClipPropOptional, optional ? 1 : 0);
  clip.set(kOfxImageClipPropIsMask, mask ? 1 : 0);
  if (!output) clip.set(kOfxImageClipPropFieldExtraction, kOfxImageFieldBoth);
}

}  // namespace

void describe(const Host& host, const EffectInfo& effect, OfxImageEffectHandle handle) {
  const PropertySet set = host.of(handle);
  if (!set) throw ActionFailed{kOfxStatFailed};
  set.set(kOfxPropLabel, effect.label);
  set.set(kOfxPropShortLabel, effect.label);
  set.set(kOfxPropLongLabel, effect.label);
  set.set(kOfxPropPluginDescription, effect.summary);
  set.set(kOfxPropVersionLabel, kVersion);
  set.set(kOfxImageEffectPluginPropGrouping, "Latensify");
  set.set(kOfxImageEffectPropSupportedContexts, kOfxImageEffectContextFilter, 0);
  set.set(kOfxImageEffectPropSupportedContexts, kOfxImageEffectContextGeneral, 1);
  if (effect.generator) set.set(kOfxImageEffectPropSupportedContexts, kOfxImageEffectContextGenerator, 2);
  int depths = 0;
  set.set(kOfxImageEffectPropSupportedPixelDepths, kOfxBitDepthFloat, depths++);
  if (host.half) set.set(kOfxImageEffectPropSupportedPixelDepths, kOfxBitDepthHalf, depths++);
  set.set(kOfxImageEffectPropSupportedPixelDepths, kOfxBitDepthShort, depths++);
  set.set(kOfxImageEffectPropSupportedPixelDepths, kOfxBitDepthByte, depths++);
  set.set(kOfxImageEffectPluginRenderThreadSafety, kOfxImageEffectRenderFullySafe);
  set.set(kOfxImageEffectPluginPropHostFrameThreading, 0);
  set.set(kOfxImageEffectPluginPropSingleInstance, 0);
  set.set(kOfxImageEffectPluginPropFieldRenderTwiceAlways, 0);
  set.set(kOfxImageEffectPropSupportsMultiResolution, 1);
  set.set(kOfxImageEffectPropSupportsTiles, 0);
  set.set(kOfxImageEffectPropTemporalClipAccess, 1);
  set.set(kOfxImageEffectPropSupportsMultipleClipDepths, 0);
  set.set(kOfxImageEffectPropSupportsMultipleClipPARs, 0);
}

void describeInContext(const Host& host, const EffectInfo& effect, OfxImageEffectHandle handle,
                       const std::string& context) {
  if (context != kOfxImageEffectContextGenerator) {
    const bool optional = effect.generator && context == kOfxImageEffectContextGeneral;
    defineClip(host, handle, kOfxImageEffectSimpleSourceClipName, false, optional);
  }
  if (effect.takesMask) defineClip(host, handle, kMaskClip, true, true);
  defineClip(host, handle, kOfxImageEffectOutputClipName, false, false);
  OfxParamSetHandle params = nullptr;
  if (host.effects->getParamSet(handle, &params) != kOfxStatOK) throw ActionFailed{kOfxStatFailed};
  Panel panel(host, params);
  for (std::size_t i = 0; i < effect.paramCount; ++i) panel.define(effect.params[i]);
  panel.openGroup("Server");
  defineServerRows(panel, effect);
  panel.closePage();
}

}  // namespace latensify::ofx
