// A host's memory: the plate that it gives, the output that it wants filled.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <vector>

#include "latensify/client.hpp"

namespace latensify::bench {

class Stopwatch {
 public:
  double ms() const { return std::chrono::duration<double, std::milli>(Clock::now() - started_).count(); }
  // Of all threads of the process.
  double cpuMs() const { return 1000.0 * static_cast<double>(std::clock() - cpu_) / CLOCKS_PER_SEC; }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point started_ = Clock::now();
  std::clock_t cpu_ = std::clock();
};

struct Cost {
  double ms;
  double cpuMs;
};

// RGBA frames of one size and depth. All memory is touched once before anything is timed.
class Plates {
 public:
  Plates(int width, int height, Depth depth);

  bool are(int width, int height, Depth depth) const;
  FrameSpec spec() const { return {width_, height_, 4, Depth::kHalf}; }  // as it travels
  Box boxOf(double side) const;  // in the middle

  // Makes the plate another frame, by its first pixels.
  void become(std::int64_t seed);
  Cost floor();
  // The plate as it travels.
  void fill(std::byte* to) const;
  // The output: the plate, and over it the edit (RGB, then the matte, half) in its box.
  void layOver(const Box& box, const std::byte* edit);
  // Throws where the output is not what a server makes of the plate that gives it back.
  void check(const Box& box) const;

 private:
  std::size_t samples() const { return static_cast<std::size_t>(width_) * static_cast<std::size_t>(height_) * 4; }
  std::size_t bytes() const { return samples() * sampleBytes(depth_); }

  int width_;
  int height_;
  Depth depth_;
  std::vector<float> values_;            // the plate of a float host
  std::vector<std::uint16_t> halves_;    // the plate of a half host; of a float host, what is expected back
  std::vector<std::byte> between_;
  std::vector<std::byte> output_;
};

}  // namespace latensify::bench
