// An instance of an effect, and what all instances of the process share.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <set>

#include "effects_table.h"
#include "host.h"
#include "latensify/client.hpp"
#include "parameters.h"
#include "status.h"

namespace latensify::ofx {

// Presses of Process range and Fit to shot, which the next render carries out. A press is known by its token, which
// travels in a hidden parameter: hosts render with copies of the instance that was pressed.
class Presses {
 public:
  int add();
  bool waits(int token);      // nobody has taken it up yet
  bool take(int token);       // true for the first who asks: it carries it out, then says done
  bool isRunning(int token);  // somebody carries it out
  void done(int token);

 private:
  std::mutex mutex_;
  int last_ = 0;
  std::set<int> pending_, running_;
};

// A press that this render has taken up, for as long as the block lasts; nothing when there is none.
class Taken {
 public:
  Taken(Presses& presses, int token) : presses_(presses), token_(token), taken_(presses.take(token)) {}
  ~Taken() {
    if (taken_) presses_.done(token_);
  }
  Taken(const Taken&) = delete;
  Taken& operator=(const Taken&) = delete;
  explicit operator bool() const { return taken_; }

 private:
  Presses& presses_;
  const int token_;
  const bool taken_;
};

// What lives from the first effect's Load to the last one's Unload.
class Loaded {
 public:
  explicit Loaded(Host found) : host(std::move(found)) {}
  // Made by the first render: nothing before that needs a socket.
  Bridge& bridge();

  const Host host;
  Presses presses;

 private:
  std::mutex mutex_;
  std::optional<Bridge> bridge_;
};

struct Clip {
  Clip(const Host& host, OfxImageEffectHandle effect, const char* name);
  bool connected() const { return handle && properties.integer(kOfxImageClipPropConnected, 0) != 0; }

  OfxImageClipHandle handle = nullptr;  // NULL: this host has no such clip
  PropertySet properties;
};

struct Instance {
  Instance(std::shared_ptr<Loaded> shared, const EffectInfo& info, OfxImageEffectHandle effectHandle);

  const std::shared_ptr<Loaded> loaded;
  const Host& host;
  const EffectInfo& effect;
  const OfxImageEffectHandle handle;
  const Clip source, mask, output;
  const Parameters parameters;
  Messages messages;
  std::atomic<bool> showsProgress{false};  // a host has one progress display for an instance
};

}  // namespace latensify::ofx
