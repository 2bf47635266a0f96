#include "raw_socket.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <stdexcept>

namespace latensify::bench {

RawSocket::RawSocket(int port) : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw std::runtime_error("nobody listens on the port");
  }
  const int on = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

RawSocket::~RawSocket() { close(socket_); }

void RawSocket::send(const void* data, std::size_t size) {
  for (std::size_t done = 0; done < size;) {
    const auto count = ::send(socket_, static_cast<const char*>(data) + done, size - done, MSG_NOSIGNAL);
    if (count <= 0) throw std::runtime_error("the connection broke");
    done += static_cast<std::size_t>(count);
  }
}

void RawSocket::receive(void* data, std::size_t size) {
  for (std::size_t done = 0; done < size;) {
    const auto count = recv(socket_, static_cast<char*>(data) + done, size - done, 0);
    if (count <= 0) throw std::runtime_error("the connection broke");
    done += static_cast<std::size_t>(count);
  }
}

}  // namespace latensify::bench
