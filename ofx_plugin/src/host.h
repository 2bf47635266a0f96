// The host: its suites, and what it says about itself.
#pragma once

#include <string>

#include "properties.h"

namespace latensify::ofx {

// Ends an action with a status and no words to the user.
struct ActionFailed {
  OfxStatus status;
};

struct Host {
  // Always there once the plugin is loaded.
  const OfxPropertySuiteV1* properties = nullptr;
  const OfxImageEffectSuiteV1* effects = nullptr;
  const OfxParameterSuiteV1* params = nullptr;
  // NULL where the host lacks them, or has them with holes.
  const OfxMessageSuiteV1* message = nullptr;
  const OfxMessageSuiteV2* persistentMessage = nullptr;
  const OfxProgressSuiteV1* progress = nullptr;
  const OfxProgressSuiteV2* progressWithId = nullptr;

  std::string name;
  bool temporal = false;  // whether a fetch of another frame really gives that frame
  bool half = false;      // whether half float is a word that the host knows
  bool animatesChoices = true;
  bool animatesBooleans = true;

  PropertySet set(OfxPropertySetHandle handle) const { return {properties, handle}; }
  PropertySet of(OfxImageEffectHandle effect) const;
  bool aborted(OfxImageEffectHandle effect) const { return effects->abort && effects->abort(effect) != 0; }
};

// Throws ActionFailed with kOfxStatErrMissingHostFeature when a suite is missing that the plugin cannot do without.
Host readHost(const OfxHost* host);

// The colour space of the frames that a host hands over, where the user has not said.
const char* usualColourSpace(const std::string& hostName);

}  // namespace latensify::ofx
