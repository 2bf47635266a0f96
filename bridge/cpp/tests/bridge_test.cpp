#include "bridge_test.hpp"

#include <cstdio>
#include <exception>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <stdexcept>

namespace latensify::tests {

std::vector<char> fileBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void writeFile(const std::string& path, const void* data, std::size_t size) {
  std::ofstream file(path, std::ios::binary);
  file.write(static_cast<const char*>(data), static_cast<std::streamsize>(size));
  if (!file.flush()) throw std::runtime_error("cannot write " + path);
}

}  // namespace latensify::tests

int main(int count, char** words) {
  using namespace latensify::tests;
  const std::map<std::string, std::function<void(const Words&)>> commands = {
      {"read", readMessages},
      {"mutants", [](const Words&) { readMutants(); }},
      {"write", writeMessages},
      {"windows", printWindows},
      {"names", printNames},
      {"composite", writeComposites},
      {"quantise", writeQuantised},
      {"halves", writeHalves},
      {"drive", [](const Words&) { drive(); }},
  };
  const auto found = commands.find(count > 1 ? words[1] : "");
  if (found == commands.end()) {
    std::fprintf(stderr, "bridge_test COMMAND ...; see bridge_test.hpp\n");
    return 2;
  }
  try {
    found->second(Words(words + 2, words + count));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
