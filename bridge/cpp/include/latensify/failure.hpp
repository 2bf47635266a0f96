// What can go wrong, as an exception: a code of latensify_bridge/errors.py and one sentence for the user.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace latensify {

class Failure : public std::runtime_error {
 public:
  Failure(std::string code, const std::string& sentence) : std::runtime_error(sentence), code_(std::move(code)) {}
  const std::string& code() const { return code_; }

 private:
  std::string code_;
};

}  // namespace latensify
