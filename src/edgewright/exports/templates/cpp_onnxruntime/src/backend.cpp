// ONNX Runtime on the CPU, through its C interface, whose functions keep their places from release to release.
#include "backend.hpp"

#include <onnxruntime_c_api.h>

#include <cstring>
#include <map>
#include <stdexcept>
#include <utility>

namespace edgewright {
namespace {

// The oldest version of the interface that has all that is used here: ONNX Runtime 1.16.
constexpr std::uint32_t kVersion = 16;

const OrtApi& api() {
  static const OrtApi* const found = OrtGetApiBase()->GetApi(kVersion);
  if (found == nullptr) throw std::runtime_error("ONNX Runtime is older than 1.16");
  return *found;
}

void check(OrtStatus* status) {
  if (status == nullptr) return;
  const std::string why = api().GetErrorMessage(status);
  api().ReleaseStatus(status);
  throw std::runtime_error("ONNX Runtime: " + why);
}

struct Release {
  void operator()(OrtEnv* one) const { api().ReleaseEnv(one); }
  void operator()(OrtSession* one) const { api().ReleaseSession(one); }
  void operator()(OrtSessionOptions* one) const { api().ReleaseSessionOptions(one); }
  void operator()(OrtMemoryInfo* one) const { api().ReleaseMemoryInfo(one); }
  void operator()(OrtValue* one) const { api().ReleaseValue(one); }
  void operator()(OrtTensorTypeAndShapeInfo* one) const { api().ReleaseTensorTypeAndShapeInfo(one); }
};
template <class T>
using Held = std::unique_ptr<T, Release>;

const std::map<std::string, std::pair<ONNXTensorElementDataType, std::size_t>>& types() {
  static const std::map<std::string, std::pair<ONNXTensorElementDataType, std::size_t>> known = {
      {"BOOL", {ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL, 1}},     {"UINT8", {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, 1}},
      {"UINT16", {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16, 2}}, {"UINT32", {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32, 4}},
      {"UINT64", {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64, 8}}, {"INT8", {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8, 1}},
      {"INT16", {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16, 2}},   {"INT32", {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32, 4}},
      {"INT64", {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64, 8}},   {"FP16", {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16, 2}},
      {"BF16", {ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16, 2}}, {"FP32", {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, 4}},
      {"FP64", {ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE, 8}},   {"BYTES", {ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING, 0}}};
  return known;
}

class OnnxRuntime : public Backend {
 public:
  OnnxRuntime(const std::filesystem::path& model, const std::vector<Port>& inputs, const std::vector<Port>& outputs,
              int threads, bool spinning)
      : inputs_(inputs), outputs_(outputs) {
    OrtEnv* env = nullptr;
    check(api().CreateEnv(ORT_LOGGING_LEVEL_WARNING, "edgewright", &env));
    env_.reset(env);
    OrtSessionOptions* options = nullptr;
    check(api().CreateSessionOptions(&options));
    const Held<OrtSessionOptions> held(options);
    check(api().SetIntraOpNumThreads(options, threads));
    check(api().SetInterOpNumThreads(options, 1));
    check(api().AddSessionConfigEntry(options, "session.intra_op.allow_spinning", spinning ? "1" : "0"));
    OrtSession* session = nullptr;
    check(api().CreateSession(env, model.c_str(), options, &session));
    session_.reset(session);
    OrtMemoryInfo* memory = nullptr;
    check(api().CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
    memory_.reset(memory);
  }

  std::vector<Raw> run(const std::vector<Raw>& inputs) override {
    std::vector<Held<OrtValue>> values;
    std::vector<const OrtValue*> given;
    std::vector<const char*> in, out;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      values.push_back(value_of(inputs[i], inputs_[i]));
      given.push_back(values.back().get());
      in.push_back(inputs_[i].name.c_str());
    }
    for (const Port& port : outputs_) out.push_back(port.name.c_str());
    std::vector<OrtValue*> found(out.size(), nullptr);
    OrtStatus* const status =
        api().Run(session_.get(), nullptr, in.data(), given.data(), in.size(), out.data(), out.size(), found.data());
    std::vector<Held<OrtValue>> answered;
    for (OrtValue* one : found) answered.emplace_back(one);
    check(status);
    std::vector<Raw> raws;
    for (std::size_t i = 0; i < answered.size(); ++i) raws.push_back(raw_of(answered[i].get(), outputs_[i]));
    return raws;
  }

 private:
  Held<OrtValue> value_of(const Raw& raw, const Port& port) {
    const auto [type, size] = types().at(port.datatype);
    OrtValue* value = nullptr;
    if (port.datatype == "BYTES") {
      OrtAllocator* allocator = nullptr;
      check(api().GetAllocatorWithDefaultOptions(&allocator));
      check(api().CreateTensorAsOrtValue(allocator, raw.shape.data(), raw.shape.size(), type, &value));
      Held<OrtValue> held(value);
      std::vector<const char*> texts;
      for (const std::string& text : raw.texts) texts.push_back(text.c_str());
      check(api().FillStringTensor(value, texts.data(), texts.size()));
      return held;
    }
    // ONNX Runtime reads inputs where they lie, and does not write there.
    check(api().CreateTensorWithDataAsOrtValue(memory_.get(), const_cast<std::byte*>(raw.bytes.data()),
                                               raw.bytes.size(), raw.shape.data(), raw.shape.size(), type, &value));
    return Held<OrtValue>(value);
  }

  static Raw raw_of(OrtValue* value, const Port& port) {
    OrtTensorTypeAndShapeInfo* info = nullptr;
    check(api().GetTensorTypeAndShape(value, &info));
    const Held<OrtTensorTypeAndShapeInfo> held(info);
    ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    std::size_t axes = 0, count = 0;
    check(api().GetTensorElementType(info, &type));
    check(api().GetDimensionsCount(info, &axes));
    check(api().GetTensorShapeElementCount(info, &count));
    const auto [wanted, size] = types().at(port.datatype);
    if (type != wanted) throw std::runtime_error(port.name + " came back in another type");
    Raw raw;
    raw.shape.resize(axes);
    check(api().GetDimensions(info, raw.shape.data(), axes));
    if (port.datatype == "BYTES") {
      for (std::size_t i = 0; i < count; ++i) {
        std::size_t length = 0;
        check(api().GetStringTensorElementLength(value, i, &length));
        std::string text(length, '\0');
        check(api().GetStringTensorElement(value, length, i, text.data()));
        raw.texts.push_back(std::move(text));
      }
      return raw;
    }
    void* data = nullptr;
    check(api().GetTensorMutableData(value, &data));
    raw.bytes.resize(count * size);
    if (!raw.bytes.empty()) std::memcpy(raw.bytes.data(), data, raw.bytes.size());
    return raw;
  }

  std::vector<Port> inputs_, outputs_;
  Held<OrtEnv> env_;
  Held<OrtSession> session_;
  Held<OrtMemoryInfo> memory_;
};

}  // namespace

std::unique_ptr<Backend> open_backend(const std::filesystem::path& model, const std::vector<Port>& inputs,
                                      const std::vector<Port>& outputs, int threads, bool spinning) {
  return std::make_unique<OnnxRuntime>(model, inputs, outputs, threads, spinning);
}

}  // namespace edgewright
