// What `latensify bench bridge` times in C++: a host's frame to a server and back, through the client that the plugin
// uses. Requests come from stdin, one JSON object a line; each is answered by a line {"ms", ...} or {"failure": ...}.
//
//   {"do": "floor", "width", "height", "depth"}                 one memcpy there, one back
//   {"do": "trip", ..., "endpoint", "seed", "side"}             a new frame there, its edited box back, laid over
//   {"do": "socket", ..., "port", "seed", "side"}               the same through a plain TCP socket
//   {"do": "upload", ..., "endpoint", "seeds": [...]}           these frames are sent, no edit is asked for
// Frames are told apart by `seed`: one that the server holds already does not travel again.
// `side` is the edited box's share of each side of the frame.
#include <nlohmann/json.hpp>

#include <iostream>
#include <stdexcept>

#include "plates.hpp"
#include "raw_socket.hpp"

namespace latensify::bench {
namespace {

using Json = nlohmann::json;

bool goOn(const Waiting&) { return true; }

class Bench {
 public:
  Json answer(const Json& item) {
    const std::string what = item.at("do");
    Plates& plates = platesOf(item);
    if (what == "floor") {
      const Cost cost = plates.floor();
      return {{"ms", cost.ms}, {"cpu_ms", cost.cpuMs}};
    }
    if (what == "trip") return trip(item, plates);
    if (what == "socket") return socket(item, plates);
    if (what == "upload") return upload(item, plates);
    throw std::runtime_error("what is '" + what + "'?");
  }

 private:
  Plates& platesOf(const Json& item) {
    const int width = item.at("width"), height = item.at("height");
    const Depth depth = item.at("depth") == "half" ? Depth::kHalf : Depth::kFloat;
    if (!plates_ || !plates_->are(width, height, depth)) plates_ = std::make_unique<Plates>(width, height, depth);
    return *plates_;
  }

  Json trip(const Json& item, Plates& plates) {
    plates.become(item.at("seed"));
    const Stopwatch watch;
    auto session = bridge_.session(item.at("endpoint"), goOn);
    const std::string name = send(*session, plates);
    const double sentMs = watch.ms();
    const Edited edited = session->edit(requestOf(item, plates, name), 60, goOn);
    const double editedMs = watch.ms();
    plates.layOver(edited.box, edited.data);
    const double ms = watch.ms(), cpuMs = watch.cpuMs();
    plates.check(edited.box);
    return {{"ms", ms}, {"cpu_ms", cpuMs}, {"send_ms", sentMs}, {"edit_ms", editedMs - sentMs}, {"lay_ms", ms - editedMs}};
  }

  Json socket(const Json& item, Plates& plates) {
    if (!raw_) raw_ = std::make_unique<RawSocket>(item.at("port"));
    plates.become(item.at("seed"));
    const Box box = plates.boxOf(item.at("side"));
    staged_.resize(plates.spec().bytes());
    back_.resize(box.bytes(Depth::kHalf));
    const Stopwatch watch;
    plates.fill(staged_.data());
    const std::int32_t head[] = {plates.spec().width, plates.spec().height, box.x0, box.y0, box.width, box.height};
    raw_->send(head, sizeof head);
    raw_->send(staged_.data(), staged_.size());
    raw_->receive(back_.data(), back_.size());
    plates.layOver(box, back_.data());
    const double ms = watch.ms(), cpuMs = watch.cpuMs();
    plates.check(box);
    return {{"ms", ms}, {"cpu_ms", cpuMs}};
  }

  Json upload(const Json& item, Plates& plates) {
    auto session = bridge_.session(item.at("endpoint"), goOn);
    double ms = 0;
    for (const std::int64_t seed : item.at("seeds")) {
      plates.become(seed);
      const Stopwatch watch;
      send(*session, plates);
      ms += watch.ms();
    }
    return {{"ms", ms}};
  }

  static std::string send(Session& session, const Plates& plates) {
    return session.send(plates.spec(), [&](std::byte* to) { plates.fill(to); }, goOn);
  }

  static EditRequest requestOf(const Json& item, const Plates& plates, const std::string& name) {
    EditRequest request;
    request.effect = "restyle";
    request.params = {{"prompt", std::to_string(item.at("side").get<double>())},
                      {"window", std::int64_t{1}},
                      {"overlap", std::int64_t{0}}};
    request.frame = request.first = request.last = 1;
    request.sources = {{1, name, ""}};
    request.width = plates.spec().width;
    request.height = plates.spec().height;
    return request;
  }

  Bridge bridge_{"Latensify bench", "bridge_bench"};
  std::unique_ptr<Plates> plates_;
  std::unique_ptr<RawSocket> raw_;
  std::vector<std::byte> staged_;
  std::vector<std::byte> back_;
};

}  // namespace
}  // namespace latensify::bench

int main() {
  latensify::bench::Bench bench;
  for (std::string line; std::getline(std::cin, line);) {
    nlohmann::json told;
    try {
      told = bench.answer(nlohmann::json::parse(line));
    } catch (const std::exception& error) {
      told = {{"failure", error.what()}};
    }
    std::cout << told << std::endl;
  }
}
