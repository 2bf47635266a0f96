#include <utility>

#include "latensify/client.hpp"
#include "socket.hpp"
#include "start.hpp"

namespace latensify {

struct Bridge::Pool {
  std::string client;
  std::string host;
  std::mutex mutex;
  bool closed = false;
  std::shared_ptr<ZmqContext> context;
  std::multimap<std::string, std::unique_ptr<Session>> idle;

  std::unique_ptr<Session> take(const std::string& address) {
    const std::lock_guard<std::mutex> lock(mutex);
    const auto found = idle.find(address);
    if (found == idle.end()) return nullptr;
    auto session = std::move(found->second);
    idle.erase(found);
    return session;
  }

  void forget(const std::string& address) {
    const std::lock_guard<std::mutex> lock(mutex);
    idle.erase(address);
  }

  void give(const std::string& address, std::unique_ptr<Session> session) {
    const std::lock_guard<std::mutex> lock(mutex);
    if (!closed) idle.emplace(address, std::move(session));
  }

  std::shared_ptr<ZmqContext> zmq() {
    const std::lock_guard<std::mutex> lock(mutex);
    if (!context) context = std::make_shared<ZmqContext>();
    return context;
  }
};

Bridge::Bridge(std::string clientName, std::string hostName) : pool_(std::make_shared<Pool>()) {
  pool_->client = std::move(clientName);
  pool_->host = std::move(hostName);
}

Bridge::~Bridge() {
  const std::lock_guard<std::mutex> lock(pool_->mutex);
  pool_->closed = true;
  pool_->idle.clear();
  pool_->context.reset();
}

Bridge::Lease Bridge::session(const std::string& endpoint, const Wait& wait) {
  const auto connect = [&](const std::string& address) {
    return std::make_unique<Session>(pool_->zmq(), address, pool_->client, pool_->host, wait);
  };
  reapServers();
  // A connection that was idle may have lost its server meanwhile: a question shows it.
  if (auto session = pool_->take(endpoint)) {
    if (session->usable(wait)) return {pool_, endpoint, std::move(session)};
    pool_->forget(endpoint);  // the others have lost it too, and to ask each takes time
  }
  return {pool_, endpoint, endpoint == "auto" ? sessionWithOwnServer(connect, wait) : connect(endpoint)};
}

Bridge::Lease::Lease(std::shared_ptr<Pool> pool, std::string address, std::unique_ptr<Session> session)
    : pool_(std::move(pool)), address_(std::move(address)), session_(std::move(session)) {}

Bridge::Lease::~Lease() {
  if (session_) pool_->give(address_, std::move(session_));  // whether it is usable is asked when it is taken
}

}  // namespace latensify
