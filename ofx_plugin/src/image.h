// An image on loan from a clip, given back when it goes out of scope; and its pixels as floats.
#pragma once

#include <cstddef>
#include <cstdint>

#include "host.h"

namespace latensify::ofx {

// Pixels x1 <= x < x2, y1 <= y < y2, y upwards, as the host counts them.
struct Rect {
  int x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  int width() const { return x2 > x1 ? x2 - x1 : 0; }
  int height() const { return y2 > y1 ? y2 - y1 : 0; }
  bool empty() const { return width() == 0 || height() == 0; }
  bool operator==(const Rect& other) const {
    return x1 == other.x1 && y1 == other.y1 && x2 == other.x2 && y2 == other.y2;
  }
};

Rect common(const Rect& a, const Rect& b);
Rect readRect(const PropertySet& set, const char* name);

enum class BitDepth { kByte, kShort, kHalf, kFloat };

class Image {
 public:
  // Converts to false when the host gave no image, or one without data. `what` names it in failures.
  // Throws Failure("bad_input") for pixels that the plugin did not offer to take.
  Image(const Host& host, OfxImageClipHandle clip, OfxTime time, const char* what);
  ~Image();
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;

  explicit operator bool() const { return data_ != nullptr; }
  // The pixel at x, y, which must lie within the bounds.
  std::byte* pixel(int x, int y) const;
  std::size_t pixelBytes() const;
  bool sameFormat(const Image& other) const { return channels == other.channels && depth == other.depth; }

  Rect bounds;
  int channels = 4;  // 4: RGBA, 3: RGB, 1: alpha
  BitDepth depth = BitDepth::kFloat;
  bool premultiplied = false;
  double scaleX = 1, scaleY = 1;
  double pixelAspect = 1;

 private:
  void read(const PropertySet& set, const char* what);

  const Host& host_;
  OfxPropertySetHandle handle_ = nullptr;
  std::byte* data_ = nullptr;
  std::ptrdiff_t rowBytes_ = 0;
};

// `width` pixels of row y from x1 on, as RGBA floats (integers as 0..1; no alpha as 1); outside the bounds all 0.
void readRow(const Image& image, int y, int x1, int width, float* rgba);

// Divides the colour by alpha; where alpha is 0 the colour stays.
void unpremultiply(float* rgba, int width);

// Writes RGBA floats to `width` pixels of row y from x1 on, all of which lie within the bounds. With `shown`, only
// the colour of the pixels where it is above 0; without, all channels.
void writeRow(const Image& image, int y, int x1, int width, const float* rgba, const float* shown);

// Makes `window` of the output what the source is there: bit for bit where the formats agree; outside the source 0.
void copy(const Image& source, const Image& output, const Rect& window);

// `frame` of an image as a frame of the wire: straight RGBA, half, from the top down.
void toFrame(const Image& image, const Rect& frame, std::uint16_t* halves);

}  // namespace latensify::ofx
