// What runs the model: one file for each library. Elements are named as the Open Inference Protocol names them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace edgewright {

// An input or output. -1 is an open size; sizes of the same group above 0 are the same.
struct Port {
  std::string name;
  std::string datatype;
  std::vector<std::int64_t> shape;
  std::vector<int> groups;
};

// A tensor as it lies in memory, rows first; `texts` in place of `bytes` where the datatype is BYTES.
struct Raw {
  std::vector<std::int64_t> shape;
  std::vector<std::byte> bytes;
  std::vector<std::string> texts;
};

class Backend {
 public:
  virtual ~Backend() = default;
  // Inputs and outputs in the order of the ports. Throws std::runtime_error.
  virtual std::vector<Raw> run(const std::vector<Raw>& inputs) = 0;
};

// `spinning`: workers burn a core while they wait. Throws std::runtime_error.
std::unique_ptr<Backend> open_backend(const std::filesystem::path& model, const std::vector<Port>& inputs,
                                      const std::vector<Port>& outputs, int threads, bool spinning);

}  // namespace edgewright
