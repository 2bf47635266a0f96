// A plain TCP connection to a port of this machine: what the bridge's own way over TCP is held to.
#pragma once

#include <cstddef>

namespace latensify::bench {

class RawSocket {
 public:
  explicit RawSocket(int port);
  ~RawSocket();
  RawSocket(const RawSocket&) = delete;
  RawSocket& operator=(const RawSocket&) = delete;

  void send(const void* data, std::size_t size);
  void receive(void* data, std::size_t size);

 private:
  int socket_;
};

}  // namespace latensify::bench
