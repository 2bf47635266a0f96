#include "keys.hpp"

#include <arpa/inet.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <nlohmann/json.hpp>

#include "latensify/failure.hpp"
#include "latensify/folders.hpp"

namespace latensify {
namespace {

using Json = nlohmann::json;

const std::string kTcp = "tcp://";
const std::size_t kKeyBytes = 32;

[[noreturn]] void damaged(const std::string& path) {
  throw Failure("bad_input", path + " is damaged; remove it and make or trust those keys again.");
}

// A map of texts; empty where there is no such file.
Json fileOf(const std::string& path) {
  std::ifstream file(path);
  if (!file) return Json::object();
  Json values = Json::parse(file, nullptr, false);
  if (!values.is_object()) damaged(path);
  return values;
}

int digitOf(char letter) {
  const std::string digits = "0123456789abcdef";
  const std::size_t at = digits.find(letter);
  return at == std::string::npos ? -1 : static_cast<int>(at);
}

std::string keyOf(const Json& values, const std::string& name, const std::string& path) {
  const auto found = values.find(name);
  if (found == values.end() || !found->is_string()) damaged(path);
  const std::string text = found->get<std::string>();
  if (text.size() != 2 * kKeyBytes) damaged(path);
  std::string bytes;
  for (std::size_t i = 0; i < kKeyBytes; ++i) {
    const int high = digitOf(text[2 * i]);
    const int low = digitOf(text[2 * i + 1]);
    if (high < 0 || low < 0) damaged(path);
    bytes += static_cast<char>(16 * high + low);
  }
  return bytes;
}

// "host:port", by which a server's key is found.
std::string addressOf(const std::string& endpoint) {
  std::string address = endpoint.substr(kTcp.size());
  std::transform(address.begin(), address.end(), address.begin(),
                 [](char letter) { return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter; });
  return address;
}

bool isLoopback(const std::string& address) {
  std::string host = address.substr(0, address.rfind(':'));
  if (host.empty()) return true;  // no machine at all: connecting says what is wrong with the address
  if (host.size() > 1 && host.front() == '[') host = host.substr(1, host.size() - 2);
  in_addr four{};
  in6_addr six{};
  if (inet_pton(AF_INET, host.c_str(), &four) == 1) return ntohl(four.s_addr) >> 24 == 127;
  if (inet_pton(AF_INET6, host.c_str(), &six) == 1) return IN6_IS_ADDR_LOOPBACK(&six);
  return host == "localhost";
}

void checkPrivate(const std::string& path) {
  struct stat found {};
  if (stat(path.c_str(), &found) == 0 && (found.st_mode & 077) != 0) {
    throw Failure("bad_input", path + " can be read by others; run `chmod 600 " + path + "`, or make a new key.");
  }
}

}  // namespace

std::optional<CurveKeys> curveKeysFor(const std::string& endpoint) {
  if (endpoint.rfind(kTcp, 0) != 0) return std::nullopt;
  const std::string folder = configFolder() + "/keys/";
  const std::string address = addressOf(endpoint);
  const Json servers = fileOf(folder + "servers.json");
  if (!servers.contains(address)) {
    if (isLoopback(address)) return std::nullopt;
    throw Failure("refused", "No key is trusted for the server at " + endpoint +
                                 "; ask for its key and run `latensify keys trust " + address + " KEY`.");
  }
  const std::string path = folder + "client.json";
  const Json own = fileOf(path);
  if (own.empty()) throw Failure("refused", "This user has no key to show to a server; run `latensify keys new`.");
  checkPrivate(path);
  return CurveKeys{keyOf(servers, address, folder + "servers.json"), keyOf(own, "public", path),
                   keyOf(own, "secret", path)};
}

}  // namespace latensify
