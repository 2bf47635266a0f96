#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>

#include "latensify/client.hpp"
#include "latensify/folders.hpp"
#include "messages.hpp"
#include "random_hex.hpp"
#include "segment_file.hpp"
#include "socket.hpp"

namespace latensify {
namespace {

using Clock = std::chrono::steady_clock;

const int kPollMs = 20;
const double kSilenceS = 4;                       // a server that is silent for longer is taken for dead
const double kSlowestBytesPerS = 4 * 1024 * 1024; // pixels that travel inline may take this much longer
const double kPingS = 0.2;                        // shorter than an abort may take
const double kAnswerS = 120;                      // for all but edits, which have their own limit, and fits
const double kFitS = 7 * 86400.0;                 // no limit to speak of

std::chrono::duration<double> since(Clock::time_point start) { return Clock::now() - start; }

std::string inWords(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%g s", seconds);
  return text;
}

std::string fileText(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

bool isName(const std::string& text, const std::string& prefix) {
  return text.rfind(prefix, 0) == 0 && text.size() > prefix.size() && text.size() < 100 &&
         text.find_first_not_of("0123456789abcdef-", prefix.size()) == std::string::npos;
}

[[noreturn]] void misbehaved(const std::string& sentence) { throw Failure("misbehaved", sentence); }

// Failures are told with the id of their request.
template <typename Work>
auto named(const Json& request, const Work& work) {
  try {
    return work();
  } catch (const Failure& failure) {
    throw Failure(failure.code(), failure.what(), readText(request, "id"));
  }
}

}  // namespace

struct Answer {
  Json header;
  std::vector<Part> parts;
};

struct Session::Ask {
  Json message;
  const char* answer;  // the type expected
  double timeoutS = kAnswerS;
  Payload payload = nullptr;
  std::size_t inlineAnswer = 0;  // bytes that come back in parts, which takes time
};

Session::Session(std::shared_ptr<ZmqContext> context, const std::string& endpoint, const std::string& client,
                 const std::string& host, const Wait& wait)
    : endpoint_(endpoint), idPrefix_(randomHex(4)), socket_(std::make_unique<Socket>(std::move(context), endpoint)) {
  hello(client, host, wait);
  openSegments();
}

Session::~Session() = default;

void Session::hello(const std::string& client, const std::string& host, const Wait& wait) {
  const Answer answer = ask({helloOf(nextId(), client, host), "welcome"}, wait);
  const std::int64_t protocol = readInteger(answer.header, "protocol");
  if (protocol != kProtocol) {  // told before the rest is read, which may have changed
    throw Failure("version", "The server " + readText(answer.header, "server") + " speaks protocol " +
                                 std::to_string(protocol) + " and " + client + " speaks " +
                                 std::to_string(kProtocol) + "; install the same Latensify on both sides.");
  }
  welcome_ = readWelcome(answer.header);
}

// The server proves that it is on this machine by a token in our own folder: nothing it says is used as a path.
void Session::openSegments() {
  if (!isName(welcome_.tokenFile, "token-") || welcome_.token.empty()) return;
  const std::string folder = sharedFolder();
  if (fileText(folder + "/" + welcome_.tokenFile) != welcome_.token) return;
  try {
    out_ = std::make_unique<SegmentFile>(makePrivate(folder));
    in_ = std::make_unique<SegmentFile>(folder);
  } catch (const Failure&) {
    out_.reset();  // pixels travel inline
    in_.reset();
  }
}

bool Session::room(SegmentFile* segment, std::size_t size) { return segment && segment->reserve(size); }

// Where a frame is written: shared memory, or, where there is none, memory of our own, to travel inline.
std::byte* Session::stage(std::size_t size) {
  if (room(out_.get(), size)) return out_->bytes();
  // A request that was given up may still be on its way out: its bytes stay as they are.
  if (!staged_ || staged_.use_count() > 1) staged_ = std::make_shared<std::vector<std::byte>>();
  staged_->resize(size);
  return staged_->data();
}

std::string Session::send(const FrameSpec& spec, const std::function<void(std::byte*)>& fill, const Wait& wait) {
  if (spec.bytes() > welcome_.maxFrameBytes) {
    throw Failure("busy", "A frame of " + std::to_string(spec.bytes()) +
                              " bytes is more than the server takes; start it with a larger --max-frame-mb.");
  }
  std::byte* const bytes = stage(spec.bytes());
  fill(bytes);
  const std::string name = frameName(spec, bytes);
  const auto needed = readTexts(ask({haveOf(nextId(), {name}), "need"}, wait).header, "frames");
  if (std::find(needed.begin(), needed.end(), name) != needed.end()) put(name, spec, bytes, wait);
  return name;
}

void Session::put(const std::string& name, const FrameSpec& spec, const std::byte* bytes, const Wait& wait) {
  const bool shared = out_ && bytes == out_->bytes();
  Ask put{putOf(nextId(), name, spec, shared ? segmentOf(out_->name(), spec.bytes()) : Json(nullptr)), "stored"};
  if (!shared) put.payload = staged_;
  if (readText(ask(put, wait).header, "frame") != name) misbehaved("The server took another frame than was sent.");
}

Edited Session::edit(const EditRequest& request, double timeoutS, const Wait& wait) {
  const std::size_t whole = Box{0, 0, request.width, request.height}.bytes(request.depth);
  Ask submit{submitOf(nextId(), request, room(in_.get(), whole) ? segmentOf(in_->name(), whole) : Json(nullptr)),
             "result", timeoutS};
  if (submit.message.at("output").is_null()) submit.inlineAnswer = whole;
  return named(submit.message, [&] {
    Answer answer = ask(submit, wait);
    return received(request, answer, submit);
  });
}

Fitted Session::fit(const FitRequest& request, const Wait& wait) {
  const Ask fit{fitOf(nextId(), request), "fitted", kFitS};
  return named(fit.message, [&] { return readFitted(ask(fit, wait).header); });
}

Edited Session::received(const EditRequest& request, Answer& answer, const Ask& submit) {
  const ResultHead head = readResult(answer.header);
  const Box& box = head.box;
  if (head.frame != request.frame || head.depth != depthName(request.depth)) {
    misbehaved("The server answered with another frame or depth than frame " + std::to_string(request.frame) + ".");
  }
  if (box.x0 + box.width > request.width || box.y0 + box.height > request.height) {
    misbehaved("The server answered with a box that lies outside the frame.");
  }
  const std::size_t size = box.bytes(request.depth);
  const std::byte* data = nullptr;
  if (!head.segment.is_null()) {
    if (head.segment != submit.message.at("output")) misbehaved("The server answered in a segment that it was not given.");
    data = in_->bytes();  // as large as a whole frame, so as any box
  } else {
    std::size_t came = 0;
    for (Part& part : answer.parts) came += part.size();
    if (came != size) misbehaved("The server answered with too few or too many bytes.");
    payload_.clear();
    for (Part& part : answer.parts) payload_.insert(payload_.end(), part.data(), part.data() + part.size());
    data = payload_.data();
  }
  return {box, request.depth, data, size, head.model, head.note, head.cached, head.seconds};
}

Answer Session::ask(const Ask& ask, const Wait& wait) {
  const std::string id = readText(ask.message, "id");
  broken_ = true;  // until the answer is here: a session given up half-way is not used again
  socket_->send(encode(ask.message), ask.payload);
  const std::size_t inlineBytes = (ask.payload ? ask.payload->size() : 0) + ask.inlineAnswer;
  const double silenceS = kSilenceS + static_cast<double>(inlineBytes) / kSlowestBytesPerS;
  const auto started = Clock::now();
  auto heard = started;
  Waiting waiting;
  while (true) {
    if (!wait(waiting)) {
      giveUp(id);
      throw Failure("cancelled", "Stopped by the user.");
    }
    if (since(started).count() > ask.timeoutS) {
      giveUp(id);
      throw Failure("timeout", "The edit took longer than " + inWords(ask.timeoutS) +
                                   "; raise the time limit, or use draft quality or a smaller window.");
    }
    const bool silent = since(heard).count() > silenceS;
    socket_->checkHandshake(silent);
    if (silent) {
      throw Failure("unreachable", "The server at " + endpoint_ +
                                       " does not answer; look at its log, or start one: `latensify serve`.");
    }
    if (!socket_->poll(kPollMs)) continue;
    std::vector<Part> parts = socket_->receive();
    Json header = decode(parts.front().data(), parts.front().size());
    heard = Clock::now();
    if (header["id"] != id) continue;  // a late answer to a request given up
    const std::string type = header["type"];
    if (type == "progress") {
      waiting = readProgress(header);
    } else if (type == "failure") {
      broken_ = false;
      throw readFailure(header);
    } else if (type == ask.answer) {
      broken_ = false;
      parts.erase(parts.begin());
      return {std::move(header), std::move(parts)};
    } else {
      misbehaved("The server answered '" + type + "' where '" + ask.answer + "' was due.");
    }
  }
}

void Session::giveUp(const std::string& id) {
  try {
    socket_->send(encode(cancelOf(id)), nullptr);
    broken_ = false;  // its late answer is told by its id
  } catch (const Failure&) {
  }
}

bool Session::usable(const Wait& wait) {
  if (broken_) return false;
  try {
    ask({haveOf(nextId(), {}), "need", kPingS}, wait);
    return true;
  } catch (const Failure& failure) {
    if (failure.code() == "cancelled") throw;
    return false;
  }
}

std::string Session::nextId() { return idPrefix_ + "-" + std::to_string(++count_); }

}  // namespace latensify
