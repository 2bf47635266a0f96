// ZeroMQ, owned: a context and a DEALER socket.
#pragma once

#include <zmq.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace latensify {

class ZmqContext {
 public:
  ZmqContext();
  ~ZmqContext();
  ZmqContext(const ZmqContext&) = delete;
  ZmqContext& operator=(const ZmqContext&) = delete;
  void* handle() const { return context_; }

 private:
  void* context_;
};

// One part of a message that came.
class Part {
 public:
  Part() { zmq_msg_init(&message_); }
  Part(Part&& other) noexcept {
    zmq_msg_init(&message_);
    zmq_msg_move(&message_, &other.message_);
  }
  Part& operator=(Part&& other) noexcept {
    zmq_msg_move(&message_, &other.message_);
    return *this;
  }
  ~Part() { zmq_msg_close(&message_); }
  zmq_msg_t* raw() { return &message_; }
  const std::byte* data() { return static_cast<const std::byte*>(zmq_msg_data(&message_)); }
  std::size_t size() { return zmq_msg_size(&message_); }

 private:
  zmq_msg_t message_;
};

using Payload = std::shared_ptr<std::vector<std::byte>>;

class Socket {
 public:
  // Under CURVE where the server's key is trusted (keys.hpp). Throws unreachable where `endpoint` is no address.
  Socket(std::shared_ptr<ZmqContext> context, const std::string& endpoint);
  ~Socket();
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  // Never blocks: throws unreachable where nothing more can be queued. The payload is not copied: it must not be written
  // to while somebody else holds it.
  void send(const std::string& header, const Payload& payload);
  bool poll(int timeoutMs);
  std::vector<Part> receive();

  // Throws refused where the server has turned our key away; of a server that is `silent`, also where the keys do not fit.
  void checkHandshake(bool silent);

 private:
  void secure();
  void close();
  void sendPart(zmq_msg_t& part, bool more);
  std::shared_ptr<ZmqContext> context_;
  std::string endpoint_;
  void* socket_;
  void* monitor_ = nullptr;  // tells what becomes of a handshake with keys
  bool broken_ = false;      // the last one failed, and not for our key
};

}  // namespace latensify
