#include "segment_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "latensify/failure.hpp"
#include "random_hex.hpp"

namespace latensify {

SegmentFile::SegmentFile(const std::string& folder) {
  char head[32];
  std::snprintf(head, sizeof head, "seg-%x-", static_cast<unsigned>(getpid()));
  name_ = head + randomHex(8);
  path_ = folder + "/" + name_;
  file_ = open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file_ < 0 || flock(file_, LOCK_EX | LOCK_NB) != 0) {
    throw Failure("output_failed", "Cannot make the segment " + path_ + ": " + std::strerror(errno) + ".");
  }
}

SegmentFile::~SegmentFile() {
  unmap();
  unlink(path_.c_str());
  if (file_ >= 0) close(file_);
}

bool SegmentFile::reserve(std::size_t size) {
  if (size <= size_) return true;
  // ftruncate alone would succeed and fail later, as a bus error inside the host.
  if (posix_fallocate(file_, 0, static_cast<off_t>(size)) != 0) return false;
  unmap();
  void* const at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
  if (at == MAP_FAILED) return false;
  mapped_ = static_cast<std::byte*>(at);
  size_ = size;
  return true;
}

void SegmentFile::unmap() {
  if (mapped_) munmap(mapped_, size_);
  mapped_ = nullptr;
  size_ = 0;
}

}  // namespace latensify
