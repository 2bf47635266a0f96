// The entry points of the bundle. Nothing is thrown beyond this file: a failure becomes a status and a message.
#include <array>
#include <cstring>
#include <new>
#include <utility>

#include "actions.h"
#include "describe.h"
#include "render.h"

namespace latensify::ofx {
namespace {

constexpr std::size_t kMostEffects = 32;
constexpr unsigned kMajor = 1;  // projects find their effect by identifier and major version: it stays
constexpr unsigned kMinor = 0;

// Never destroyed: some hosts exit without Unload, and threads may still run then.
struct Process {
  std::mutex mutex;
  OfxHost* host = nullptr;
  std::shared_ptr<Loaded> loaded;
  std::set<std::size_t> effects;  // those that are loaded
};

Process& process() {
  static Process* const one = new Process;
  return *one;
}

std::shared_ptr<Loaded> loadedNow() {
  const std::lock_guard<std::mutex> lock(process().mutex);
  return process().loaded;
}

OfxStatus load(std::size_t effect) {
  const std::lock_guard<std::mutex> lock(process().mutex);
  if (!process().loaded) process().loaded = std::make_shared<Loaded>(readHost(process().host));
  process().effects.insert(effect);
  return kOfxStatOK;
}

OfxStatus unload(std::size_t effect) {
  std::shared_ptr<Loaded> last;  // let go of after the lock
  const std::lock_guard<std::mutex> lock(process().mutex);
  process().effects.erase(effect);
  if (process().effects.empty()) last = std::move(process().loaded);
  return kOfxStatOK;
}

OfxStatus create(std::shared_ptr<Loaded> loaded, const EffectInfo& effect, OfxImageEffectHandle handle) {
  const PropertySet properties = loaded->host.of(handle);
  auto instance = std::make_unique<Instance>(std::move(loaded), effect, handle);
  if (!properties.setPointer(kOfxPropInstanceData, instance.get())) return kOfxStatFailed;
  instance.release();  // the host holds it until DestroyInstance
  return kOfxStatOK;
}

OfxStatus destroy(const Host& host, OfxImageEffectHandle handle, Instance* instance) {
  host.of(handle).setPointer(kOfxPropInstanceData, nullptr);
  delete instance;
  return kOfxStatOK;
}

OfxStatus renderAction(Instance& instance, const PropertySet& in, const PropertySet&) { return render(instance, in); }

using Action = OfxStatus (*)(Instance&, const PropertySet&, const PropertySet&);

Action actionNamed(const char* name) {
  static const std::pair<const char*, Action> kActions[] = {
      {kOfxImageEffectActionRender, renderAction},
      {kOfxImageEffectActionIsIdentity, isIdentity},
      {kOfxImageEffectActionGetClipPreferences, clipPreferences},
      {kOfxImageEffectActionGetRegionOfDefinition, regionOfDefinition},
      {kOfxImageEffectActionGetRegionsOfInterest, regionsOfInterest},
      {kOfxImageEffectActionGetFramesNeeded, framesNeeded},
      {kOfxActionInstanceChanged, instanceChanged},
      {kOfxActionBeginInstanceEdit, showStatus},
      {kOfxActionEndInstanceEdit, showStatus},
      {kOfxActionSyncPrivateData, showStatus},
  };
  for (const auto& [known, action] : kActions) {
    if (std::strcmp(name, known) == 0) return action;
  }
  return nullptr;
}

OfxStatus failed(Instance* instance, const char* action, const Failure& failure) {
  // Only a render's failure is the user's to know; the other actions fall back to what the host does by default.
  if (std::strcmp(action, kOfxImageEffectActionRender) != 0) return kOfxStatReplyDefault;
  if (instance) instance->messages.fail(failure);
  return failure.code() == "out_of_memory" ? kOfxStatErrMemory : kOfxStatFailed;
}

OfxStatus act(Instance* instance, const char* name, const PropertySet& in, const PropertySet& out) {
  const Action action = actionNamed(name);
  if (!action) return kOfxStatReplyDefault;
  if (!instance) return kOfxStatErrBadHandle;
  try {
    return action(*instance, in, out);
  } catch (const Failure& failure) {
    return failed(instance, name, failure);
  } catch (const std::bad_alloc&) {
    return failed(instance, name, {"out_of_memory", "The host has no memory left for this frame."});
  } catch (const std::exception& error) {
    return failed(instance, name, {"error", std::string("The edit failed: ") + error.what() + "."});
  }
}

OfxStatus dispatch(std::size_t nth, const char* action, const void* object, OfxPropertySetHandle in,
                   OfxPropertySetHandle out) {
  const auto is = [action](const char* name) { return std::strcmp(action, name) == 0; };
  if (is(kOfxActionLoad)) return load(nth);
  if (is(kOfxActionUnload)) return unload(nth);
  const std::shared_ptr<Loaded> loaded = loadedNow();
  if (!loaded) return kOfxStatFailed;
  const Host& host = loaded->host;
  const EffectInfo& effect = kEffects[nth];
  auto* const handle = static_cast<OfxImageEffectHandle>(const_cast<void*>(object));
  if (is(kOfxActionDescribe)) return describe(host, effect, handle), kOfxStatOK;
  if (is(kOfxImageEffectActionDescribeInContext)) {
    return describeInContext(host, effect, handle, host.set(in).text(kOfxImageEffectPropContext)), kOfxStatOK;
  }
  if (is(kOfxActionCreateInstance)) return create(loaded, effect, handle);
  auto* const instance = static_cast<Instance*>(host.of(handle).pointer(kOfxPropInstanceData));
  if (is(kOfxActionDestroyInstance)) return destroy(host, handle, instance);
  return act(instance, action, host.set(in), host.set(out));
}

OfxStatus guarded(std::size_t nth, const char* action, const void* object, OfxPropertySetHandle in,
                  OfxPropertySetHandle out) noexcept {
  try {
    return action ? dispatch(nth, action, object, in, out) : kOfxStatErrValue;
  } catch (const ActionFailed& failure) {
    return failure.status;
  } catch (const std::bad_alloc&) {
    return kOfxStatErrMemory;
  } catch (...) {
    return kOfxStatFailed;
  }
}

void setHost(OfxHost* host) {
  const std::lock_guard<std::mutex> lock(process().mutex);
  process().host = host;
}

// An entry point is told neither whose it is nor, in Load, anything else: so each effect has its own.
template <std::size_t kNth>
OfxStatus entry(const char* action, const void* object, OfxPropertySetHandle in, OfxPropertySetHandle out) {
  return guarded(kNth, action, object, in, out);
}

template <std::size_t... kNth>
std::array<OfxPlugin, kMostEffects> makePlugins(std::index_sequence<kNth...>) {
  std::array<OfxPlugin, kMostEffects> plugins{OfxPlugin{kOfxImageEffectPluginApi, kOfxImageEffectPluginApiVersion,
                                                        nullptr, kMajor, kMinor, setHost, entry<kNth>}...};
  for (std::size_t i = 0; i < kEffectCount && i < kMostEffects; ++i) plugins[i].pluginIdentifier = kEffects[i].id;
  return plugins;
}

}  // namespace
}  // namespace latensify::ofx

OfxExport OfxPlugin* OfxGetPlugin(int nth) {
  using namespace latensify;
  static auto plugins = ofx::makePlugins(std::make_index_sequence<ofx::kMostEffects>());
  const bool there = nth >= 0 && nth < OfxGetNumberOfPlugins();
  return there ? &plugins[static_cast<std::size_t>(nth)] : nullptr;
}

OfxExport int OfxGetNumberOfPlugins() {
  return static_cast<int>(latensify::kEffectCount < latensify::ofx::kMostEffects ? latensify::kEffectCount
                                                                                 : latensify::ofx::kMostEffects);
}

OfxExport OfxStatus OfxSetHost(const OfxHost*) { return kOfxStatOK; }
