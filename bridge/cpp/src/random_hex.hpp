#pragma once

#include <random>
#include <string>

namespace latensify {

// `bytes` random bytes as hexadecimal digits: names that nobody else has.
inline std::string randomHex(int bytes) {
  std::random_device device;
  std::string text;
  for (int i = 0; i < 2 * bytes; ++i) text += "0123456789abcdef"[device() % 16];
  return text;
}

}  // namespace latensify
