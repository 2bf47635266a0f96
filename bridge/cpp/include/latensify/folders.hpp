// Where Latensify keeps things on this machine. The same rule stands in latensify_bridge/folders.py.
#pragma once

#include <string>

namespace latensify {

std::string configFolder();   // server.json: the command that starts a server
std::string runtimeFolder();  // the server's socket, lock and log
std::string sharedFolder();   // segments in shared memory
std::string autoEndpoint();   // the address of this user's own server on this machine

// Makes the folder, if need be, so that only this user may enter it. Throws output_failed when it cannot be made,
// bad_input when somebody else owns it.
const std::string& makePrivate(const std::string& folder);

}  // namespace latensify
