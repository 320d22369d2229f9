import Foundation
import OnnxRuntimeBindings

/// What a model's tensors are made of.
public protocol Element: Equatable, Sendable {
    static var kind: ORTTensorElementDataType { get }
}

extension Float: Element { public static var kind: ORTTensorElementDataType { .float } }
extension Int8: Element { public static var kind: ORTTensorElementDataType { .int8 } }
extension UInt8: Element { public static var kind: ORTTensorElementDataType { .uInt8 } }
extension Int32: Element { public static var kind: ORTTensorElementDataType { .int32 } }
extension UInt32: Element { public static var kind: ORTTensorElementDataType { .uInt32 } }
extension Int64: Element { public static var kind: ORTTensorElementDataType { .int64 } }
extension UInt64: Element { public static var kind: ORTTensorElementDataType { .uInt64 } }
extension String: Element { public static var kind: ORTTensorElementDataType { .string } }

/// Elements rows first, and their sizes.
public struct Tensor<T: Element>: Sendable {
    public let data: [T]
    public let shape: [Int]

    public init(_ data: [T], shape: [Int]) {
        self.data = data
        self.shape = shape
    }
}

public enum ModelError: Error, Equatable {
    /// What was passed is not what the model takes.
    case unfitInput(String)
    /// A model's file, or its answer, is not that of the signed bundle.
    case wrongModel(String)
}

/// An input or output: -1 is an open size; sizes of the same group above 0 are the same.
struct Port: Sendable {
    let name: String
    let shape: [Int]
    let groups: [Int]

    func check<T>(_ tensor: Tensor<T>, _ named: inout [Int: Int]) throws {
        guard tensor.shape.count == shape.count else {
            throw ModelError.unfitInput("\(name) has \(tensor.shape.count) axes, the model takes \(shape.count)")
        }
        var count = 1
        for (axis, size) in tensor.shape.enumerated() {
            if size < 0 || (shape[axis] >= 0 && size != shape[axis]) {
                throw ModelError.unfitInput("axis \(axis) of \(name) is \(size), the model takes \(shape[axis])")
            }
            if groups[axis] > 0 {
                if let first = named[groups[axis]], first != size {
                    throw ModelError.unfitInput("axis \(axis) of \(name) is not as large as its namesake")
                }
                named[groups[axis]] = size
            }
            let (product, over) = count.multipliedReportingOverflow(by: size)
            guard !over else { throw ModelError.unfitInput("\(name) has a shape that no memory holds") }
            count = product
        }
        guard tensor.data.count == count else {
            throw ModelError.unfitInput("\(name) has \(tensor.data.count) elements, its shape says \(count)")
        }
    }
}

/// The tensor as ONNX Runtime takes it.
func given<T>(_ tensor: Tensor<T>) throws -> ORTValue {
    let sizes = tensor.shape.map { NSNumber(value: $0) }
    if let texts = tensor.data as? [String] {
        return try ORTValue(tensorStringData: texts, shape: sizes)
    }
    let bytes = tensor.data.withUnsafeBytes { NSMutableData(data: Data($0)) }
    return try ORTValue(tensorData: bytes, elementType: T.kind, shape: sizes)
}

/// What ONNX Runtime answered, in the type that the model has.
func answered<T>(_ name: String, _ found: [String: ORTValue]) throws -> Tensor<T> {
    guard let value = found[name] else { throw ModelError.wrongModel("the answer has no \(name)") }
    let info = try value.tensorTypeAndShapeInfo()
    guard info.elementType == T.kind else { throw ModelError.wrongModel("\(name) came back in another type") }
    let shape = info.shape.map { $0.intValue }
    if T.self == String.self {
        let texts = try value.tensorStringData()
        return Tensor(texts.compactMap { $0 as? T }, shape: shape)
    }
    return Tensor(elements(try value.tensorData() as Data), shape: shape)
}

/// Elements of raw bytes, which need not be aligned.
func elements<T>(_ bytes: Data) -> [T] {
    bytes.withUnsafeBytes { raw in
        stride(from: 0, to: raw.count, by: MemoryLayout<T>.stride).map { raw.loadUnaligned(fromByteOffset: $0, as: T.self) }
    }
}
