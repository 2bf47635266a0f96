#include "messages.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "latensify/failure.hpp"

namespace latensify {
namespace {

const std::size_t kLongestHeader = std::size_t{1} << 20;
const int kDeepest = 8;  // maps and lists within each other; messages need three

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

// Stops at what is nested too deep. The parser recurses: a header of brackets alone would end the host's stack.
class DepthGauge : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool key(string_t&) override { return true; }
  bool start_object(std::size_t) override { return ++depth_ <= kDeepest; }
  bool start_array(std::size_t) override { return ++depth_ <= kDeepest; }
  bool end_object() override { return depth_-- > 0; }
  bool end_array() override { return depth_-- > 0; }
  bool parse_error(std::size_t, const std::string&, const Json::exception&) override { return false; }

 private:
  int depth_ = 0;
};

bool readBool(const Json& message, const char* field) {
  return as<bool>(message, field, at(message, field).is_boolean());
}

double readNumber(const Json& message, const char* field) {
  return as<double>(message, field, at(message, field).is_number());
}

// Every whole number travels as a float where the declaration says float: the server takes either.
Json paramsOf(const std::vector<Param>& params) {
  Json map = Json::object();
  for (const Param& param : params) {
    std::visit([&](const auto& value) { map[param.name] = value; }, param.value);
  }
  return map;
}

Json sourcesOf(const std::vector<SourceName>& names) {
  Json sources = Json::array();
  for (const SourceName& source : names) {
    const Json mask = source.mask.empty() ? Json(nullptr) : Json(source.mask);
    sources.push_back({{"number", source.number}, {"pixels", source.pixels}, {"mask", mask}});
  }
  return sources;
}

int sideOf(const Json& box, const char* field) {
  const std::int64_t value = readInteger(box, field);
  if (value < 0 || value > 32768) misbehaved(std::string("a box whose '") + field + "' cannot be");
  return static_cast<int>(value);
}

Box readBox(const Json& message) {
  const Json& box = at(message, "box");
  if (!box.is_object()) misbehaved("a 'box' of the wrong type");
  return {sideOf(box, "x0"), sideOf(box, "y0"), sideOf(box, "width"), sideOf(box, "height")};
}

}  // namespace

std::string encode(const Json& message) {
  const auto bytes = Json::to_msgpack(message);
  return {bytes.begin(), bytes.end()};
}

Json decode(const std::byte* data, std::size_t size) {
  if (size > kLongestHeader) misbehaved("a header of " + std::to_string(size) + " bytes");
  const auto* const begin = reinterpret_cast<const char*>(data);
  DepthGauge gauge;
  const bool whole = Json::sax_parse(begin, begin + size, &gauge, Json::input_format_t::msgpack);
  if (!whole) misbehaved("a header that is no msgpack map");
  Json message = Json::from_msgpack(begin, begin + size, true, false);
  if (!message.is_object()) misbehaved("a header that is no msgpack map");
  readText(message, "type");
  readText(message, "id");
  return message;
}

Json segmentOf(const std::string& name, std::size_t size) { return {{"name", name}, {"offset", 0}, {"size", size}}; }

Json helloOf(const std::string& id, const std::string& client, const std::string& host) {
  return {{"type", "hello"}, {"id", id}, {"protocol", kProtocol}, {"client", client}, {"host", host}};
}

Json haveOf(const std::string& id, const std::vector<std::string>& frames) {
  return {{"type", "have"}, {"id", id}, {"frames", frames}};
}

Json putOf(const std::string& id, const std::string& frame, const FrameSpec& spec, const Json& segment) {
  const Json shape = {{"width", spec.width},
                      {"height", spec.height},
                      {"channels", spec.channels},
                      {"depth", depthName(spec.depth)}};
  return {{"type", "put"}, {"id", id}, {"frame", frame}, {"spec", shape}, {"segment", segment}};
}

Json submitOf(const std::string& id, const EditRequest& request, const Json& output) {
  return {{"type", "submit"},
          {"id", id},
          {"effect", request.effect},
          {"params", paramsOf(request.params)},
          {"frame", request.frame},
          {"first", request.first},
          {"last", request.last},
          {"sources", sourcesOf(request.sources)},
          {"depth", depthName(request.depth)},
          {"render_scale", request.renderScale},
          {"pixel_aspect", request.pixelAspect},
          {"interactive", request.interactive},
          {"fresh", request.fresh},
          {"lone", request.lone},
          {"output", output}};
}

Json fitOf(const std::string& id, const FitRequest& request) {
  return {{"type", "fit"},
          {"id", id},
          {"effect", request.effect},
          {"params", paramsOf(request.params)},
          {"sources", sourcesOf(request.sources)},
          {"render_scale", request.renderScale}};
}

Json cancelOf(const std::string& id) { return {{"type", "cancel"}, {"id", id}}; }

std::string readText(const Json& message, const char* field) {
  return as<std::string>(message, field, at(message, field).is_string());
}

std::int64_t readInteger(const Json& message, const char* field) {
  const Json& value = at(message, field);
  const auto largest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  const bool fits =
      value.is_number_integer() && (!value.is_number_unsigned() || value.get<std::uint64_t>() <= largest);
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
  if (shared == message.end() || shared->is_null()) return welcome;
  if (!shared->is_object()) misbehaved("a 'shared_memory' of the wrong type");
  welcome.tokenFile = readText(*shared, "name");
  welcome.token = readText(*shared, "token");
  return welcome;
}

Waiting readProgress(const Json& message) {
  const double fraction = readNumber(message, "fraction");
  const std::int64_t ahead = message.contains("ahead") ? readInteger(message, "ahead") : 0;
  return {std::isfinite(fraction) ? std::clamp(fraction, 0.0, 1.0) : 0, readText(message, "stage"),
          static_cast<int>(std::clamp<std::int64_t>(ahead, 0, std::numeric_limits<int>::max()))};
}

ResultHead readResult(const Json& message) {
  ResultHead result;
  result.frame = readInteger(message, "frame");
  result.box = readBox(message);
  result.depth = readText(message, "depth");
  result.model = readText(message, "model");
  result.modelHash = readText(message, "model_hash");
  result.key = readText(message, "key");
  result.cached = readBool(message, "cached");
  result.seconds = message.contains("seconds") ? readNumber(message, "seconds") : 0;
  result.note = message.contains("note") ? readText(message, "note") : "";
  result.segment = message.value("segment", Json(nullptr));
  return result;
}

Fitted readFitted(const Json& message) {
  return {readText(message, "fit"), readBool(message, "cached"),
          message.contains("seconds") ? readNumber(message, "seconds") : 0};
}

Failure readFailure(const Json& message) { return {readText(message, "code"), readText(message, "message")}; }

}  // namespace latensify
