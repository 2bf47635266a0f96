// Starting this user's own server when none runs.
#pragma once

#include <functional>
#include <memory>

#include "latensify/client.hpp"

namespace latensify {

using Connect = std::function<std::unique_ptr<Session>(const std::string& endpoint)>;

// A session with the user's own server, which is started by the recorded command when none answers.
std::unique_ptr<Session> sessionWithOwnServer(const Connect& connect, const Wait& wait);

// Servers that this process has started and that have ended leave the table of processes. Takes no time.
void reapServers();

}  // namespace latensify
