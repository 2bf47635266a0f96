#include "socket.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>

#include "keys.hpp"
#include "latensify/failure.hpp"
#include "random_hex.hpp"

namespace latensify {
namespace {

const std::size_t kPartBytes = std::size_t{4} * 1024 * 1024;
const std::size_t kSentBytes = std::size_t{1024} * 1024;  // whoever receives allocates each part: small ones cost less
const std::size_t kMostParts = 16'384;  // of pixels, in one message
const int kHighWaterMark = 100'000;  // parts: a large frame inline is thousands
const int kBroken = ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL;
const std::int64_t kLongestPart = 4 * std::int64_t{kPartBytes};  // more than any that the protocol allows

// A part has been sent, and lets go of the payload. Called in ZeroMQ's own thread.
void release(void*, void* holder) { delete static_cast<Payload*>(holder); }

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
  try {
    secure();
    if (zmq_connect(socket_, endpoint.c_str()) != 0) {
      throw Failure("unreachable", "'" + endpoint + "' is not an address of a server: " + zmq_strerror(errno) + ".");
    }
  } catch (...) {
    close();
    throw;
  }
}

Socket::~Socket() { close(); }

void Socket::close() {
  if (monitor_) {
    zmq_socket_monitor(socket_, nullptr, 0);
    zmq_close(monitor_);
  }
  zmq_close(socket_);
}

void Socket::secure() {
  const auto keys = curveKeysFor(endpoint_);
  if (!keys) return;
  const std::string events = "inproc://handshake-" + randomHex(8);
  const int none = 0;
  bool done = zmq_setsockopt(socket_, ZMQ_CURVE_SERVERKEY, keys->server.data(), keys->server.size()) == 0 &&
              zmq_setsockopt(socket_, ZMQ_CURVE_PUBLICKEY, keys->ownPublic.data(), keys->ownPublic.size()) == 0 &&
              zmq_setsockopt(socket_, ZMQ_CURVE_SECRETKEY, keys->ownSecret.data(), keys->ownSecret.size()) == 0 &&
              zmq_socket_monitor(socket_, events.c_str(),
                                 kBroken | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_SUCCEEDED) == 0;
  monitor_ = zmq_socket(context_->handle(), ZMQ_PAIR);
  done = done && monitor_ && zmq_setsockopt(monitor_, ZMQ_LINGER, &none, sizeof none) == 0 &&
         zmq_connect(monitor_, events.c_str()) == 0;
  if (!done) throw Failure("refused", "The connection to " + endpoint_ + " cannot be encrypted: " + zmq_strerror(errno) + ".");
}

void Socket::checkHandshake(bool silent) {
  for (Part event; monitor_ && zmq_msg_recv(event.raw(), monitor_, ZMQ_DONTWAIT) >= 0;) {
    std::uint16_t kind = 0;
    if (event.size() < sizeof kind) continue;
    std::memcpy(&kind, event.data(), sizeof kind);
    if (Part address; zmq_msg_more(event.raw())) zmq_msg_recv(address.raw(), monitor_, ZMQ_DONTWAIT);
    broken_ = (kind & kBroken) != 0;
    if (kind == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) {
      throw Failure("refused", "The server at " + endpoint_ +
                                   " does not know this user's key; there, run `latensify keys trust NAME KEY` with the "
                                   "client key that `latensify keys list` shows here.");
    }
  }
  if (silent && broken_) {
    throw Failure("refused", "Who answers at " + endpoint_ +
                                 " is not the server whose key is trusted, or uses no keys; compare `latensify keys "
                                 "list` on both sides.");
  }
}

void Socket::send(const std::string& header, const Payload& payload) {
  const std::size_t size = payload ? payload->size() : 0;
  zmq_msg_t head;
  if (zmq_msg_init_size(&head, header.size()) != 0) throw std::bad_alloc();
  std::memcpy(zmq_msg_data(&head), header.data(), header.size());
  sendPart(head, size > 0);
  for (std::size_t at = 0; at < size; at += kSentBytes) {
    zmq_msg_t part;
    auto holder = std::make_unique<Payload>(payload);
    if (zmq_msg_init_data(&part, payload->data() + at, std::min(kSentBytes, size - at), release, holder.get()) != 0) {
      throw std::bad_alloc();
    }
    static_cast<void>(holder.release());  // the message's, from now on
    sendPart(part, at + kSentBytes < size);
  }
}

void Socket::sendPart(zmq_msg_t& part, bool more) {
  while (zmq_msg_send(&part, socket_, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)) < 0) {
    if (errno == EINTR) continue;
    zmq_msg_close(&part);
    throw Failure("unreachable", "The server at " + endpoint_ + " takes nothing more in.");
  }
}

bool Socket::poll(int timeoutMs) {
  zmq_pollitem_t item = {socket_, 0, ZMQ_POLLIN, 0};
  return zmq_poll(&item, 1, timeoutMs) > 0;
}

std::vector<Part> Socket::receive() {
  std::vector<Part> parts;
  do {
    if (parts.size() > kMostParts) {
      throw Failure("misbehaved", "The server at " + endpoint_ + " answered in too many parts.");
    }
    parts.emplace_back();
    while (zmq_msg_recv(parts.back().raw(), socket_, ZMQ_DONTWAIT) < 0) {
      if (errno != EINTR) throw Failure("unreachable", "The connection to " + endpoint_ + " broke.");
    }
  } while (zmq_msg_more(parts.back().raw()));
  return parts;
}

}  // namespace latensify
