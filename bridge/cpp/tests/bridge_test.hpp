// The client's test program: what tests/bridge/ asks of the C++ side, and compares with the Python side.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace latensify::tests {

using Json = nlohmann::json;
using Words = std::vector<std::string>;

// golden.cpp: the rules that both languages share
void readMessages(const Words& files);         // prints each message of a server, field by field
void readMutants();                            // from stdin, one a line, in hexadecimal: prints "ok" or a failure's code
void writeMessages(const Words& folder);       // every message of a client, with the values of tests/golden/make.py
void printWindows(const Words& file);
void printNames(const Words& file);
void writeComposites(const Words& inAndOut);
void writeQuantised(const Words& levelsInOut);
void writeHalves(const Words& inAndOut);       // floats to halves, one by one and in rows; all halves to floats

// drive.cpp: a client whose requests come from stdin, one JSON object a line
void drive();

std::vector<char> fileBytes(const std::string& path);
void writeFile(const std::string& path, const void* data, std::size_t size);

}  // namespace latensify::tests
