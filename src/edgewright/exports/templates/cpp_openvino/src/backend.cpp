// OpenVINO on the CPU, in the precision that was measured: float32, which it would not always choose by itself.
#include "backend.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <openvino/openvino.hpp>
#include <set>
#include <stdexcept>

namespace edgewright {
namespace {

const std::map<std::string, ov::element::Type>& types() {
  static const std::map<std::string, ov::element::Type> known = {
      {"BOOL", ov::element::boolean}, {"UINT8", ov::element::u8}, {"UINT16", ov::element::u16},
      {"UINT32", ov::element::u32},   {"UINT64", ov::element::u64}, {"INT8", ov::element::i8},
      {"INT16", ov::element::i16},    {"INT32", ov::element::i32}, {"INT64", ov::element::i64},
      {"FP16", ov::element::f16},     {"BF16", ov::element::bf16}, {"FP32", ov::element::f32},
      {"FP64", ov::element::f64},     {"BYTES", ov::element::string}};
  return known;
}

// The place of a port among those of the model: by its name, which OpenVINO may have dropped; then by its order.
std::size_t place_of(const std::vector<ov::Output<ov::Node>>& there, const Port& port, std::size_t order) {
  for (std::size_t i = 0; i < there.size(); ++i) {
    if (there[i].get_names().count(port.name) > 0) return i;
  }
  return order;
}

class OpenVino : public Backend {
 public:
  OpenVino(const std::filesystem::path& model, const std::vector<Port>& inputs, const std::vector<Port>& outputs,
           int threads)
      : inputs_(inputs), outputs_(outputs), graph_(core_.read_model(model.string())) {
    if (graph_->inputs().size() != inputs.size() || graph_->outputs().size() != outputs.size()) {
      throw std::runtime_error("the model has other inputs or outputs than the bundle says");
    }
    for (std::size_t i = 0; i < inputs.size(); ++i) in_.push_back(place_of(graph_->inputs(), inputs[i], i));
    for (std::size_t i = 0; i < outputs.size(); ++i) out_.push_back(place_of(graph_->outputs(), outputs[i], i));
    for (const Port& port : inputs) {
      open_ = open_ || std::any_of(port.shape.begin(), port.shape.end(), [](std::int64_t size) { return size < 0; });
    }
    ov::CompiledModel compiled = core_.compile_model(
        graph_, "CPU", ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY), ov::num_streams(1),
        ov::inference_num_threads(threads), ov::hint::inference_precision(ov::element::f32));
    request_ = compiled.create_infer_request();
  }

  std::vector<Raw> run(const std::vector<Raw>& inputs) override {
    go_together(inputs);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const Raw& raw = inputs[i];
      ov::Tensor tensor(types().at(inputs_[i].datatype), ov::Shape(raw.shape.begin(), raw.shape.end()));
      if (inputs_[i].datatype == "BYTES") {
        std::copy(raw.texts.begin(), raw.texts.end(), tensor.data<std::string>());
      } else if (!raw.bytes.empty()) {
        std::memcpy(tensor.data(), raw.bytes.data(), raw.bytes.size());
      }
      request_.set_input_tensor(in_[i], tensor);
    }
    request_.infer();
    std::vector<Raw> found;
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      const ov::Tensor tensor = request_.get_output_tensor(out_[i]);
      if (tensor.get_element_type() != types().at(outputs_[i].datatype)) {
        throw std::runtime_error(outputs_[i].name + " came back in another type");
      }
      Raw raw;
      for (const std::size_t size : tensor.get_shape()) raw.shape.push_back(static_cast<std::int64_t>(size));
      if (outputs_[i].datatype == "BYTES") {
        const std::string* first = tensor.data<std::string>();
        raw.texts.assign(first, first + tensor.get_size());
      } else {
        raw.bytes.resize(tensor.get_byte_size());
        if (!raw.bytes.empty()) std::memcpy(raw.bytes.data(), tensor.data(), raw.bytes.size());
      }
      found.push_back(std::move(raw));
    }
    return found;
  }

 private:
  // OpenVINO also runs sizes that do not go together inside the graph, and reads past the end of what is too small.
  void go_together(const std::vector<Raw>& inputs) {
    if (!open_) return;
    std::vector<std::vector<std::int64_t>> sizes;
    for (const Raw& raw : inputs) sizes.push_back(raw.shape);
    if (known_.count(sizes) > 0) return;
    std::map<std::size_t, ov::PartialShape> shapes;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      shapes[in_[i]] = ov::PartialShape(ov::Shape(inputs[i].shape.begin(), inputs[i].shape.end()));
    }
    graph_->clone()->reshape(shapes);
    if (known_.size() >= 4096) known_.clear();
    known_.insert(std::move(sizes));
  }

  std::vector<Port> inputs_, outputs_;
  ov::Core core_;
  std::shared_ptr<ov::Model> graph_;
  ov::InferRequest request_;
  std::vector<std::size_t> in_, out_;
  bool open_ = false;
  std::set<std::vector<std::vector<std::int64_t>>> known_;
};

}  // namespace

std::unique_ptr<Backend> open_backend(const std::filesystem::path& model, const std::vector<Port>& inputs,
                                      const std::vector<Port>& outputs, int threads, bool) {
  return std::make_unique<OpenVino>(model, inputs, outputs, threads);
}

}  // namespace edgewright
