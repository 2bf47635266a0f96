#include "messages.hpp"

#include <limits>

#include "latensify/failure.hpp"

namespace latensify {
namespace {

const std::size_t kLongestHeader = std::size_t{1} << 20;

[[noreturn]] void misbehaved(const std::string& what) {
  throw Failure("misbehaved", "The server sent what protocol 1 does not allow: " + what +
                                  "; install the same Latensify on both sides.");
}

const Json& at(const Json& message, const char* field) {
  const auto found = message.find(field);
  if (found == message.end()) misbehaved(std::string("a message without '") + field + "'");
  return *found;
}

template <typename T>
T as(const Json& message, const char* field, bool fits) {
  if (!fits) misbehaved(std::string("a '") + field + "' of the wrong type");
  return message.at(field).get<T>();
}

// Every whole number travels as a float where the declaration says float: the server takes either.
Json paramsOf(const std::vector<Param>& params) {
  Json map = Json::object();
  for (const Param& param : params) {
    std::visit([&](const auto& value) { map[param.name] = value; }, param.value);
  }
  return map;
}

int sideOf(const Json& box, const char* field) {
  const std::int64_t value = readInteger(box, field);
  if (value < 0 || value > 32768) misbehaved(std::string("a box whose '") + field + "' cannot be");
  return static_cast<int>(value);
}

}  // namespace

std::string encode(const Json& message) {
  const auto bytes = Json::to_msgpack(message);
  return {bytes.begin(), bytes.end()};
}

Json decode(const std::byte* data, std::size_t size) {
  if (size > kLongestHeader) misbehaved("a header of " + std::to_string(size) + " bytes");
  const auto* const begin = reinterpret_cast<const char*>(data);
  Json message = Json::from_msgpack(begin, begin + size, true, false);
  if (message.is_discarded() || !message.is_object()) misbehaved("a header that is no msgpack map");
  readText(message, "type");
  readText(message, "id");
  return message;
}

Json segmentOf(const std::string& name, std::size_t size) { return {{"name", name}, {"offset", 0}, {"size", size}}; }

Json helloOf(const std::string& id, const std::string& client, const std::string& host) {
  return {{"type", "hello"}, {"id", id}, {"protocol", kProtocol}, {"client", client}, {"host", host}};
}

Json putOf(const std::string& id, const std::string& frame, const FrameSpec& spec, const Json& segment) {
  const Json shape = {{"width", spec.width},
                      {"height", spec.height},
                      {"channels", spec.channels},
                      {"depth", depthName(spec.depth)}};
  return {{"type", "put"}, {"id", id}, {"frame", frame}, {"spec", shape}, {"segment", segment}};
}

Json submitOf(const std::string& id, const EditRequest& request, const Json& output) {
  Json sources = Json::array();
  for (const SourceName& source : request.sources) {
    const Json mask = source.mask.empty() ? Json(nullptr) : Json(source.mask);
    sources.push_back({{"number", source.number}, {"pixels", source.pixels}, {"mask", mask}});
  }
  return {{"type", "submit"},
          {"id", id},
          {"effect", request.effect},
          {"params", paramsOf(request.params)},
          {"frame", request.frame},
          {"first", request.first},
          {"last", request.last},
          {"sources", sources},
          {"depth", depthName(request.depth)},
          {"render_scale", request.renderScale},
          {"pixel_aspect", request.pixelAspect},
          {"interactive", request.interactive},
          {"fresh", request.fresh},
          {"output", output}};
}

std::string readText(const Json& message, const char* field) {
  return as<std::string>(message, field, at(message, field).is_string());
}

bool readBool(const Json& message, const char* field) {
  return as<bool>(message, field, at(message, field).is_boolean());
}

double readNumber(const Json& message, const char* field) {
  return as<double>(message, field, at(message, field).is_number());
}

std::int64_t readInteger(const Json& message, const char* field) {
  const Json& value = at(message, field);
  const bool fits = value.is_number_integer() &&
                    (!value.is_number_unsigned() || value.get<std::uint64_t>() <= std::uint64_t(std::numeric_limits<std::int64_t>::max()));
  return as<std::int64_t>(message, field, fits);
}

std::vector<std::string> readTexts(const Json& message, const char* field) {
  std::vector<std::string> texts;
  if (!at(message, field).is_array()) misbehaved(std::string("a '") + field + "' of the wrong type");
  for (const Json& text : message.at(field)) {
    if (!text.is_string()) misbehaved(std::string("a '") + field + "' of the wrong type");
    texts.push_back(text.get<std::string>());
  }
  return texts;
}

Welcome readWelcome(const Json& message) {
  Welcome welcome;
  welcome.server = readText(message, "server");
  welcome.effects = readTexts(message, "effects");
  welcome.models = readTexts(message, "models");
  welcome.device = readText(message, "device");
  welcome.maxFrameBytes = static_cast<std::size_t>(readInteger(message, "max_frame_bytes"));
  const auto shared = message.find("shared_memory");
  if (shared != message.end() && shared->is_object()) {
    welcome.tokenFile = readText(*shared, "name");
    welcome.token = readText(*shared, "token");
  }
  return welcome;
}

Box readBox(const Json& message) {
  const Json& box = at(message, "box");
  if (!box.is_object()) misbehaved("a 'box' of the wrong type");
  return {sideOf(box, "x0"), sideOf(box, "y0"), sideOf(box, "width"), sideOf(box, "height")};
}

}  // namespace latensify
