// A property set that the host owns. Getters answer with a fallback where the host says no or gives NULL; setters say
// whether the host took the value, and a host that does not know a property is survived.
#pragma once

#include <string>
#include <vector>

#include "ofx_api.h"

namespace latensify::ofx {

class PropertySet {
 public:
  PropertySet() = default;
  PropertySet(const OfxPropertySuiteV1* suite, OfxPropertySetHandle handle) : suite_(suite), handle_(handle) {}

  explicit operator bool() const { return suite_ && handle_; }

  std::string text(const char* name, const char* fallback = "", int index = 0) const {
    char* value = nullptr;
    const bool found = *this && suite_->propGetString(handle_, name, index, &value) == kOfxStatOK && value;
    return found ? value : fallback;
  }

  std::vector<std::string> texts(const char* name) const {
    std::vector<std::string> values(static_cast<std::size_t>(dimension(name)));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = text(name, "", static_cast<int>(i));
    return values;
  }

  int integer(const char* name, int fallback, int index = 0) const {
    int value = fallback;
    const bool found = *this && suite_->propGetInt(handle_, name, index, &value) == kOfxStatOK;
    return found ? value : fallback;
  }

  double number(const char* name, double fallback, int index = 0) const {
    double value = fallback;
    const bool found = *this && suite_->propGetDouble(handle_, name, index, &value) == kOfxStatOK;
    return found ? value : fallback;
  }

  void* pointer(const char* name) const {
    void* value = nullptr;
    const bool found = *this && suite_->propGetPointer(handle_, name, 0, &value) == kOfxStatOK;
    return found ? value : nullptr;
  }

  // How many values a property has; 0 where the host does not know it.
  int dimension(const char* name) const {
    int count = 0;
    const bool found = *this && suite_->propGetDimension(handle_, name, &count) == kOfxStatOK;
    return found && count > 0 ? count : 0;
  }

  bool set(const char* name, const char* value, int index = 0) const {
    return *this && suite_->propSetString(handle_, name, index, value) == kOfxStatOK;
  }
  bool set(const char* name, int value, int index = 0) const {
    return *this && suite_->propSetInt(handle_, name, index, value) == kOfxStatOK;
  }
  bool set(const char* name, double value, int index = 0) const {
    return *this && suite_->propSetDouble(handle_, name, index, value) == kOfxStatOK;
  }
  bool setPointer(const char* name, void* value) const {
    return *this && suite_->propSetPointer(handle_, name, 0, value) == kOfxStatOK;
  }

 private:
  const OfxPropertySuiteV1* suite_ = nullptr;
  OfxPropertySetHandle handle_ = nullptr;
};

}  // namespace latensify::ofx
