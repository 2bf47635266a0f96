#include "socket.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "latensify/failure.hpp"

namespace latensify {
namespace {

const std::size_t kPartBytes = std::size_t{4} * 1024 * 1024;
const int kHighWaterMark = 100'000;  // parts: a large frame inline is thousands
const std::int64_t kLongestPart = 4 * std::int64_t{kPartBytes};  // more than any that the protocol allows

}  // namespace

ZmqContext::ZmqContext() : context_(zmq_ctx_new()) {
  if (!context_) throw Failure("unreachable", "ZeroMQ could not be started; too many files may be open.");
  zmq_ctx_set(context_, ZMQ_BLOCKY, 0);
}

ZmqContext::~ZmqContext() { zmq_ctx_term(context_); }

Socket::Socket(std::shared_ptr<ZmqContext> context, const std::string& endpoint)
    : context_(std::move(context)), endpoint_(endpoint), socket_(zmq_socket(context_->handle(), ZMQ_DEALER)) {
  if (!socket_) throw Failure("unreachable", "No socket could be opened; too many files may be open.");
  const int none = 0;
  zmq_setsockopt(socket_, ZMQ_LINGER, &none, sizeof none);
  zmq_setsockopt(socket_, ZMQ_SNDHWM, &kHighWaterMark, sizeof kHighWaterMark);
  zmq_setsockopt(socket_, ZMQ_RCVHWM, &kHighWaterMark, sizeof kHighWaterMark);
  zmq_setsockopt(socket_, ZMQ_MAXMSGSIZE, &kLongestPart, sizeof kLongestPart);
  if (zmq_connect(socket_, endpoint.c_str()) != 0) {
    const std::string reason = zmq_strerror(errno);
    zmq_close(socket_);
    throw Failure("unreachable", "'" + endpoint + "' is not an address of a server: " + reason + ".");
  }
}

Socket::~Socket() { zmq_close(socket_); }

void Socket::send(const std::string& header, const std::byte* payload, std::size_t size) {
  sendPart(header.data(), header.size(), size > 0);
  for (std::size_t at = 0; at < size; at += kPartBytes) {
    sendPart(payload + at, std::min(kPartBytes, size - at), at + kPartBytes < size);
  }
}

void Socket::sendPart(const void* data, std::size_t size, bool more) {
  while (zmq_send(socket_, data, size, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)) < 0) {
    if (errno != EINTR) throw Failure("unreachable", "The server at " + endpoint_ + " takes nothing more in.");
  }
}

bool Socket::poll(int timeoutMs) {
  zmq_pollitem_t item = {socket_, 0, ZMQ_POLLIN, 0};
  return zmq_poll(&item, 1, timeoutMs) > 0;
}

std::vector<Part> Socket::receive() {
  std::vector<Part> parts;
  do {
    parts.emplace_back();
    while (zmq_msg_recv(parts.back().raw(), socket_, ZMQ_DONTWAIT) < 0) {
      if (errno != EINTR) throw Failure("unreachable", "The connection to " + endpoint_ + " broke.");
    }
  } while (zmq_msg_more(parts.back().raw()));
  return parts;
}

}  // namespace latensify
