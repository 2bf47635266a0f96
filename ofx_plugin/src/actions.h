// The actions of an instance that ask no server.
#pragma once

#include "instance.h"

namespace latensify::ofx {

OfxStatus isIdentity(Instance& instance, const PropertySet& in, const PropertySet& out);
OfxStatus clipPreferences(Instance& instance, const PropertySet& in, const PropertySet& out);
OfxStatus regionOfDefinition(Instance& instance, const PropertySet& in, const PropertySet& out);
OfxStatus regionsOfInterest(Instance& instance, const PropertySet& in, const PropertySet& out);
OfxStatus framesNeeded(Instance& instance, const PropertySet& in, const PropertySet& out);
OfxStatus instanceChanged(Instance& instance, const PropertySet& in, const PropertySet& out);
OfxStatus showStatus(Instance& instance, const PropertySet& in, const PropertySet& out);

}  // namespace latensify::ofx
