#include "latensify/folders.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "latensify/failure.hpp"

namespace latensify {
namespace {

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value ? value : "";
}

// LATENSIFY_HOME, when set, holds everything; else the desktop's own place, else `otherwise`.
std::string chosen(const char* part, const char* base, const std::string& otherwise) {
  const std::string home = variable("LATENSIFY_HOME");
  if (!home.empty()) return home + "/" + part;
  const std::string given = variable(base);
  return given.empty() ? otherwise : given + "/latensify";
}

bool isFolder(const std::string& path) {
  struct stat found {};
  return stat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode);
}

void makeWithParents(const std::string& folder) {
  for (std::size_t end = folder.find('/', 1);; end = folder.find('/', end + 1)) {
    const std::string part = folder.substr(0, end);
    if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) {
      throw Failure("output_failed", "Cannot make the folder " + folder + ": " + std::strerror(errno) + ".");
    }
    if (end == std::string::npos) return;
  }
}

}  // namespace

std::string configFolder() { return chosen("config", "XDG_CONFIG_HOME", variable("HOME") + "/.config/latensify"); }

std::string runtimeFolder() {
  return chosen("run", "XDG_RUNTIME_DIR", "/tmp/latensify-" + std::to_string(getuid()));
}

std::string sharedFolder() {
  const std::string given = variable("LATENSIFY_SHM");
  if (!given.empty()) return given;
  return isFolder("/dev/shm") ? "/dev/shm/latensify-" + std::to_string(getuid()) : runtimeFolder() + "/shm";
}

std::string autoEndpoint() { return "ipc://" + runtimeFolder() + "/server.sock"; }

const std::string& makePrivate(const std::string& folder) {
  makeWithParents(folder);
  struct stat found {};
  if (lstat(folder.c_str(), &found) != 0 || !S_ISDIR(found.st_mode) || found.st_uid != getuid()) {
    throw Failure("bad_input", folder + " is not a folder of yours; remove it or set LATENSIFY_HOME and LATENSIFY_SHM.");
  }
  if (found.st_mode & 077) chmod(folder.c_str(), 0700);
  return folder;
}

}  // namespace latensify
