// The messages of protocol v1 (docs/protocol.md, latensify_bridge/protocol.py) as msgpack.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>

#include "latensify/client.hpp"

namespace latensify {

using Json = nlohmann::json;

const int kProtocol = 1;

std::string encode(const Json& message);

// Throws misbehaved where the bytes are no map with the text fields `type` and `id`, or one nested too deep.
Json decode(const std::byte* data, std::size_t size);

Json segmentOf(const std::string& name, std::size_t size);
Json helloOf(const std::string& id, const std::string& client, const std::string& host);
Json haveOf(const std::string& id, const std::vector<std::string>& frames);
Json putOf(const std::string& id, const std::string& frame, const FrameSpec& spec, const Json& segment);
Json submitOf(const std::string& id, const EditRequest& request, const Json& output);
Json fitOf(const std::string& id, const FitRequest& request);
Json cancelOf(const std::string& id);

// What a result says of its pixels, which come in its segment, or, where that is null, beside it.
struct ResultHead {
  std::int64_t frame;
  Box box;
  std::string depth;
  std::string model;
  std::string modelHash;
  std::string key;
  bool cached;
  double seconds;
  std::string note;
  Json segment;
};

// Readers; all throw misbehaved where a field is missing or of the wrong type.
Welcome readWelcome(const Json& message);
Waiting readProgress(const Json& message);
ResultHead readResult(const Json& message);
Fitted readFitted(const Json& message);
Failure readFailure(const Json& message);
std::string readText(const Json& message, const char* field);
std::int64_t readInteger(const Json& message, const char* field);
std::vector<std::string> readTexts(const Json& message, const char* field);

}  // namespace latensify
