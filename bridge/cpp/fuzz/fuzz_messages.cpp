// Whatever bytes come, the client's decoders read a message or throw misbehaved.
//
// With clang: -fsanitize=fuzzer,address,undefined -DLATENSIFY_LIBFUZZER, then as any libFuzzer program. Otherwise it
// mutates a corpus by itself, best under -fsanitize=address,undefined:
//   fuzz_messages SEED COUNT SECONDS FILE...    at least COUNT cases, and for SECONDS
// One case that is no failure but a crash is left in the file fuzz-crash.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "messages.hpp"

namespace {

using namespace latensify;

bool reads(const std::function<void()>& read) {
  try {
    read();
    return true;
  } catch (const Failure& failure) {
    if (failure.code() != "misbehaved") std::abort();
    return false;
  }
}

// Every reader is given every message: a server may answer anything to anything.
bool readsAny(const std::uint8_t* data, std::size_t size) {
  Json message;
  if (!reads([&] { message = decode(reinterpret_cast<const std::byte*>(data), size); })) return false;
  bool any = reads([&] { readWelcome(message); });
  any |= reads([&] {
    const Waiting waiting = readProgress(message);
    if (!(waiting.fraction >= 0 && waiting.fraction <= 1) || waiting.ahead < 0) std::abort();
  });
  any |= reads([&] {
    const ResultHead head = readResult(message);
    if (head.box.x0 < 0 || head.box.width < 0 || head.box.width > 32768 || head.box.height > 32768) std::abort();
  });
  any |= reads([&] { readFitted(message); });
  any |= reads([&] { readFailure(message); });
  any |= reads([&] { readTexts(message, "frames"); });
  any |= reads([&] { readText(message, "frame"); });
  return any;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  readsAny(data, size);
  return 0;
}

#ifndef LATENSIFY_LIBFUZZER
namespace {

using Bytes = std::vector<std::uint8_t>;

class Mutator {
 public:
  Mutator(std::vector<Bytes> corpus, unsigned seed) : corpus_(std::move(corpus)), chance_(seed) {}

  Bytes next() {
    Bytes data = any();
    for (std::size_t times = 1 + below(3); times > 0; --times) change(data);
    return data;
  }

 private:
  std::size_t below(std::size_t limit) { return std::uniform_int_distribution<std::size_t>(0, limit - 1)(chance_); }
  const Bytes& any() { return corpus_[below(corpus_.size())]; }

  static auto at(Bytes& data, std::size_t index) { return data.begin() + static_cast<std::ptrdiff_t>(index); }

  void change(Bytes& data) {
    const std::size_t from = below(data.size() + 1);
    const std::size_t length = std::min(below(13), data.size() - from);
    const Bytes piece(at(data, from), at(data, from + length));
    switch (below(5)) {
      case 0:
        if (from < data.size()) data[from] = static_cast<std::uint8_t>(below(256));
        return;
      case 1:
        data.erase(at(data, from), at(data, from + length));
        return;
      case 2:
        data.insert(at(data, from), piece.begin(), piece.end());
        return;
      case 3: {  // a piece of another
        const Bytes& other = any();
        const std::size_t start = below(other.size());
        const std::size_t end = std::min(other.size(), start + 1 + below(24));
        data.insert(at(data, from), other.begin() + static_cast<std::ptrdiff_t>(start),
                    other.begin() + static_cast<std::ptrdiff_t>(end));
        return;
      }
      default: {  // lengths that lie, and depth
        static const Bytes kNasty[] = {{0xc1}, {0xdf, 0xff, 0xff, 0xff, 0xff}, {0xdb, 0xff, 0xff, 0xff, 0xff},
                                       {0xdd, 0xff, 0xff, 0xff, 0xff}, Bytes(64, 0x91), {0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0}};
        const Bytes& nasty = kNasty[below(std::size(kNasty))];
        data.insert(at(data, from), nasty.begin(), nasty.end());
      }
    }
  }

  std::vector<Bytes> corpus_;
  std::mt19937 chance_;
};

Bytes fileBytes(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

Bytes current;

void keepCurrent() {
  std::ofstream file("fuzz-crash", std::ios::binary);
  file.write(reinterpret_cast<const char*>(current.data()), static_cast<std::streamsize>(current.size()));
}

}  // namespace

#if defined(__SANITIZE_ADDRESS__)
extern "C" void __sanitizer_set_death_callback(void (*callback)());
#endif

int main(int count, char** words) {
  if (count < 5) {
    std::fprintf(stderr, "fuzz_messages SEED COUNT SECONDS FILE...\n");
    return 2;
  }
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_set_death_callback(keepCurrent);
#endif
  std::vector<Bytes> corpus;
  for (int i = 4; i < count; ++i) corpus.push_back(fileBytes(words[i]));
  for (const Bytes& each : corpus) {
    current = each;
    readsAny(each.data(), each.size());
    if (each.empty()) return 2;
  }
  Mutator mutator(corpus, static_cast<unsigned>(std::atol(words[1])));
  const long least = std::atol(words[2]);
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(std::atof(words[3]));
  long cases = 0;
  long read = 0;
  for (; cases < least || std::chrono::steady_clock::now() < end; ++cases) {
    current = mutator.next();
    read += readsAny(current.data(), current.size()) ? 1 : 0;
  }
  std::printf("{\"cases\": %ld, \"read\": %ld}\n", cases, read);
  return 0;
}
#endif
