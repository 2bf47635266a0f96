#include "status.h"

namespace latensify::ofx {
namespace {

const char* const kMessageId = "latensify";

// The suites take a format, and some hosts print garbage for its arguments: so none are passed.
std::string asFormat(const std::string& text) {
  std::string escaped;
  for (const char letter : text) escaped.append(letter == '%' ? 2 : 1, letter);
  return escaped;
}

}  // namespace

void Messages::answer(const std::string& sentence) {
  setStatus(sentence);
  if (!host_.message) return;
  host_.message->message(effect_, kOfxMessageMessage, kMessageId, asFormat(sentence).c_str());
}

void Messages::fail(const Failure& failure) {
  const bool asked = !failure.request().empty();
  stand(kOfxMessageError, failure.what(), asked ? " [" + failure.code() + " " + failure.request() + "]" : "");
}

// `mark` differs from frame to frame: sentences are compared without it, or every frame would bring up a message.
void Messages::stand(const char* type, const std::string& sentence, const std::string& mark) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    status_ = sentence + mark;
    const bool said = host_.persistentMessage ? standing_ == sentence : !told_.insert(sentence).second;
    if (said) return;
    standing_ = sentence;
  }
  const std::string format = asFormat(sentence + mark);
  if (host_.persistentMessage) {
    host_.persistentMessage->setPersistentMessage(effect_, type, kMessageId, format.c_str());
  } else if (host_.message) {
    host_.message->message(effect_, type, kMessageId, format.c_str());
  }
}

void Messages::succeed(const std::string& status) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    status_ = status;
    if (standing_.empty()) return;
    standing_.clear();
  }
  if (host_.persistentMessage) host_.persistentMessage->clearPersistentMessage(effect_);
}

void Messages::setStatus(const std::string& text) {
  const std::lock_guard<std::mutex> lock(mutex_);
  status_ = text;
}

std::string Messages::takeNewStatus() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (status_ == shown_) return "";
  shown_ = status_;
  return shown_;
}

}  // namespace latensify::ofx
