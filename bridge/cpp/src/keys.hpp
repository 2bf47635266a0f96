// CURVE keys in files (ZeroMQ RFC 26): whom this user trusts. latensify_bridge/keys.py writes and explains them.
#pragma once

#include <optional>
#include <string>

namespace latensify {

struct CurveKeys {
  std::string server;     // each of 32 bytes
  std::string ownPublic;
  std::string ownSecret;
};

// The keys for a server's address; none where the connection goes without: a private socket, or loopback whose server's
// key is not trusted. Throws refused where a key is needed and missing, bad_input where a file cannot be used.
std::optional<CurveKeys> curveKeysFor(const std::string& endpoint);

}  // namespace latensify
