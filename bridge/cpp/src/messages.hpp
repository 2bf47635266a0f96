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

// Throws misbehaved where the bytes are no map with the text fields `type` and `id`.
Json decode(const std::byte* data, std::size_t size);

Json segmentOf(const std::string& name, std::size_t size);
Json helloOf(const std::string& id, const std::string& client, const std::string& host);
Json putOf(const std::string& id, const std::string& frame, const FrameSpec& spec, const Json& segment);
Json submitOf(const std::string& id, const EditRequest& request, const Json& output);

// Readers; all throw misbehaved where a field is missing or of the wrong type.
Welcome readWelcome(const Json& message);
Box readBox(const Json& message);
std::string readText(const Json& message, const char* field);
bool readBool(const Json& message, const char* field);
double readNumber(const Json& message, const char* field);
std::int64_t readInteger(const Json& message, const char* field);
std::vector<std::string> readTexts(const Json& message, const char* field);

}  // namespace latensify
