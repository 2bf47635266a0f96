#include "plates.hpp"

#include <cstring>
#include <stdexcept>

#include "latensify/composite.hpp"

namespace latensify::bench {
namespace {

// Noise, some of it above 1: what compresses, or is all one value, would flatter somebody.
float noise(std::uint64_t& state) {
  state = state * 6364136223846793005U + 1442695040888963407U;
  return static_cast<float>(state >> 40) / static_cast<float>(1 << 24) * 1.25F;
}

void layRow(float* plate, const std::uint16_t* rgb, const std::uint16_t* matte, std::size_t width,
            std::vector<float>& scratch) {
  scratch.resize(4 * width);
  floatsFromHalves(rgb, scratch.data(), 3 * width);
  floatsFromHalves(matte, scratch.data() + 3 * width, width);
  compositeRow(plate, 4, scratch.data(), scratch.data() + 3 * width, static_cast<int>(width), 1, false);
}

}  // namespace

Plates::Plates(int width, int height, Depth depth) : width_(width), height_(height), depth_(depth) {
  std::uint64_t state = 7;
  values_.resize(samples());
  for (float& value : values_) value = noise(state);
  halves_.resize(samples());
  halvesFromFloats(values_.data(), halves_.data(), samples());
  if (depth == Depth::kHalf) values_ = {};
  between_.assign(bytes(), std::byte{1});
  output_.assign(bytes(), std::byte{1});
}

bool Plates::are(int width, int height, Depth depth) const {
  return width == width_ && height == height_ && depth == depth_;
}

Box Plates::boxOf(double side) const {
  const int width = static_cast<int>(width_ * side);
  const int height = static_cast<int>(height_ * side);
  return {(width_ - width) / 2, (height_ - height) / 2, width, height};
}

void Plates::become(std::int64_t seed) {
  for (std::size_t i = 0; i < 8; ++i) {
    const float value = static_cast<float>(seed >> (8 * i) & 0xFF) / 256;
    halves_[i] = halfFromFloat(value);
    if (depth_ == Depth::kFloat) values_[i] = value;
  }
}

Cost Plates::floor() {
  const void* const plate = depth_ == Depth::kFloat ? static_cast<const void*>(values_.data()) : halves_.data();
  const Stopwatch watch;
  std::memcpy(between_.data(), plate, bytes());
  std::memcpy(output_.data(), between_.data(), bytes());
  return {watch.ms(), watch.cpuMs()};
}

void Plates::fill(std::byte* to) const {
  if (depth_ == Depth::kHalf) {
    std::memcpy(to, halves_.data(), bytes());
  } else {
    halvesFromFloats(values_.data(), reinterpret_cast<std::uint16_t*>(to), samples());
  }
}

void Plates::layOver(const Box& box, const std::byte* edit) {
  const bool floats = depth_ == Depth::kFloat;
  std::memcpy(output_.data(), floats ? static_cast<const void*>(values_.data()) : halves_.data(), bytes());
  const auto width = static_cast<std::size_t>(box.width);
  const auto* const rgb = reinterpret_cast<const std::uint16_t*>(edit);
  const std::uint16_t* const matte = rgb + 3 * width * static_cast<std::size_t>(box.height);
  std::vector<float> scratch, row(4 * width);
  for (std::size_t y = 0; y < static_cast<std::size_t>(box.height); ++y) {
    const std::size_t at = 4 * ((static_cast<std::size_t>(box.y0) + y) * static_cast<std::size_t>(width_) +
                                static_cast<std::size_t>(box.x0));
    if (floats) {
      layRow(reinterpret_cast<float*>(output_.data()) + at, rgb + 3 * y * width, matte + y * width, width, scratch);
      continue;
    }
    auto* const halves = reinterpret_cast<std::uint16_t*>(output_.data()) + at;
    floatsFromHalves(halves, row.data(), 4 * width);
    layRow(row.data(), rgb + 3 * y * width, matte + y * width, width, scratch);
    halvesFromFloats(row.data(), halves, 4 * width);
  }
}

void Plates::check(const Box& box) const {
  const bool floats = depth_ == Depth::kFloat;
  for (int y = 0; y < height_; ++y) {
    for (int x = 0; x < width_; ++x) {
      const std::size_t at = 4 * (static_cast<std::size_t>(y) * static_cast<std::size_t>(width_) + static_cast<std::size_t>(x));
      const bool inside = x >= box.x0 && x < box.x0 + box.width && y >= box.y0 && y < box.y0 + box.height;
      for (std::size_t i = at; i < at + 4; ++i) {
        if (!floats) {
          if (std::memcmp(&halves_[i], &output_[2 * i], 2) != 0) throw std::runtime_error("another frame came back");
          continue;
        }
        float came;
        std::memcpy(&came, &output_[4 * i], sizeof came);
        const float due = inside && i < at + 3 ? floatFromHalf(halfFromFloat(values_[i])) : values_[i];
        if (came != due) throw std::runtime_error("another frame came back");
      }
    }
  }
}

}  // namespace latensify::bench
