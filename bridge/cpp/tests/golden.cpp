#include <cstring>
#include <iostream>

#include "bridge_test.hpp"
#include "latensify/composite.hpp"
#include "latensify/frames.hpp"
#include "latensify/windows.hpp"
#include "messages.hpp"

namespace latensify::tests {
namespace {

const std::string kFrame = "0123456789abcdef0123456789abcdef";
const std::string kOther = "fedcba9876543210fedcba9876543210";
const std::string kMask = "00112233445566778899aabbccddeeff";
const std::string kSegment = "seg-1f-0123456789abcdef";

template <typename T>
std::vector<T> numbersOf(const std::vector<char>& bytes) {
  std::vector<T> numbers(bytes.size() / sizeof(T));
  if (!numbers.empty()) std::memcpy(numbers.data(), bytes.data(), numbers.size() * sizeof(T));
  return numbers;
}

template <typename T>
void writeNumbers(const std::string& path, const std::vector<T>& numbers) {
  writeFile(path, numbers.data(), numbers.size() * sizeof(T));
}

Json jsonFile(const std::string& path) { return Json::parse(fileBytes(path)); }

Json ofWelcome(const Json& message) {
  const Welcome read = readWelcome(message);
  Json shared;
  if (!read.tokenFile.empty()) shared = {{"name", read.tokenFile}, {"token", read.token}};
  return {{"protocol", readInteger(message, "protocol")},
          {"server", read.server},
          {"effects", read.effects},
          {"models", read.models},
          {"device", read.device},
          {"max_frame_bytes", read.maxFrameBytes},
          {"shared_memory", shared}};
}

Json ofResult(const Json& message) {
  const ResultHead read = readResult(message);
  const Json box = {
      {"x0", read.box.x0}, {"y0", read.box.y0}, {"width", read.box.width}, {"height", read.box.height}};
  return {{"frame", read.frame},   {"box", box},
          {"depth", read.depth},   {"model", read.model},
          {"key", read.key},       {"model_hash", read.modelHash},
          {"cached", read.cached}, {"seconds", read.seconds},
          {"note", read.note},     {"segment", read.segment}};
}

Json ofFailure(const Json& message) {
  const Failure read = readFailure(message);
  return {{"code", read.code()}, {"message", read.what()}};
}

Json ofFitted(const Json& message) {
  const Fitted read = readFitted(message);
  return {{"fit", read.fit}, {"cached", read.cached}, {"seconds", read.seconds}};
}

Json ofProgress(const Json& message) {
  const Waiting read = readProgress(message);
  return {{"fraction", read.fraction}, {"stage", read.stage}, {"ahead", read.ahead}};
}

// A message as the client reads it. Throws misbehaved.
Json read(const std::vector<char>& bytes) {
  const Json message = decode(reinterpret_cast<const std::byte*>(bytes.data()), bytes.size());
  const std::string type = readText(message, "type");
  Json fields;
  if (type == "welcome") fields = ofWelcome(message);
  if (type == "need") fields = {{"frames", readTexts(message, "frames")}};
  if (type == "stored") fields = {{"frame", readText(message, "frame")}};
  if (type == "progress") fields = ofProgress(message);
  if (type == "result") fields = ofResult(message);
  if (type == "fitted") fields = ofFitted(message);
  if (type == "failure") fields = ofFailure(message);
  if (fields.is_null()) throw Failure("misbehaved", "A message of the type '" + type + "', which no client asks for.");
  fields["type"] = type;
  fields["id"] = readText(message, "id");
  return fields;
}

EditRequest plainRequest() {
  EditRequest request;
  request.effect = "restyle";
  request.params = {{"prompt", std::string("winter")}, {"window", std::int64_t{1}}, {"overlap", std::int64_t{0}}};
  request.frame = request.first = request.last = 7;
  request.sources = {{7, kFrame, ""}};
  return request;
}

EditRequest fullRequest() {
  EditRequest request;
  request.effect = "remove";
  request.params = {{"prompt", std::string("ciel d\xC3\xA9gag\xC3\xA9")},
                    {"strength", 0.1},
                    {"guidance_scale", 7.5},
                    {"seed", std::int64_t{2147483647}},
                    {"propagate", true}};
  request.frame = -2;
  request.first = -2147483648;
  request.last = 2147483647;
  request.sources = {{-3, kFrame, kMask}, {-2, kOther, kMask}, {-1, kFrame, ""}};
  request.depth = Depth::kFloat;
  request.renderScale = 0.5;
  request.pixelAspect = 1.4587;
  request.interactive = false;
  request.fresh = "run-1";
  request.lone = true;
  return request;
}

FitRequest fitRequest() {
  FitRequest request;
  request.effect = "remove";
  request.params = {{"seed", std::int64_t{7}}, {"fill", std::string("fitted")}};
  request.sources = {{1001, kFrame, kMask}, {1002, kOther, ""}};
  request.renderScale = 0.5;
  return request;
}

std::vector<char> unhexed(const std::string& line) {
  std::vector<char> bytes(line.size() / 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(std::stoi(line.substr(2 * i, 2), nullptr, 16));
  return bytes;
}

std::vector<float> asFloats(const std::vector<char>& bytes, const std::string& depth) {
  if (depth == depthName(Depth::kFloat)) return numbersOf<float>(bytes);
  const auto halves = numbersOf<std::uint16_t>(bytes);
  std::vector<float> floats(halves.size());
  floatsFromHalves(halves.data(), floats.data(), halves.size());
  return floats;
}

}  // namespace

void readMessages(const Words& files) {
  for (const std::string& file : files) std::cout << read(fileBytes(file)) << "\n";
}

void readMutants() {
  for (std::string line; std::getline(std::cin, line);) {
    try {
      read(unhexed(line));
      std::cout << "ok\n";
    } catch (const Failure& failure) {
      std::cout << failure.code() << "\n";
    }
  }
}

void writeMessages(const Words& folder) {
  const auto write = [&](const std::string& name, const Json& message) {
    const std::string bytes = encode(message);
    writeFile(folder.at(0) + "/" + name + ".msgpack", bytes.data(), bytes.size());
  };
  write("hello", helloOf("c0ffee-1", "Latensify 0.1.0", "Resolve 19.1"));
  write("have", haveOf("c0ffee-2", {kFrame, kOther}));
  write("put_inline", putOf("c0ffee-3", kFrame, {1920, 1080, 4, Depth::kHalf}, Json(nullptr)));
  write("put_segment", putOf("c0ffee-4", kMask, {2048, 858, 1, Depth::kFloat}, segmentOf(kSegment, 7028736)));
  write("submit_plain", submitOf("c0ffee-5", plainRequest(), Json(nullptr)));
  write("submit_full", submitOf("c0ffee-6", fullRequest(), segmentOf(kSegment, 33177600)));
  write("fit", fitOf("c0ffee-8", fitRequest()));
  write("cancel", cancelOf("c0ffee-6"));
}

void printWindows(const Words& file) {
  for (const Json& item : jsonFile(file.at(0))) {
    const int frame = item.at("frame"), first = item.at("first"), last = item.at("last");
    const int window = item.at("window"), overlap = item.at("overlap");
    Json found = Json::array();
    for (const Window& w : windowsOf(frame, first, last, window, overlap)) found.push_back({w.index, w.first, w.last});
    const FrameRange needed = framesOf(frame, first, last, window, overlap);
    std::cout << Json{{"windows", found}, {"frames", {needed.first, needed.last}}} << "\n";
  }
}

void printNames(const Words& file) {
  const auto bytes = fileBytes(file.at(1));
  for (const Json& item : jsonFile(file.at(0))) {
    const Depth depth = item.at("depth") == "half" ? Depth::kHalf : Depth::kFloat;
    const FrameSpec spec{item.at("width"), item.at("height"), item.at("channels"), depth};
    if (spec.bytes() > bytes.size()) throw std::runtime_error("too few bytes for this spec");
    std::cout << frameName(spec, bytes.data()) << "\n";
  }
}

void writeComposites(const Words& inAndOut) {
  for (const Json& item : jsonFile(inAndOut.at(0) + "/cases.json")) {
    const std::string name = item.at("name");
    const std::size_t width = item.at("width"), height = item.at("height"), channels = item.at("channels");
    auto plate = numbersOf<float>(fileBytes(inAndOut.at(0) + "/" + name + ".plate"));
    const auto edit = asFloats(fileBytes(inAndOut.at(0) + "/" + name + ".edit"), item.at("depth"));
    const float* const matte = edit.data() + 3 * width * height;
    for (std::size_t y = 0; y < height; ++y) {
      compositeRow(plate.data() + y * width * channels, static_cast<int>(channels), edit.data() + 3 * y * width,
                   matte + y * width, static_cast<int>(width), item.at("mix"), item.at("premultiplied"));
    }
    writeNumbers(inAndOut.at(1) + "/" + name + ".out", plate);
  }
}

void writeQuantised(const Words& levelsInOut) {
  std::vector<std::uint32_t> out;
  const auto levels = static_cast<std::uint32_t>(std::stoul(levelsInOut.at(0)));
  for (const float value : numbersOf<float>(fileBytes(levelsInOut.at(1)))) out.push_back(quantise(value, levels));
  writeNumbers(levelsInOut.at(2), out);
}

void writeHalves(const Words& inAndOut) {
  const auto floats = numbersOf<float>(fileBytes(inAndOut.at(0)));
  const std::string& folder = inAndOut.at(1);
  std::vector<std::uint16_t> single(floats.size()), rows(floats.size()), all(65536);
  for (std::size_t i = 0; i < floats.size(); ++i) single[i] = halfFromFloat(floats[i]);
  halvesFromFloats(floats.data(), rows.data(), floats.size());
  writeNumbers(folder + "/halves.single", single);
  writeNumbers(folder + "/halves.rows", rows);
  std::vector<float> singleFloats(all.size()), rowFloats(all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i] = static_cast<std::uint16_t>(i);
    singleFloats[i] = floatFromHalf(all[i]);
  }
  for (std::size_t at = 0; at < all.size(); at += 13) {  // every row ends in a rest that no vector holds
    floatsFromHalves(all.data() + at, rowFloats.data() + at, std::min<std::size_t>(13, all.size() - at));
  }
  writeNumbers(folder + "/floats.single", singleFloats);
  writeNumbers(folder + "/floats.rows", rowFloats);
}

}  // namespace latensify::tests
