#include "start.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>
#include <vector>

#include "latensify/failure.hpp"
#include "latensify/folders.hpp"

extern char** environ;

namespace latensify {
namespace {

using Clock = std::chrono::steady_clock;

const std::chrono::milliseconds kPause{20};
const std::chrono::seconds kStart{60};  // a server that is started may take this long to answer

class OpenFile {
 public:
  OpenFile(const std::string& path, int flags) : file_(open(path.c_str(), flags | O_CLOEXEC, 0600)) {}
  ~OpenFile() {
    if (file_ >= 0) close(file_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int get() const { return file_; }

 private:
  int file_;
};

std::vector<std::string> recordedCommand() {
  std::ifstream file(configFolder() + "/server.json");
  const auto record = nlohmann::json::parse(file, nullptr, false);
  const auto found = record.is_object() ? record.find("command") : record.end();
  if (record.is_object() && found != record.end() && found->is_array() && !found->empty()) {
    std::vector<std::string> words;
    for (const auto& word : *found) {
      if (word.is_string()) words.push_back(word.get<std::string>());
    }
    if (words.size() == found->size() && !words[0].empty()) return words;
  }
  throw Failure("unreachable",
                "No server runs, and how to start one is not recorded; run `latensify plugin install` or "
                "`latensify serve`.");
}

void pause(const Wait& wait, const char* stage) {
  if (!wait({0, stage, 0})) throw Failure("cancelled", "Stopped by the user.");
  std::this_thread::sleep_for(kPause);
}

// Closes in the child what the host has open besides 0, 1 and 2: a file or device that the server held would outlive
// the host. What another thread closes meanwhile is no error to posix_spawn.
void closeOthers(posix_spawn_file_actions_t& files) {
  DIR* const folder = opendir("/proc/self/fd");
  if (folder == nullptr) return;
  while (const dirent* entry = readdir(folder)) {
    const int file = std::atoi(entry->d_name);
    if (file > 2) posix_spawn_file_actions_addclose(&files, file);
  }
  closedir(folder);
}

// A shell changes the folder and becomes the server: posix_spawn's own way there needs glibc 2.29.
std::vector<char*> fromTheRoot(const std::vector<std::string>& words) {
  static const char* const kShell[] = {"/bin/sh", "-c", "cd / && exec \"$@\"", "sh"};
  std::vector<char*> arguments;
  for (const char* word : kShell) arguments.push_back(const_cast<char*>(word));
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  return arguments;
}

// In "/", so that it keeps no file system of the host's busy; in a session of its own, so that it outlives the host and
// gets none of the terminal's signals; and with no signal blocked, as a host's render thread may have them.
pid_t spawn(const std::vector<std::string>& words, const OpenFile& log) {
  const std::vector<char*> arguments = fromTheRoot(words);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, log.get(), 1);
  posix_spawn_file_actions_adddup2(&files, log.get(), 2);
  closeOthers(files);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
  pid_t child = -1;
  const bool missing = words[0].front() == '/' && access(words[0].c_str(), X_OK) != 0;  // the shell would only log it
  const int error =
      missing ? errno : posix_spawn(&child, arguments[0], &files, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) {
    throw Failure("unreachable", "The server could not be started: " + words[0] + ": " + std::strerror(error) +
                                     "; run `latensify plugin install` again.");
  }
  return child;
}

// The servers that this process has started and left running. One that has ended is reaped with the next request: until
// then one entry in the table of processes, and no thread of ours that a host's unloading would pull from under.
class LeftRunning {
 public:
  void add(pid_t child) {
    const std::lock_guard<std::mutex> lock(mutex_);
    children_.push_back(child);
  }

  void reap() {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto ended = [](pid_t child) { return waitpid(child, nullptr, WNOHANG) != 0; };
    children_.erase(std::remove_if(children_.begin(), children_.end(), ended), children_.end());
  }

 private:
  std::mutex mutex_;
  std::vector<pid_t> children_;
};

LeftRunning& leftRunning() {
  static LeftRunning servers;
  return servers;
}

// A server that is being started; one that has not ended by then is left running.
class Child {
 public:
  explicit Child(pid_t number) : number_(number) {}
  ~Child() {
    if (!ended_) leftRunning().add(number_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  bool failed() {
    int status = 0;
    if (ended_ || waitpid(number_, &status, WNOHANG) != number_) return false;
    ended_ = true;
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
  }

 private:
  pid_t number_;
  bool ended_ = false;
};

// Whether somebody listens at a socket: one that a killed server left behind refuses at once.
bool listens(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, path.c_str(), path.size());
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const bool taken = connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN;
  if (probe >= 0) close(probe);
  return taken;
}

std::unique_ptr<Session> running(const Connect& connect) {
  if (!listens(runtimeFolder() + "/server.sock")) return nullptr;
  try {
    return connect(autoEndpoint());
  } catch (const Failure& failure) {
    if (failure.code() != "unreachable") throw;
    return nullptr;  // it ended meanwhile, or hangs
  }
}

std::unique_ptr<Session> started(const Connect& connect, const Wait& wait, const std::string& folder) {
  const std::string logName = folder + "/server.log";
  const OpenFile log(logName, O_WRONLY | O_CREAT | O_APPEND);
  Child child(spawn(recordedCommand(), log));
  for (const auto deadline = Clock::now() + kStart; Clock::now() < deadline;) {
    if (auto session = running(connect)) return session;
    if (child.failed()) throw Failure("unreachable", "The server could not be started; see " + logName + ".");
    pause(wait, "starting the server");
  }
  throw Failure("unreachable", "The server did not answer within 60 s of its start; see " + logName + ".");
}

}  // namespace

void reapServers() { leftRunning().reap(); }

std::unique_ptr<Session> sessionWithOwnServer(const Connect& connect, const Wait& wait) {
  if (auto session = running(connect)) return session;
  recordedCommand();  // told before anything is made
  const std::string folder = makePrivate(runtimeFolder());
  const OpenFile lock(folder + "/start.lock", O_RDWR | O_CREAT);
  const auto deadline = Clock::now() + kStart;
  while (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {  // another program is starting it
    if (errno != EWOULDBLOCK && errno != EINTR) {
      throw Failure("output_failed", "Cannot lock " + folder + "/start.lock: " + std::strerror(errno) + ".");
    }
    if (Clock::now() > deadline) throw Failure("unreachable", "The server is still starting; see " + folder + "/server.log.");
    pause(wait, "waiting for the server to start");
  }
  if (auto session = running(connect)) return session;
  return started(connect, wait, folder);
}

}  // namespace latensify
