// What can go wrong, as an exception: a code of latensify_bridge/errors.py and one sentence for the user; and the id of
// the request that failed, as the server's log has it, empty where none was made.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace latensify {

class Failure : public std::runtime_error {
 public:
  Failure(std::string code, const std::string& sentence, std::string request = "")
      : std::runtime_error(sentence), code_(std::move(code)), request_(std::move(request)) {}
  const std::string& code() const { return code_; }
  const std::string& request() const { return request_; }

 private:
  std::string code_;
  std::string request_;
};

}  // namespace latensify
