// A client's own segment: a locked file in the shared-memory folder, grown when needed, mapped once.
// latensify_bridge/segments.py is the same in Python; docs/protocol.md says who may do what with it.
#pragma once

#include <cstddef>
#include <string>

namespace latensify {

class SegmentFile {
 public:
  explicit SegmentFile(const std::string& folder);
  ~SegmentFile();
  SegmentFile(const SegmentFile&) = delete;
  SegmentFile& operator=(const SegmentFile&) = delete;

  const std::string& name() const { return name_; }
  std::byte* bytes() { return mapped_; }
  // Makes room for `size` bytes; false where shared memory is full.
  bool reserve(std::size_t size);

 private:
  void unmap();
  std::string name_;
  std::string path_;
  int file_ = -1;
  std::byte* mapped_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace latensify
