// Describe and DescribeInContext: the panel and the clips of an effect, from the generated table.
#pragma once

#include <string>

#include "effects_table.h"
#include "host.h"

namespace latensify::ofx {

inline constexpr const char* kMaskClip = "Mask";
inline constexpr const char* kStatusParam = "status";
inline constexpr const char* kRefreshParam = "refresh_status";
inline constexpr const char* kProcessParam = "process_range";
inline constexpr const char* kRequestParam = "process_request";
inline constexpr const char* kFitParam = "fit_shot";
inline constexpr const char* kFitRequestParam = "fit_request";

void describe(const Host& host, const EffectInfo& effect, OfxImageEffectHandle handle);
void describeInContext(const Host& host, const EffectInfo& effect, OfxImageEffectHandle handle,
                       const std::string& context);

}  // namespace latensify::ofx
