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

class Socket {
 public:
  // Throws unreachable where `endpoint` is no address.
  Socket(std::shared_ptr<ZmqContext> context, const std::string& endpoint);
  ~Socket();
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  // Never blocks: throws unreachable where nothing more can be queued.
  void send(const std::string& header, const std::byte* payload, std::size_t size);
  bool poll(int timeoutMs);
  std::vector<Part> receive();

 private:
  void sendPart(const void* data, std::size_t size, bool more);
  std::shared_ptr<ZmqContext> context_;
  std::string endpoint_;
  void* socket_;
};

}  // namespace latensify
