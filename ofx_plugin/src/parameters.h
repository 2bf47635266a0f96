// The parameters of an instance: read at a time into a plain struct before any work begins.
#pragma once

#include <string>
#include <vector>

#include "describe.h"
#include "effects_table.h"
#include "host.h"
#include "latensify/client.hpp"

namespace latensify::ofx {

// Where the matte of a frame comes from. The box is in parts of the frame, from its left and top.
struct MaskSettings {
  std::string source = "none";  // none, clip, source_alpha or box
  std::string channel;
  bool invert = false;
  double x = 0, y = 0, width = 0, height = 0;
};

struct Snapshot {
  std::vector<Param> edit;  // what travels, in the order of the table
  MaskSettings mask;
  double mix = 1;
  int window = 1, overlap = 0;
  int frameOffset = 0;
  std::string server;
  double timeoutS = 600;
  bool changesNothing = false;  // the output would be the source, whatever the mask

  // The one frame that a host without temporal access hands over.
  void keepToOneFrame();
};

// Whether the output would be the source, whatever the mask. The same rule as latensify_bridge.effects.changes_nothing.
bool changesNothing(const EffectInfo& effect, const std::vector<Param>& edit, double mix);

class Parameters {
 public:
  Parameters(const Host& host, const EffectInfo& effect, OfxImageEffectHandle handle);

  // Throws Failure("bad_parameter") for what the declaration does not allow.
  Snapshot at(OfxTime time) const;
  MaskSettings maskAt(OfxTime time) const;
  int processRequest() const { return token(kRequestParam); }
  int fitRequest() const { return token(kFitRequestParam); }

  // Only in actions where the host lets a plugin set values.
  void setStatus(const std::string& text) const;
  void setProcessRequest(int token) const { set(kRequestParam, token); }
  void setFitRequest(int token) const { set(kFitRequestParam, token); }
  void choose(const char* name, const char* option) const;

 private:
  using Value = decltype(Param::value);
  Value value(std::size_t index, OfxTime time) const;
  template <typename T>
  T get(const char* name, OfxTime time) const;
  OfxParamHandle handle(const char* name) const;
  int token(const char* name) const;
  void set(const char* name, int number) const;

  const Host& host_;
  const EffectInfo& effect_;
  OfxParamSetHandle set_ = nullptr;
  std::vector<OfxParamHandle> handles_;  // NULL: the host has no such parameter, and its default holds
};

// A number for a sentence, in the same form in every locale.
std::string written(double value);

}  // namespace latensify::ofx
