#include "parameters.h"

#include <cmath>
#include <cstring>
#include <locale>
#include <sstream>

namespace latensify::ofx {
namespace {

using Value = decltype(Param::value);

double checked(const ParamInfo& info, double value) {
  if (value >= info.minimum && value <= info.maximum) return value;  // false for NaN
  throw Failure("bad_parameter", std::string(info.label) + " is " + written(value) + "; it must lie between " +
                                     written(info.minimum) + " and " + written(info.maximum) + ".");
}

const char* chosen(const ParamInfo& info, int index) {
  if (index >= 0 && static_cast<std::size_t>(index) < info.optionCount) return info.options[index].value;
  throw Failure("bad_parameter",
                std::string(info.label) + " has no option " + std::to_string(index) + "; choose one from its menu.");
}

// Whether text is UTF-8, as a message must be: each lead byte is followed by as many others as it says.
bool isUtf8(const std::string& text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i++]);
    int more = lead < 0x80 ? 0 : lead >= 0xC2 && lead < 0xE0 ? 1 : lead >= 0xE0 && lead < 0xF0 ? 2 : 3;
    if ((lead >= 0x80 && lead < 0xC2) || lead > 0xF4) return false;
    for (; more > 0; --more, ++i) {
      if (i == text.size() || (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) return false;
    }
  }
  return true;
}

std::string checkedText(const ParamInfo& info, std::string text) {
  if (isUtf8(text)) return text;
  throw Failure("bad_parameter", std::string(info.label) + " is not UTF-8 text; type it again.");
}

bool blank(const std::string& text) { return text.find_first_not_of(" \t\r\n\v\f") == std::string::npos; }

const Value* find(const std::vector<Param>& params, const char* name) {
  for (const Param& param : params) {
    if (param.name == name) return &param.value;
  }
  return nullptr;
}

// The first preset is 'Use the prompt'.
bool saysNothing(const std::vector<Param>& edit) {
  const Value* const preset = find(edit, "preset");
  const Value* const prompt = find(edit, "prompt");
  const bool byPrompt = !preset || std::get<std::string>(*preset) == "prompt";
  return byPrompt && (!prompt || blank(std::get<std::string>(*prompt)));
}

bool hasMargins(const std::vector<Param>& edit) {
  const Value* const aspect = find(edit, "aspect");
  if (aspect && std::get<std::string>(*aspect) != "none") return true;
  for (const char* const side : {"left", "right", "top", "bottom"}) {
    const Value* const margin = find(edit, side);
    if (margin && std::get<std::int64_t>(*margin) != 0) return true;
  }
  return false;
}

}  // namespace

bool changesNothing(const EffectInfo& effect, const std::vector<Param>& edit, double mix) {
  if (mix == 0) return true;
  if (effect.grows) return !hasMargins(edit);
  if (!effect.needsPrompt) return false;
  const Value* const strength = find(edit, "strength");
  const Value* const uses = find(edit, "use_source");
  const bool kept = strength && std::get<double>(*strength) == 0;
  if (kept && (!uses || std::get<bool>(*uses))) return true;
  return saysNothing(edit);
}

std::string written(double value) {
  std::ostringstream text;
  text.imbue(std::locale::classic());
  text.precision(10);
  text << value;
  return text.str();
}

void Snapshot::keepToOneFrame() {
  window = 1;
  overlap = 0;
  for (Param& param : edit) {
    if (param.name == "window") param.value = std::int64_t{1};
    if (param.name == "overlap") param.value = std::int64_t{0};
  }
}

Parameters::Parameters(const Host& host, const EffectInfo& effect, OfxImageEffectHandle handle)
    : host_(host), effect_(effect) {
  if (host.effects->getParamSet(handle, &set_) != kOfxStatOK) set_ = nullptr;
  for (std::size_t i = 0; i < effect.paramCount; ++i) handles_.push_back(this->handle(effect.params[i].name));
}

OfxParamHandle Parameters::handle(const char* name) const {
  OfxParamHandle found = nullptr;
  const bool known = set_ && host_.params->paramGetHandle(set_, name, &found, nullptr) == kOfxStatOK;
  return known ? found : nullptr;
}

Value Parameters::value(std::size_t index, OfxTime time) const {
  const ParamInfo& info = effect_.params[index];
  const auto ask = [&](auto* answer) {
    const OfxParamHandle param = handles_[index];
    return param && host_.params->paramGetValueAtTime(param, time, answer) == kOfxStatOK;
  };
  if (info.kind == ParamKind::kString) {
    char* text = nullptr;
    return checkedText(info, ask(&text) && text ? text : info.defaultText);
  }
  if (info.kind == ParamKind::kDouble) {
    double number = 0;
    return checked(info, ask(&number) ? number : info.defaultNumber);
  }
  int number = 0;
  if (!ask(&number)) number = static_cast<int>(info.defaultNumber);
  if (info.kind == ParamKind::kBoolean) return number != 0;
  if (info.kind == ParamKind::kChoice) return std::string(chosen(info, number));
  return static_cast<std::int64_t>(checked(info, number));
}

template <typename T>
T Parameters::get(const char* name, OfxTime time) const {
  for (std::size_t i = 0; i < effect_.paramCount; ++i) {
    if (std::strcmp(effect_.params[i].name, name) == 0) return std::get<T>(value(i, time));
  }
  return T();
}

MaskSettings Parameters::maskAt(OfxTime time) const {
  MaskSettings mask;
  if (!effect_.takesMask) return mask;
  mask.source = get<std::string>("mask_source", time);
  mask.channel = get<std::string>("mask_channel", time);
  mask.invert = get<bool>("mask_invert", time);
  mask.x = get<double>("box_x", time);
  mask.y = get<double>("box_y", time);
  mask.width = get<double>("box_width", time);
  mask.height = get<double>("box_height", time);
  return mask;
}

Snapshot Parameters::at(OfxTime time) const {
  Snapshot found;
  for (std::size_t i = 0; i < effect_.paramCount; ++i) {
    if (effect_.params[i].travels) found.edit.push_back({effect_.params[i].name, value(i, time)});
  }
  for (Param& param : found.edit) {
    if (param.name == "colour_space" && std::get<std::string>(param.value) == "auto") {
      param.value = std::string(usualColourSpace(host_.name));
    }
  }
  found.mask = maskAt(time);
  found.mix = get<double>("mix", time);
  found.window = static_cast<int>(get<std::int64_t>("window", time));
  found.overlap = static_cast<int>(get<std::int64_t>("overlap", time));
  found.frameOffset = static_cast<int>(get<std::int64_t>("frame_offset", time));
  found.server = get<std::string>("server", time);
  found.timeoutS = get<double>("timeout_s", time);
  found.changesNothing = changesNothing(effect_, found.edit, found.mix);
  return found;
}

int Parameters::token(const char* name) const {
  int token = 0;
  const OfxParamHandle param = handle(name);
  return param && host_.params->paramGetValue(param, &token) == kOfxStatOK ? token : 0;
}

void Parameters::setStatus(const std::string& text) const {
  if (const OfxParamHandle param = handle(kStatusParam)) host_.params->paramSetValue(param, text.c_str());
}

void Parameters::set(const char* name, int number) const {
  if (const OfxParamHandle param = handle(name)) host_.params->paramSetValue(param, number);
}

void Parameters::choose(const char* name, const char* option) const {
  for (std::size_t i = 0; i < effect_.paramCount; ++i) {
    const ParamInfo& info = effect_.params[i];
    for (std::size_t at = 0; at < info.optionCount && std::strcmp(info.name, name) == 0; ++at) {
      if (std::strcmp(info.options[at].value, option) == 0) set(name, static_cast<int>(at));
    }
  }
}

}  // namespace latensify::ofx
