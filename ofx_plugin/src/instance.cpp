#include "instance.h"

#include <string>

#include "describe.h"

namespace latensify::ofx {

int Presses::add() {
  const std::lock_guard<std::mutex> lock(mutex_);
  pending_.insert(++last_);
  return last_;
}

bool Presses::waits(int token) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return pending_.count(token) == 1;
}

bool Presses::take(int token) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return pending_.erase(token) == 1 && running_.insert(token).second;
}

bool Presses::isRunning(int token) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return running_.count(token) == 1;
}

void Presses::done(int token) {
  const std::lock_guard<std::mutex> lock(mutex_);
  running_.erase(token);
}

Bridge& Loaded::bridge() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!bridge_) bridge_.emplace(std::string("latensify-ofx ") + kVersion, host.name);
  return *bridge_;
}

Clip::Clip(const Host& host, OfxImageEffectHandle effect, const char* name) {
  OfxPropertySetHandle set = nullptr;
  if (host.effects->clipGetHandle(effect, name, &handle, &set) != kOfxStatOK) handle = nullptr;
  if (handle) properties = host.set(set);
}

Instance::Instance(std::shared_ptr<Loaded> shared, const EffectInfo& info, OfxImageEffectHandle effectHandle)
    : loaded(std::move(shared)),
      host(loaded->host),
      effect(info),
      handle(effectHandle),
      source(host, handle, kOfxImageEffectSimpleSourceClipName),
      mask(host, handle, kMaskClip),
      output(host, handle, kOfxImageEffectOutputClipName),
      parameters(host, effect, handle),
      messages(host, handle) {}

}  // namespace latensify::ofx
