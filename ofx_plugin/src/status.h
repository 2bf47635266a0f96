// What an instance tells its user: the status line, and messages in whatever form the host has.
#pragma once

#include <mutex>
#include <set>
#include <string>

#include "host.h"
#include "latensify/failure.hpp"

namespace latensify::ofx {

class Messages {
 public:
  Messages(const Host& host, OfxImageEffectHandle effect) : host_(host), effect_(effect) {}

  // The frame failed: a standing message where the host has one, else a message once per distinct sentence. It ends with
  // the failure's code and its request's id, by which the server's log tells more.
  void fail(const Failure& failure);
  // The frame is the source, for a reason that the user should know.
  void warn(const std::string& sentence) { stand(kOfxMessageWarning, sentence, ""); }
  // An answer to something the user just pressed: said every time.
  void answer(const std::string& sentence);
  // The frame was edited: takes a standing message away.
  void succeed(const std::string& status);

  void setStatus(const std::string& text);
  // The status line's text when the panel has not been given it yet, else nothing.
  std::string takeNewStatus();

 private:
  void stand(const char* type, const std::string& sentence, const std::string& mark);

  const Host& host_;
  OfxImageEffectHandle effect_;
  std::mutex mutex_;
  std::string status_;
  std::string shown_;           // on the status line
  std::string standing_;        // what the host shows now
  std::set<std::string> told_;  // where the host cannot show a standing message
};

}  // namespace latensify::ofx
