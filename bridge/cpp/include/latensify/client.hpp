// The client of a server: sends frames, asks for edits. latensify_bridge/client.py is the same in Python.
//
// Every wait ends: by its answer, by the caller's Wait (cancelled), by a deadline (timeout), or because the server is
// gone or has been silent for 4 s (unreachable). All failures are Failure (failure.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

#include "latensify/failure.hpp"
#include "latensify/frames.hpp"

namespace latensify {

class SegmentFile;
class Socket;
class ZmqContext;
struct Answer;

struct Param {
  std::string name;
  std::variant<bool, std::int64_t, double, std::string> value;
};

// One source frame of a window: its number, the name of its pixels and of its matte (empty: none).
struct SourceName {
  int number;
  std::string pixels;
  std::string mask;
};

struct EditRequest {
  std::string effect;
  std::vector<Param> params;
  int frame = 0;
  int first = 0;
  int last = 0;
  std::vector<SourceName> sources;
  Depth depth = Depth::kHalf;
  double renderScale = 1;
  double pixelAspect = 1;
  bool interactive = true;
  int width = 0;   // of the frames sent, in pixels: an answer whose box lies outside is refused
  int height = 0;
  std::string fresh;  // not empty: the name of a run that must not see results of earlier runs
  bool lone = false;  // the host can give only this one frame: a result made ahead in its full window serves
};

// A model fitted to the frames of a shot, for the edits that ask for it.
struct FitRequest {
  std::string effect;
  std::vector<Param> params;
  std::vector<SourceName> sources;
  double renderScale = 1;
};

struct Fitted {
  std::string fit;  // its name
  bool cached;      // it was there before
  double seconds;
};

struct Edited {
  Box box;
  Depth depth;
  const std::byte* data;  // RGB, then the matte; valid until the session's next call
  std::size_t size;
  std::string model;
  std::string note;
  bool cached;
  double seconds;
};

// What the server says about a request that waits or runs; `fraction` is 0..1.
struct Waiting {
  double fraction = 0;
  std::string stage;
  int ahead = 0;
};

// Called at least every 50 ms during every wait; false stops it with Failure("cancelled").
using Wait = std::function<bool(const Waiting&)>;

// What a server says about itself.
struct Welcome {
  std::string server;
  std::vector<std::string> effects;
  std::vector<std::string> models;
  std::string device;
  std::size_t maxFrameBytes = 0;
  std::string tokenFile;  // empty: the server offers no shared memory
  std::string token;
};

// One connection, used by one thread at a time.
class Session {
 public:
  Session(std::shared_ptr<ZmqContext> context, const std::string& endpoint, const std::string& client,
          const std::string& host, const Wait& wait);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const Welcome& welcome() const { return welcome_; }

  // `fill` writes spec.bytes() bytes: into shared memory where possible. Returns the frame's name; the pixels travel
  // only if the server does not hold them yet.
  std::string send(const FrameSpec& spec, const std::function<void(std::byte*)>& fill, const Wait& wait);

  // Throws frame_missing when the server has let a source go meanwhile: send all again, then ask again.
  Edited edit(const EditRequest& request, double timeoutS, const Wait& wait);

  // At once back where the same was fitted before. Has no deadline: it ends by `wait`, or because the server is gone.
  // Throws frame_missing when the server does not hold a source: send all, then ask again.
  Fitted fit(const FitRequest& request, const Wait& wait);

  // Whether another request can be made: the server answers and no request was given up half-way. Asks it, shortly.
  bool usable(const Wait& wait);

 private:
  struct Ask;
  void hello(const std::string& client, const std::string& host, const Wait& wait);
  void openSegments();
  bool room(SegmentFile* segment, std::size_t size);
  std::byte* stage(std::size_t size);
  void put(const std::string& name, const FrameSpec& spec, const std::byte* bytes, const Wait& wait);
  Edited received(const EditRequest& request, Answer& answer, const Ask& submit);
  Answer ask(const Ask& ask, const Wait& wait);
  void giveUp(const std::string& id);
  std::string nextId();

  std::string endpoint_;
  std::string idPrefix_;
  std::uint64_t count_ = 0;
  bool broken_ = false;
  Welcome welcome_;
  std::unique_ptr<Socket> socket_;
  std::unique_ptr<SegmentFile> out_;   // frames to the server
  std::unique_ptr<SegmentFile> in_;    // results from it
  std::shared_ptr<std::vector<std::byte>> staged_;  // a frame that travels inline
  std::vector<std::byte> payload_;     // a result that came inline
};

// All of a process's sessions, by endpoint. Thread-safe; a session that is not in use waits for the next request.
class Bridge {
 public:
  explicit Bridge(std::string clientName, std::string hostName);
  ~Bridge();  // closes what is idle; leases that are still out close themselves
  Bridge(const Bridge&) = delete;
  Bridge& operator=(const Bridge&) = delete;

  class Lease;
  // A session with the server at `endpoint` ("tcp://host:port", "ipc://path"); "auto" is this user's own server,
  // started by the command in config/server.json when none runs.
  Lease session(const std::string& endpoint, const Wait& wait);

 private:
  struct Pool;
  std::shared_ptr<Pool> pool_;
};

// A session on loan; goes back to its bridge if it is still usable.
class Bridge::Lease {
 public:
  Lease(Lease&&) noexcept = default;
  Lease& operator=(Lease&&) = delete;
  ~Lease();
  Session* operator->() const { return session_.get(); }
  Session& operator*() const { return *session_; }

 private:
  friend class Bridge;
  Lease(std::shared_ptr<Pool> pool, std::string address, std::unique_ptr<Session> session);
  std::shared_ptr<Pool> pool_;
  std::string address_;
  std::unique_ptr<Session> session_;
};

}  // namespace latensify
