#include "watch.h"

#include <algorithm>
#include <utility>

namespace latensify::ofx {
namespace {

const char* const kProgressId = "latensify.progress";

}  // namespace

Watch::Watch(Instance& instance, std::string label, std::chrono::milliseconds delay)
    : instance_(instance), label_(std::move(label)), due_(std::chrono::steady_clock::now() + delay) {}

Watch::~Watch() {
  if (!showing_) return;
  const Host& host = instance_.host;
  if (host.progressWithId) {
    host.progressWithId->progressEnd(instance_.handle);
  } else {
    host.progress->progressEnd(instance_.handle);
  }
  instance_.showsProgress = false;
}

Wait Watch::wait() {
  return [this](const Waiting& waiting) {
    if (!waiting.stage.empty()) instance_.messages.setStatus(label_ + ": " + waiting.stage);
    return goOn(waiting.fraction);
  };
}

void Watch::span(double from, double to) {
  from_ = from;
  to_ = to;
}

void Watch::check() {
  if (!goOn(0)) throw Failure("cancelled", label_ + " was stopped.");
}

bool Watch::goOn(double fraction) {
  if (!cancelled_ && !aborted_) aborted_ = instance_.host.aborted(instance_.handle);
  if (!aborted_ && !cancelled_) show(from_ + (to_ - from_) * std::clamp(fraction, 0.0, 1.0));
  return !aborted_ && !cancelled_;
}

void Watch::show(double fraction) {
  const Host& host = instance_.host;
  if (!host.progressWithId && !host.progress) return;
  if (!showing_) {
    if (std::chrono::steady_clock::now() < due_ || instance_.showsProgress.exchange(true)) return;
    showing_ = true;
    if (host.progressWithId) {
      host.progressWithId->progressStart(instance_.handle, label_.c_str(), kProgressId);
    } else {
      host.progress->progressStart(instance_.handle, label_.c_str());
    }
  }
  const auto update = host.progressWithId ? host.progressWithId->progressUpdate : host.progress->progressUpdate;
  cancelled_ = update(instance_.handle, fraction) == kOfxStatReplyNo;
}

}  // namespace latensify::ofx
