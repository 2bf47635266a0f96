#include "framing.h"

#include <algorithm>
#include <cmath>
#include <locale>
#include <sstream>
#include <string>

#include "shot.h"

namespace latensify::ofx {
namespace {

const double kSlack = 1e-6;  // of a pixel, for what a host computes in floats
const char* const kSides[] = {"left", "right", "top", "bottom"};

template <typename T>
T* find(std::vector<Param>& params, const char* name) {
  for (Param& param : params) {
    if (param.name == name) return std::get_if<T>(&param.value);
  }
  return nullptr;
}

template <typename T>
const T* find(const std::vector<Param>& params, const char* name) {
  return find<T>(const_cast<std::vector<Param>&>(params), name);
}

// The ratio that a text such as 2.39:1 says; 0 for one that says none.
double ratioOf(const std::string& text) {
  std::istringstream stream(text);
  stream.imbue(std::locale::classic());
  double across = 0;
  double down = 0;
  char colon = 0;
  const bool read = static_cast<bool>(stream >> across >> colon >> down);
  return read && colon == ':' && down > 0 ? across / down : 0;
}

// Pixels to add on each of two sides.
std::int64_t half(double lacking) { return std::max<std::int64_t>(0, std::llround(std::floor(lacking / 2 + 0.5))); }

// `width` and `height` of the source in full-resolution pixels.
void settleAspect(Snapshot& snapshot, double width, double height, double pixelAspect) {
  auto* const chosen = find<std::string>(snapshot.edit, "aspect");
  if (!chosen) return;
  const double ratio = ratioOf(*chosen) / pixelAspect;
  if (!(ratio > 0)) return;
  *chosen = "none";
  std::int64_t* sides[4];
  for (int i = 0; i < 4; ++i) sides[i] = find<std::int64_t>(snapshot.edit, kSides[i]);
  const double whole = width + double(*sides[0]) + double(*sides[1]);
  const double tall = height + double(*sides[2]) + double(*sides[3]);
  const std::int64_t wider = half(tall * ratio - whole);
  const std::int64_t taller = half(whole / ratio - tall);
  for (int i = 0; i < 2; ++i) *sides[i] += wider;
  for (int i = 2; i < 4; ++i) *sides[i] += taller;
}

}  // namespace

bool isSourceless(const Instance& instance) { return instance.effect.generator && !instance.source.connected(); }

Snapshot settledAt(const Instance& instance, OfxTime time, double aspect) {
  Snapshot snapshot = instance.parameters.at(time);
  if (isSourceless(instance)) {
    if (bool* const uses = find<bool>(snapshot.edit, "use_source")) *uses = false;
    snapshot.changesNothing = changesNothing(instance.effect, snapshot.edit, snapshot.mix);
  }
  OfxRectD region{};
  const Clip& source = instance.source;
  const bool known = instance.effect.grows && source.handle &&
                     instance.host.effects->clipGetRegionOfDefinition(source.handle, time, &region) == kOfxStatOK;
  if (!known) return snapshot;
  const double shape = source.properties.number(kOfxImagePropPixelAspectRatio, 1);
  const double pixelAspect = shape > 0 ? shape : 1;
  settleAspect(snapshot, (region.x2 - region.x1) / pixelAspect, region.y2 - region.y1, pixelAspect);
  for (int i = 2; i < 4 && aspect != 1; ++i) {
    auto* const side = find<std::int64_t>(snapshot.edit, kSides[i]);
    *side = std::llround(std::ceil(double(*side) * aspect - kSlack));
  }
  return snapshot;
}

void settleShot(const EffectInfo& effect, const Shot& shot, Snapshot& snapshot) {
  auto* const first = find<std::int64_t>(snapshot.edit, "first_frame");
  auto* const last = find<std::int64_t>(snapshot.edit, "last_frame");
  if (!effect.generator || !first || !last || *first != 0 || *last != 0) return;
  *first = shot.first;
  *last = shot.last;
}

Margins marginsOf(const EffectInfo& effect, const Snapshot& snapshot, double scale) {
  if (!effect.grows) return {};
  int sides[4] = {};
  for (int i = 0; i < 4; ++i) {
    const auto* const side = find<std::int64_t>(snapshot.edit, kSides[i]);
    if (side) sides[i] = static_cast<int>(std::ceil(double(*side) * scale - kSlack));
  }
  return {sides[0], sides[1], sides[2], sides[3]};
}

Rect grown(const Rect& frame, const Margins& margins) {
  return {frame.x1 - margins.left, frame.y1 - margins.bottom, frame.x2 + margins.right, frame.y2 + margins.top};
}

std::optional<OfxRectD> projectRegion(const Instance& instance) {
  const PropertySet set = instance.host.of(instance.handle);
  const double width = set.number(kOfxImageEffectPropProjectSize, 0, 0);
  const double height = set.number(kOfxImageEffectPropProjectSize, 0, 1);
  if (!(width >= 1 && height >= 1 && width <= 1e6 && height <= 1e6)) return std::nullopt;
  const double x = set.number(kOfxImageEffectPropProjectOffset, 0, 0);
  const double y = set.number(kOfxImageEffectPropProjectOffset, 0, 1);
  return OfxRectD{x, y, x + width, y + height};
}

double outputAspect(const Instance& instance) {
  const double shape = instance.output.properties.number(kOfxImagePropPixelAspectRatio, 1);
  return shape > 0 ? shape : 1;
}

Rect projectFrame(const Instance& instance, double scale, double aspect) {
  const auto region = projectRegion(instance);
  if (!region) {
    throw Failure("bad_input", std::string(instance.effect.label) +
                                   " has no Source, and the host does not say how large its project is; connect one.");
  }
  const auto low = [](double edge) { return static_cast<int>(std::floor(edge + kSlack)); };
  const auto high = [](double edge) { return static_cast<int>(std::ceil(edge - kSlack)); };
  const double across = scale / outputAspect(instance);
  const double up = scale * aspect;
  return {low(region->x1 * across), low(region->y1 * up), high(region->x2 * across), high(region->y2 * up)};
}

}  // namespace latensify::ofx
