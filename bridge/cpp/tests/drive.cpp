// {"name": ..., "endpoint": ..., "frame": ..., "sources": [...], ...} -> {"name": ..., "edited": {...}} or {"failure": ...}
// A request with "fit": true fits a model to its sources, and is answered by {"fitted": {...}}.
// {"together": [request, ...]} makes requests at once, each in a thread of its own, all with one bridge.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <iostream>
#include <limits>
#include <mutex>
#include <thread>

#include "bridge_test.hpp"
#include "latensify/client.hpp"

namespace latensify::tests {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

Depth depthOf(const Json& item) { return item.value("depth", "half") == "half" ? Depth::kHalf : Depth::kFloat; }

// What a host does in a wait: sees the progress, and stops when it is time.
class Host {
 public:
  explicit Host(double abortAfter) : abortAfter_(abortAfter) {}

  bool wait(const Waiting& waiting) {
    const double now = since(started_);
    longestGap_ = std::max(longestGap_, now - last_);
    last_ = now;
    const Json seen = {waiting.fraction, waiting.stage, waiting.ahead};
    if (!waiting.stage.empty() && (seen_.empty() || seen_.back() != seen)) seen_.push_back(seen);
    if (now < abortAfter_) return true;
    if (stopped_ < 0) stopped_ = now;
    return false;
  }

  Json report() const {
    Json report = {{"elapsed_s", since(started_)}, {"longest_gap_s", longestGap_}, {"seen", seen_}};
    if (stopped_ >= 0) report["stopping_took_s"] = since(started_) - stopped_;
    return report;
  }

 private:
  Clock::time_point started_ = Clock::now();
  double abortAfter_;
  double last_ = 0;
  double longestGap_ = 0;
  double stopped_ = -1;
  Json seen_ = Json::array();
};

std::string sent(Session& session, const Json& frame, const Wait& wait) {
  if (frame.contains("missing")) return frame.at("missing");  // the name of what is not sent
  const auto bytes = fileBytes(frame.at("file"));
  const FrameSpec spec{frame.at("width"), frame.at("height"), frame.at("channels"), depthOf(frame)};
  if (bytes.size() != spec.bytes()) throw std::runtime_error("the file does not hold such a frame");
  return session.send(spec, [&](std::byte* to) { std::memcpy(to, bytes.data(), bytes.size()); }, wait);
}

std::vector<Param> paramsOf(const Json& map) {
  std::vector<Param> params;
  for (const auto& [name, value] : map.items()) {
    if (value.is_boolean()) params.push_back({name, value.get<bool>()});
    if (value.is_number_integer()) params.push_back({name, value.get<std::int64_t>()});
    if (value.is_number_float()) params.push_back({name, value.get<double>()});
    if (value.is_string()) params.push_back({name, value.get<std::string>()});
  }
  return params;
}

EditRequest requestOf(const Json& item) {
  EditRequest request;
  request.effect = item.value("effect", "restyle");
  request.params = paramsOf(item.at("params"));
  request.frame = item.at("frame");
  request.first = item.at("first");
  request.last = item.at("last");
  request.depth = depthOf(item);
  request.interactive = item.value("interactive", true);
  request.width = item.at("width");
  request.height = item.at("height");
  return request;
}

Json toldOf(const Edited& edited) {
  const Box& box = edited.box;
  const FrameSpec whole{box.width, box.height, 4, edited.depth};
  return {{"box", {box.x0, box.y0, box.width, box.height}},
          {"pixels", edited.size ? frameName(whole, edited.data) : ""},
          {"model", edited.model},
          {"note", edited.note},
          {"cached", edited.cached},
          {"seconds", edited.seconds}};
}

std::vector<SourceName> sources(Session& session, const Json& item, const Wait& wait) {
  std::vector<SourceName> names;
  for (const Json& source : item.at("sources")) {
    const std::string mask = source.contains("mask") ? sent(session, source.at("mask"), wait) : "";
    names.push_back({source.at("number"), sent(session, source.at("pixels"), wait), mask});
  }
  return names;
}

Json fitted(Bridge& bridge, const Json& item, const Wait& wait) {
  auto session = bridge.session(item.at("endpoint"), wait);
  const FitRequest request{item.value("effect", "remove"), paramsOf(item.at("params")), sources(*session, item, wait)};
  const Fitted told = session->fit(request, wait);
  return {{"fit", told.fit}, {"cached", told.cached}, {"seconds", told.seconds}};
}

Json edited(Bridge& bridge, const Json& item, const Wait& wait) {
  auto session = bridge.session(item.at("endpoint"), wait);
  EditRequest request = requestOf(item);
  request.sources = sources(*session, item, wait);
  Json told = toldOf(session->edit(request, item.value("timeout_s", 60.0), wait));
  told["server"] = session->welcome().server;
  return told;
}

Json answered(Bridge& bridge, const Json& item) {
  Host host(item.value("abort_after_s", std::numeric_limits<double>::infinity()));
  Json answer;
  try {
    const auto wait = [&](const Waiting& waiting) { return host.wait(waiting); };
    const bool fit = item.value("fit", false);
    answer[fit ? "fitted" : "edited"] = fit ? fitted(bridge, item, wait) : edited(bridge, item, wait);
  } catch (const Failure& failure) {
    answer["failure"] = {{"code", failure.code()}, {"message", failure.what()}, {"request", failure.request()}};
  }
  answer.update(host.report());
  answer["name"] = item.value("name", "");
  return answer;
}

}  // namespace

void drive() {
  Bridge bridge("Latensify test", "bridge_test");
  std::mutex mutex;
  const auto answer = [&](const Json& item) {
    const Json told = answered(bridge, item);
    const std::lock_guard<std::mutex> lock(mutex);
    std::cout << told << std::endl;
  };
  for (std::string line; std::getline(std::cin, line);) {
    const Json item = Json::parse(line);
    std::vector<std::thread> threads;
    for (const Json& each : item.value("together", Json::array())) threads.emplace_back(answer, each);
    for (std::thread& thread : threads) thread.join();
    if (threads.empty()) answer(item);
  }
}

}  // namespace latensify::tests
