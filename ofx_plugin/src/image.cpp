#include "image.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "latensify/failure.hpp"

namespace latensify::ofx {
namespace {

std::size_t sampleBytes(BitDepth depth) {
  if (depth == BitDepth::kFloat) return 4;
  return depth == BitDepth::kByte ? 1 : 2;
}

BitDepth depthNamed(const std::string& name, const char* what) {
  if (name == kOfxBitDepthFloat) return BitDepth::kFloat;
  if (name == kOfxBitDepthHalf) return BitDepth::kHalf;
  if (name == kOfxBitDepthShort) return BitDepth::kShort;
  if (name == kOfxBitDepthByte) return BitDepth::kByte;
  throw Failure("bad_input", std::string(what) + " has pixels of depth '" + name +
                                 "'; Latensify takes 8-bit, 16-bit, half and float.");
}

int channelsNamed(const std::string& name, const char* what) {
  if (name == kOfxImageComponentRGBA) return 4;
  if (name == kOfxImageComponentRGB) return 3;
  if (name == kOfxImageComponentAlpha) return 1;
  throw Failure("bad_input",
                std::string(what) + " has components '" + name + "'; Latensify takes RGBA, RGB and Alpha.");
}

double positive(double value) { return value > 0 && value < 1e6 ? value : 1.0; }

}  // namespace

Rect common(const Rect& a, const Rect& b) {
  return {std::max(a.x1, b.x1), std::max(a.y1, b.y1), std::min(a.x2, b.x2), std::min(a.y2, b.y2)};
}

Rect readRect(const PropertySet& set, const char* name) {
  return {set.integer(name, 0, 0), set.integer(name, 0, 1), set.integer(name, 0, 2), set.integer(name, 0, 3)};
}

Image::Image(const Host& host, OfxImageClipHandle clip, OfxTime time, const char* what) : host_(host) {
  if (!clip || host.effects->clipGetImage(clip, time, nullptr, &handle_) != kOfxStatOK || !handle_) {
    handle_ = nullptr;
    return;
  }
  try {
    read(host.set(handle_), what);
  } catch (...) {
    host_.effects->clipReleaseImage(handle_);
    throw;
  }
}

void Image::read(const PropertySet& set, const char* what) {
  bounds = readRect(set, kOfxImagePropBounds);
  auto* const data = static_cast<std::byte*>(set.pointer(kOfxImagePropData));
  if (!data || bounds.empty()) return;
  channels = channelsNamed(set.text(kOfxImageEffectPropComponents), what);
  depth = depthNamed(set.text(kOfxImageEffectPropPixelDepth), what);
  premultiplied = channels == 4 && set.text(kOfxImageEffectPropPreMultiplication) == kOfxImagePreMultiplied;
  scaleX = positive(set.number(kOfxImageEffectPropRenderScale, 1.0, 0));
  scaleY = positive(set.number(kOfxImageEffectPropRenderScale, 1.0, 1));
  pixelAspect = positive(set.number(kOfxImagePropPixelAspectRatio, 1.0));
  const auto least = static_cast<std::ptrdiff_t>(pixelBytes()) * bounds.width();
  rowBytes_ = set.integer(kOfxImagePropRowBytes, 0);
  if (rowBytes_ == 0) rowBytes_ = least;
  if (std::abs(rowBytes_) < least && bounds.height() > 1) {
    throw Failure("bad_input", std::string(what) + " has rows of " + std::to_string(rowBytes_) + " bytes, and " +
                                   std::to_string(least) + " are needed; this is a fault of the host.");
  }
  data_ = data;
}

Image::~Image() {
  if (handle_) host_.effects->clipReleaseImage(handle_);
}

std::size_t Image::pixelBytes() const { return sampleBytes(depth) * static_cast<std::size_t>(channels); }

std::byte* Image::pixel(int x, int y) const {
  const auto across = static_cast<std::ptrdiff_t>(pixelBytes()) * (x - bounds.x1);
  return data_ + rowBytes_ * (y - bounds.y1) + across;
}

void copy(const Image& source, const Image& output, const Rect& window) {
  const Rect target = common(window, output.bounds);
  const Rect shared = common(target, source.bounds);
  const auto width = static_cast<std::size_t>(target.width());
  std::vector<float> row(source.sameFormat(output) ? 0 : 4 * width);
  for (int y = target.y1; y < target.y2; ++y) {
    if (!source.sameFormat(output)) {
      readRow(source, y, target.x1, target.width(), row.data());
      writeRow(output, y, target.x1, target.width(), row.data(), nullptr);
      continue;
    }
    const bool inside = !shared.empty() && y >= shared.y1 && y < shared.y2;
    if (!(inside && shared.width() == target.width())) {
      std::memset(output.pixel(target.x1, y), 0, width * output.pixelBytes());
    }
    if (!inside) continue;
    const auto bytes = static_cast<std::size_t>(shared.width()) * source.pixelBytes();
    std::memcpy(output.pixel(shared.x1, y), source.pixel(shared.x1, y), bytes);
  }
}

}  // namespace latensify::ofx
