#include "host.h"

#include <algorithm>

namespace latensify::ofx {
namespace {

const char* const kResolve = "DaVinciResolve";  // DaVinciResolveLite too

bool startsWith(const std::string& text, const char* start) { return text.rfind(start, 0) == 0; }

template <typename Suite>
const Suite* fetch(const OfxHost& host, const char* name, int version) {
  return static_cast<const Suite*>(host.fetchSuite(host.host, name, version));
}

bool whole(const OfxPropertySuiteV1* suite) {
  return suite && suite->propSetPointer && suite->propSetString && suite->propSetDouble && suite->propSetInt &&
         suite->propGetPointer && suite->propGetString && suite->propGetDouble && suite->propGetInt &&
         suite->propGetDimension;
}

bool whole(const OfxImageEffectSuiteV1* suite) {
  return suite && suite->getPropertySet && suite->getParamSet && suite->clipDefine && suite->clipGetHandle &&
         suite->clipGetImage && suite->clipReleaseImage && suite->clipGetRegionOfDefinition;
}

bool whole(const OfxParameterSuiteV1* suite) {
  return suite && suite->paramDefine && suite->paramGetHandle && suite->paramSetGetPropertySet &&
         suite->paramGetValue && suite->paramGetValueAtTime && suite->paramSetValue;
}

void readSuites(const OfxHost& given, Host& host) {
  host.effects = fetch<OfxImageEffectSuiteV1>(given, kOfxImageEffectSuite, 1);
  host.params = fetch<OfxParameterSuiteV1>(given, kOfxParameterSuite, 1);
  if (!whole(host.effects) || !whole(host.params)) throw ActionFailed{kOfxStatErrMissingHostFeature};
  host.message = fetch<OfxMessageSuiteV1>(given, kOfxMessageSuite, 1);
  if (host.message && !host.message->message) host.message = nullptr;
  // Some Resolves answer the second version with a suite that cannot be called.
  if (!startsWith(host.name, kResolve)) {
    host.persistentMessage = fetch<OfxMessageSuiteV2>(given, kOfxMessageSuite, 2);
    const auto* suite = host.persistentMessage;
    if (suite && !(suite->setPersistentMessage && suite->clearPersistentMessage)) host.persistentMessage = nullptr;
  }
  host.progressWithId = fetch<OfxProgressSuiteV2>(given, kOfxProgressSuite, 2);
  host.progress = fetch<OfxProgressSuiteV1>(given, kOfxProgressSuite, 1);
  const auto usable = [](const auto* suite) {
    return suite && suite->progressStart && suite->progressUpdate && suite->progressEnd;
  };
  if (!usable(host.progressWithId)) host.progressWithId = nullptr;
  if (!usable(host.progress)) host.progress = nullptr;
}

}  // namespace

PropertySet Host::of(OfxImageEffectHandle effect) const {
  OfxPropertySetHandle handle = nullptr;
  return effect && effects->getPropertySet(effect, &handle) == kOfxStatOK ? set(handle) : PropertySet();
}

Host readHost(const OfxHost* given) {
  if (!given || !given->fetchSuite) throw ActionFailed{kOfxStatErrMissingHostFeature};
  Host host;
  host.properties = fetch<OfxPropertySuiteV1>(*given, kOfxPropertySuite, 1);
  if (!whole(host.properties)) throw ActionFailed{kOfxStatErrMissingHostFeature};
  const PropertySet about = host.set(given->host);
  host.name = about.text(kOfxPropName);
  readSuites(*given, host);
  host.temporal = about.integer(kOfxImageEffectPropTemporalClipAccess, 0) != 0;
  const auto depths = about.texts(kOfxImageEffectPropSupportedPixelDepths);
  host.half = std::find(depths.begin(), depths.end(), kOfxBitDepthHalf) != depths.end();
  host.animatesChoices = about.integer(kOfxParamHostPropSupportsChoiceAnimation, 0) != 0;
  host.animatesBooleans = about.integer(kOfxParamHostPropSupportsBooleanAnimation, 0) != 0;
  return host;
}

const char* usualColourSpace(const std::string& hostName) {
  if (startsWith(hostName, kResolve)) return "rec709";
  const bool linear = hostName == "uk.co.thefoundry.nuke" || hostName == "fr.inria.Natron";
  return linear ? "linear_rec709" : "srgb";
}

}  // namespace latensify::ofx
