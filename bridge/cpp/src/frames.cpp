#include "latensify/frames.hpp"

#include <cmath>
#include <cstdio>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace latensify {
namespace {

const float kHalfMax = 65504.0F;

float clamped(float value) {
  if (std::isnan(value)) return 0;
  return value > kHalfMax ? kHalfMax : value < -kHalfMax ? -kHalfMax : value;
}

#if defined(__x86_64__)
bool hasF16c() { return __builtin_cpu_supports("avx") && __builtin_cpu_supports("f16c"); }

__attribute__((target("avx,f16c"))) std::size_t halvesByEight(const float* from, std::uint16_t* to, std::size_t count) {
  const __m256 top = _mm256_set1_ps(kHalfMax);
  const __m256 bottom = _mm256_set1_ps(-kHalfMax);
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    __m256 v = _mm256_loadu_ps(from + i);
    v = _mm256_and_ps(v, _mm256_cmp_ps(v, v, _CMP_ORD_Q));  // NaN to 0
    v = _mm256_max_ps(_mm256_min_ps(v, top), bottom);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
  }
  return i;
}

__attribute__((target("avx,f16c"))) std::size_t floatsByEight(const std::uint16_t* from, float* to, std::size_t count) {
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i))));
  }
  return i;
}
#else
bool hasF16c() { return false; }
std::size_t halvesByEight(const float*, std::uint16_t*, std::size_t) { return 0; }
std::size_t floatsByEight(const std::uint16_t*, float*, std::size_t) { return 0; }
#endif

}  // namespace

std::string frameName(const FrameSpec& spec, const void* data) {
  const std::string head = std::to_string(spec.width) + "x" + std::to_string(spec.height) + "x" +
                           std::to_string(spec.channels) + " " + depthName(spec.depth) + "\n";
  XXH3_state_t state;
  XXH3_INITSTATE(&state);
  XXH3_128bits_reset(&state);
  XXH3_128bits_update(&state, head.data(), head.size());
  XXH3_128bits_update(&state, data, spec.bytes());
  const XXH128_hash_t hash = XXH3_128bits_digest(&state);
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return text;
}

std::uint16_t halfFromFloat(float value) {
  const float v = clamped(value);
  std::uint32_t bits;
  std::memcpy(&bits, &v, sizeof bits);
  const std::uint32_t sign = (bits >> 16) & 0x8000U;
  const float magnitude = std::fabs(v);
  std::uint32_t half;
  if (magnitude < 6.103515625e-05F) {  // below the smallest normal half: multiples of 2^-24
    half = static_cast<std::uint32_t>(std::nearbyint(magnitude * 16777216.0F));
  } else {
    const std::uint32_t rest = (bits & 0x7FFFFFFFU) - (112U << 23);
    half = (rest + 0x0FFFU + ((rest >> 13) & 1U)) >> 13;
  }
  return static_cast<std::uint16_t>(sign | half);
}

float floatFromHalf(std::uint16_t half) {
  const std::uint32_t exponent = (half >> 10) & 0x1FU;
  const std::uint32_t mantissa = half & 0x3FFU;
  std::uint32_t bits;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 5.9604644775390625e-08F;  // multiples of 2^-24
    std::memcpy(&bits, &magnitude, sizeof bits);
  } else if (exponent == 0x1F) {
    bits = 0x7F800000U | (mantissa ? 0x400000U | mantissa << 13 : 0U);
  } else {
    bits = (exponent + 112U) << 23 | mantissa << 13;
  }
  bits |= (half & 0x8000U) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

void halvesFromFloats(const float* from, std::uint16_t* to, std::size_t count) {
  static const bool fast = hasF16c();
  for (std::size_t i = fast ? halvesByEight(from, to, count) : 0; i < count; ++i) to[i] = halfFromFloat(from[i]);
}

void floatsFromHalves(const std::uint16_t* from, float* to, std::size_t count) {
  static const bool fast = hasF16c();
  for (std::size_t i = fast ? floatsByEight(from, to, count) : 0; i < count; ++i) to[i] = floatFromHalf(from[i]);
}

}  // namespace latensify
